"""The API objects that pods of this node refer to; ConfigMaps and Secrets watched while a pod needs them.

A node may read only what its own pods name (the node authorizer), so there is one small watch an object. Claims and
volumes it may only get, and they are only needed when a pod starts.
"""

from collections.abc import Callable
from typing import NamedTuple

from kajitori.api.core import SERVICE_ACCOUNT
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, ObjectKey, name_of, namespace_of, uid_of
from kajitori.api.resource import Resource
from kajitori.api.times import parse_timestamp
from kajitori.client.cache import Cache
from kajitori.client.informer import Informer
from kajitori.client.interface import Client, WatchEventType
from kajitori.kit.clock import Clock
from kajitori.kubelet.volumes.sources import Token

WATCHED = ("configmaps", "secrets")


class _Name(NamedTuple):
    plural: str
    namespace: str
    name: str


class WatchedObjects:
    """`on_change(pod_uid)` is called when something that the pod refers to has changed."""

    def __init__(self, client: Client, cache: Cache, clock: Clock, on_change: Callable[[str], None]) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock
        self._on_change = on_change
        self._informers: dict[_Name, Informer] = {}
        self._users: dict[_Name, set[str]] = {}

    async def get(self, pod_uid: str, resource: Resource, namespace: str, name: str) -> Object | None:
        """From the watch once it has listed; until then from the server, so that the first use waits for one only."""
        if resource.plural not in WATCHED:
            return await self._fetch(resource, namespace, name)
        informer = self._watch(pod_uid, resource, namespace, name)
        if informer.has_synced:
            return informer.get(ObjectKey(namespace, name))
        return await self._fetch(resource, namespace, name)

    async def _fetch(self, resource: Resource, namespace: str, name: str) -> Object | None:
        try:
            return await self._client.get(resource, name, namespace or None)
        except NotFound:
            return None

    def _watch(self, pod_uid: str, resource: Resource, namespace: str, name: str) -> Informer:
        key = _Name(resource.plural, namespace, name)
        self._users.setdefault(key, set()).add(pod_uid)
        informer = self._informers.get(key)
        if informer is None:
            informer = self._informers[key] = self._cache.informer(
                resource, namespace=namespace or None, field_selector=f"metadata.name={name}"
            )

            def changed(_kind: WatchEventType, _new: Object, _old: Object | None) -> None:
                for user in tuple(self._users.get(key, ())):
                    self._on_change(user)

            informer.subscribe(changed)
        return informer

    def release(self, pod_uid: str) -> None:
        """The pod has left: watch no more what only it needed."""
        unused = []
        for key, users in list(self._users.items()):
            users.discard(pod_uid)
            if not users:
                del self._users[key]
                unused.append(self._informers.pop(key))
        if unused:
            self._cache.drop(unused)

    async def token(self, pod: Object, audience: str, expiration_s: int) -> Token:
        request: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": expiration_s,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": name_of(pod), "uid": uid_of(pod)},
            },
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        issued_s = self._clock.now()
        answer = await self._client.create(
            SERVICE_ACCOUNT, request, namespace_of(pod), name=account, subresource="token"
        )
        status = answer["status"]
        return Token(status["token"], parse_timestamp(status["expirationTimestamp"]), issued_s)
