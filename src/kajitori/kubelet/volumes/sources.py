"""What volumes are filled from: objects of the API and tokens, asked for through one narrow interface."""

from dataclasses import dataclass
from typing import Protocol

from kajitori.api.meta import Object
from kajitori.api.resource import Resource


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    expires_s: float
    issued_s: float


class ObjectSource(Protocol):
    async def get(self, pod_uid: str, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, watched from now on for this pod; None when there is none."""

    async def token(self, pod: Object, audience: str, expiration_s: int) -> Token:
        """A token of the pod's service account, bound to the pod; raises StatusError."""
