"""Collecting the payload of a volume whose files come from the API."""

from collections.abc import Callable
from dataclasses import dataclass

from kajitori.api.core import CONFIG_MAP, SECRET
from kajitori.api.meta import Object, namespace_of, uid_of
from kajitori.kit.clock import Clock
from kajitori.kubelet.volumes.payload import (
    MODE_DEFAULT,
    File,
    MissingPart,
    Payload,
    config_map_data,
    downward_files,
    keyed_files,
    secret_data,
)
from kajitori.kubelet.volumes.sources import ObjectSource, Token

TOKEN_LIFETIME_DEFAULT_S = 3600
ROTATE_AT = 0.8
"""The share of a token's life after which it is replaced; a day at the latest."""
ROTATE_AGE_MAX_S = 24 * 3600.0
_DATA = {"configMap": (CONFIG_MAP, config_map_data), "secret": (SECRET, secret_data)}
TOKEN_MODE = 0o600
"""Of a token that belongs to the user all containers run as, or that fsGroup opens to a group (KEP-1205)."""


@dataclass(frozen=True, slots=True)
class Downward:
    """How a pod's own fields are read."""

    field: Callable[[str], str]
    resource: Callable[[Object], str]


def rotation_due_s(token: Token) -> float:
    lifetime_s = token.expires_s - token.issued_s
    return token.issued_s + min(lifetime_s * ROTATE_AT, ROTATE_AGE_MAX_S)


class Contents:
    def __init__(self, source: ObjectSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._tokens: dict[tuple[str, str, int], Token] = {}

    def forget(self, pod_uid: str) -> None:
        for key in [key for key in self._tokens if key[0] == pod_uid]:
            del self._tokens[key]

    def next_rotation_s(self, pod_uid: str) -> float | None:
        due = [rotation_due_s(token) for key, token in self._tokens.items() if key[0] == pod_uid]
        return min(due) if due else None

    async def payload(self, pod: Object, volume: Object, downward: Downward) -> Payload:
        """Raises MissingPart or StatusError."""
        for kind in ("configMap", "secret"):
            if (source := volume.get(kind)) is not None:
                mode = source.get("defaultMode", MODE_DEFAULT)
                name = source.get("name") or source.get("secretName")
                return await self._keyed(pod, kind, name, source, mode)
        if (source := volume.get("downwardAPI")) is not None:
            return downward_files(source, source.get("defaultMode", MODE_DEFAULT), downward.field, downward.resource)
        return await self._projected(pod, volume["projected"], downward)

    async def _keyed(self, pod: Object, kind: str, name: str, source: Object, mode: int) -> Payload:
        resource, data_of = _DATA[kind]
        obj = await self._source.get(uid_of(pod), resource, namespace_of(pod), name)
        if obj is None:
            if source.get("optional"):
                return {}
            raise MissingPart(f'{resource.kind.lower()} "{name}" not found')
        return keyed_files(source, data_of(obj), mode, resource.kind.lower())

    async def _projected(self, pod: Object, projected: Object, downward: Downward) -> Payload:
        mode = projected.get("defaultMode", MODE_DEFAULT)
        files: Payload = {}
        for part in projected.get("sources") or ():
            if (token := part.get("serviceAccountToken")) is not None:
                files[token["path"]] = await self._token_file(pod, token, mode)
            elif (source := part.get("downwardAPI")) is not None:
                files |= downward_files(source, mode, downward.field, downward.resource)
            else:
                for kind in ("configMap", "secret"):
                    if (source := part.get(kind)) is not None:
                        files |= await self._keyed(pod, kind, source["name"], source, mode)
        return files

    async def _token_file(self, pod: Object, source: Object, mode: int) -> File:
        audience = source.get("audience") or ""
        lifetime_s = int(source.get("expirationSeconds") or TOKEN_LIFETIME_DEFAULT_S)
        key = (uid_of(pod), audience, lifetime_s)
        token = self._tokens.get(key)
        if token is None or rotation_due_s(token) <= self._clock.now():
            token = self._tokens[key] = await self._source.token(pod, audience, lifetime_s)
        owner = common_user(pod)
        return File(token.text.encode(), mode if owner is None and _group(pod) is None else TOKEN_MODE, owner)


def _group(pod: Object) -> int | None:
    return (pod["spec"].get("securityContext") or {}).get("fsGroup")


def common_user(pod: Object) -> int | None:
    """The one user whom every container runs as, if the pod says so."""
    of_pod = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    users = {(c.get("securityContext") or {}).get("runAsUser", of_pod) for c in containers}
    return users.pop() if len(users) == 1 else None
