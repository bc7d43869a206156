"""Secrets of type kubernetes.io/service-account-token: filled with a token, and gone with their account.

Source: "Manually create a long-lived API token for a ServiceAccount". Only this server holds the signing key.
"""

import asyncio
import base64
import logging

from kajitori.api import core
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, annotations_of, key_of, name_of, uid_of
from kajitori.apiserver.authn.service_accounts import TokenIssuer
from kajitori.apiserver.interfaces import Objects

log = logging.getLogger(__name__)

TYPE = "kubernetes.io/service-account-token"
_ACCOUNT, _ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


class LegacyTokens:
    """Asleep until such a Secret comes, or an account goes."""

    def __init__(self, objects: Objects, issuer: TokenIssuer, authority: bytes) -> None:
        self._objects = objects
        self._issuer = issuer
        self._authority = base64.b64encode(authority).decode()
        self._changed: set[ObjectKey] = set()
        self._by_account: dict[ObjectKey, set[ObjectKey]] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        stops = [
            self._objects.subscribe(core.SECRET, self._secret_changed),
            self._objects.subscribe(core.SERVICE_ACCOUNT, self._account_changed),
        ]
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._changed:
                    await self._settle(self._changed.pop())
        finally:
            for stop in stops:
                stop()

    def _secret_changed(self, event: str, secret: Object) -> None:
        if secret.get("type") != TYPE:
            return
        key = key_of(secret)
        account = ObjectKey(key.namespace, annotations_of(secret).get(_ACCOUNT, ""))
        if event == "DELETED":
            self._by_account.get(account, set()).discard(key)
            return
        self._by_account.setdefault(account, set()).add(key)
        self._touch(key)

    def _account_changed(self, event: str, account: Object) -> None:
        for key in self._by_account.get(key_of(account), ()):
            self._touch(key)

    def _touch(self, key: ObjectKey) -> None:
        self._changed.add(key)
        self._wake.set()

    async def _settle(self, key: ObjectKey) -> None:
        secret = self._objects.cached(core.SECRET, key.name, key.namespace)
        if secret is None:
            return
        try:
            account = await self._account(secret)
            if account is None:
                await self._objects.delete(core.SECRET, key.name, key.namespace, uid=uid_of(secret))
            elif self.filled(secret, account) is not secret:
                await self._objects.update(
                    core.SECRET, key.name, key.namespace, lambda found: self.filled(found, account)
                )
        except NotFound:
            return
        except StatusError as error:
            log.warning("token Secret %s: %s", key, error)

    async def _account(self, secret: Object) -> Object | None:
        """The secret's own account; None when it is gone or another of the same name."""
        name = annotations_of(secret).get(_ACCOUNT, "")
        try:
            account = await self._objects.get(core.SERVICE_ACCOUNT, name, secret["metadata"]["namespace"])
        except NotFound:
            return None
        wanted = annotations_of(secret).get(_ACCOUNT_UID, "")
        return account if wanted in ("", uid_of(account)) else None

    def filled(self, secret: Object, account: Object) -> Object:
        """The secret with what it lacks; itself when it lacks nothing."""
        data = dict(secret.get("data") or {})
        if not data.get("token"):
            token = self._issuer.issue_legacy(account, secret)
            data["token"] = base64.b64encode(token.encode()).decode()
        data["ca.crt"] = self._authority
        data["namespace"] = base64.b64encode(secret["metadata"]["namespace"].encode()).decode()
        annotations = {**annotations_of(secret), _ACCOUNT: name_of(account), _ACCOUNT_UID: uid_of(account)}
        if data == secret.get("data") and annotations == annotations_of(secret):
            return secret
        return {**secret, "data": data, "metadata": {**secret["metadata"], "annotations": annotations}}
