"""What every part may ask of an API server. Errors are `kajitori.api.errors.StatusError` and `Disconnected`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from kajitori.api.meta import Object
from kajitori.api.resource import Resource


class Disconnected(Exception):
    """The server could not be reached or hung up; the message names the address and the reason."""


class PatchType(StrEnum):
    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class WatchEventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: WatchEventType
    object: Object


@dataclass(frozen=True, slots=True)
class ObjectList:
    """Items carry apiVersion and kind. `continue_token` is empty on the last page."""

    items: list[Object]
    resource_version: str
    continue_token: str = ""


class Client(Protocol):
    """`namespace` is needed for namespaced objects; for `list` and `watch`, None means all namespaces."""

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object: ...

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
    ) -> ObjectList: ...

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """`namespace` defaults to the object's own; `name` is for subresources (binding, eviction, token)."""

    async def update(self, resource: Resource, obj: Object, *, subresource: str | None = None) -> Object:
        """Raises Conflict when the object's resourceVersion is not the current one."""

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        field_manager: str = "",
        force: bool = False,
    ) -> Object: ...

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: str = "",
        uid: str = "",
        resource_version: str = "",
    ) -> Object: ...

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: str = "",
    ) -> None: ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: int = 0,
    ) -> AsyncIterator[WatchEvent]:
        """Events after `resource_version`, bookmarks included. Ends when the server ends it; raises Expired (410)."""

    async def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Any request, for what is not a resource: status, lower-case headers, body. Raises only Disconnected."""

    async def close(self) -> None: ...
