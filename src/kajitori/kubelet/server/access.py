"""Who may use the node's API: whoever the API server knows and allows, by client certificate or bearer token.

The API server itself and administrators of the cluster are known by their certificates alone. Everybody else is asked
about: a TokenReview says whose a token is, SubjectAccessReviews whether that user may use the subresource of this node
that a path stands for (the "Kubelet authentication/authorization" page; KEP-2862 for the finer subresources).
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, TypeVar

from kajitori.api.authentication import TOKEN_REVIEW
from kajitori.api.authorization import SUBJECT_ACCESS_REVIEW
from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.client.interface import Client, Disconnected
from kajitori.kit.clock import Clock
from kajitori.kubelet.server.http_messages import Failure, Request

T = TypeVar("T")

API_SERVER = "kube-apiserver-kubelet-client"
MASTERS = "system:masters"
KNOWN_S, ALLOWED_S, REFUSED_S = 120.0, 300.0, 30.0
"""How long an answer of the API server holds: whose a token is, a yes, a no (upstream's defaults)."""
ANSWERS_MAX = 1024
"""Answers that are kept; when there are more, the oldest go."""

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SUBRESOURCES = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "pods": ("pods", "proxy"),
    "healthz": ("healthz", "proxy"),
}
"""By the first part of a path; any of them is enough. Other paths: `proxy`."""


def server_context(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS that asks for a client certificate; one that is shown must be of the cluster's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def may_all(self) -> bool:
        return self.name == API_SERVER or MASTERS in self.groups


def certified(certificate: Mapping[str, Any] | None) -> Caller | None:
    """Whom a certificate names, as `getpeercert` gives it: verified already."""
    subject = [pair for part in (certificate or {}).get("subject") or () for pair in part]
    name = next((value for key, value in subject if key == "commonName"), "")
    groups = tuple(value for key, value in subject if key == "organizationName")
    return Caller(name, groups) if name else None


class Access:
    def __init__(self, client: Client, clock: Clock, node_name: str) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._callers: _Answers[Caller | None] = _Answers()
        self._verdicts: _Answers[bool] = _Answers()

    async def admit(self, request: Request, certificate: Mapping[str, Any] | None) -> None:
        """Raises Failure, 401 or 403; 500 when the API server cannot be asked."""
        try:
            caller = certified(certificate) or await self._bearer(request)
            if caller is None:
                raise Failure(HTTPStatus.UNAUTHORIZED, "Unauthorized")
            verb = _VERBS.get(request.method, "")
            subresources = _SUBRESOURCES.get(request.path.strip("/").split("/")[0], ("proxy",))
            for subresource in subresources:
                if caller.may_all or await self._allowed(caller, verb, subresource):
                    return
        except (StatusError, Disconnected) as error:
            raise Failure(HTTPStatus.INTERNAL_SERVER_ERROR, f"the API server was asked who this is: {error}") from None
        asked = f"user={caller.name}, verb={verb}, resource=nodes, subresource(s)=[{' '.join(subresources)}]"
        raise Failure(HTTPStatus.FORBIDDEN, f"Forbidden ({asked})")

    async def _bearer(self, request: Request) -> Caller | None:
        scheme, _, token = request.header("authorization").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return None
        key, now_s = sha256(token.encode()).hexdigest(), self._clock.monotonic()
        if (known := self._callers.get(key, now_s)) is not None:
            return known[0]
        status = await self._reviewed(TOKEN_REVIEW, {"token": token})
        caller = _caller(status.get("user") or {}) if status.get("authenticated") else None
        self._callers.put(key, caller, now_s + (KNOWN_S if caller else REFUSED_S))
        return caller

    async def _allowed(self, caller: Caller, verb: str, subresource: str) -> bool:
        spec = {
            "user": caller.name,
            "groups": list(caller.groups),
            "uid": caller.uid,
            "extra": caller.extra,
            "resourceAttributes": {
                "verb": verb,
                "version": "v1",
                "resource": "nodes",
                "subresource": subresource,
                "name": self._node_name,
            },
        }
        key, now_s = json.dumps(spec, sort_keys=True), self._clock.monotonic()
        if (known := self._verdicts.get(key, now_s)) is not None:
            return known[0]
        status = await self._reviewed(SUBJECT_ACCESS_REVIEW, spec)
        allowed = bool(status.get("allowed"))
        self._verdicts.put(key, allowed, now_s + (ALLOWED_S if allowed else REFUSED_S))
        return allowed

    async def _reviewed(self, resource: Resource, spec: Object) -> Object:
        review = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}, "spec": spec}
        return (await self._client.create(resource, review)).get("status") or {}


def _caller(user: Object) -> Caller:
    groups = tuple(user.get("groups") or ())
    return Caller(user.get("username") or "", groups, user.get("uid") or "", user.get("extra") or {})


class _Answers(Generic[T]):
    """What the API server said, each until its own end; a value comes in a tuple, None is one that is not known."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[T, float]] = {}

    def get(self, key: str, now_s: float) -> tuple[T] | None:
        found = self._kept.get(key)
        return (found[0],) if found is not None and now_s < found[1] else None

    def put(self, key: str, value: T, until_s: float) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (value, until_s)
        if len(self._kept) > ANSWERS_MAX:
            del self._kept[next(iter(self._kept))]
