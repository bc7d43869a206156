"""The paths of a group and version: which operations they take, on which kind, with which parameters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kajitori.api.meta import Object
from kajitori.api.openapi.schemas import DELETE_OPTIONS, PATCH, STATUS, definition_name, list_name
from kajitori.api.resource import Resource, Subresource
from kajitori.api.schema.definitions import definition_of


@dataclass(frozen=True, slots=True)
class Operation:
    """`takes` and `gives` name definitions; "" for text. `queries` are names of query parameters."""

    method: str
    action: str
    id: str
    description: str
    gvk: Object
    queries: tuple[str, ...] = ()
    takes: str = ""
    gives: str = ""
    media: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True, slots=True)
class Path:
    path: str
    parameters: tuple[str, ...]
    operations: tuple[Operation, ...]


PARAMETERS: dict[str, tuple[str, str]] = {
    "namespace": ("string", "object name and auth scope, such as for teams and projects"),
    "name": ("string", "name of the object"),
    "path": ("string", "path is the URL path to use for the current proxy request"),
    "pretty": ("string", "If 'true', then the output is pretty printed."),
    "dryRun": ("string", "When present, indicates that modifications should not be persisted. Valid value: All."),
    "fieldManager": ("string", "fieldManager is a name associated with the actor that is making these changes."),
    "fieldValidation": (
        "string",
        "What the server does with unknown or duplicate fields: Ignore, Warn (the default) or Strict.",
    ),
    "force": ("boolean", 'Force is going to "force" Apply requests: it takes over fields owned by others.'),
    "allowWatchBookmarks": ("boolean", 'Requests watch events with type "BOOKMARK".'),
    "continue": ("string", "Retrieves the next page of a list that was limited."),
    "fieldSelector": ("string", "Restricts the list of returned objects by their fields."),
    "labelSelector": ("string", "Restricts the list of returned objects by their labels."),
    "limit": ("integer", "The maximum number of responses to return for a list call."),
    "resourceVersion": ("string", "Constrains which resource versions a request may be served from."),
    "resourceVersionMatch": ("string", "How resourceVersion is applied to list calls."),
    "sendInitialEvents": ("boolean", "Begin a watch with synthetic events for the objects that exist."),
    "timeoutSeconds": ("integer", "Timeout for the list or watch call."),
    "watch": (
        "boolean",
        "Watch for changes to the described resources: a stream of what is added, updated and removed.",
    ),
    "gracePeriodSeconds": ("integer", "The duration in seconds before the object should be deleted."),
    "orphanDependents": ("boolean", "Deprecated: use propagationPolicy."),
    "propagationPolicy": ("string", "Whether and how garbage collection is performed: Orphan, Background, Foreground."),
    "ignoreStoreReadErrorWithClusterBreakingPotential": ("boolean", "Delete an object that cannot be decoded."),
}
IN_PATH = ("namespace", "name", "path")

_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_LIST = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_DELETE = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
_PATCH_MEDIA = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
)
_STRATEGIC = "application/strategic-merge-patch+json"
_CONNECTED = ("attach", "exec", "portforward", "proxy")


def paths_of(resources: Iterable[Resource]) -> list[Path]:
    """All paths of these kinds, sorted."""
    return sorted((path for resource in resources for path in _of_kind(resource)), key=lambda path: path.path)


def _of_kind(resource: Resource) -> Iterator[Path]:
    root = resource.path("{namespace}" if resource.namespaced else None)
    scope = ("namespace",) if resource.namespaced else ()
    maker = _Maker(resource)
    yield from _path(root, (*scope, "pretty"), maker.collection())
    if resource.namespaced and "list" in resource.verbs:
        everywhere = (maker.listing("ForAllNamespaces"),)
        yield from _path(resource.path(), ("pretty",), everywhere)
    yield from _path(f"{root}/{{name}}", ("name", *scope, "pretty"), maker.single())
    for subresource in resource.subresources:
        path = f"{root}/{{name}}/{subresource.name}"
        yield from _path(path, ("name", *scope, "pretty"), maker.subresource(subresource))


def _path(path: str, parameters: tuple[str, ...], operations: tuple[Operation, ...]) -> Iterator[Path]:
    if operations:
        yield Path(path, parameters, operations)


class _Maker:
    """The operations of one kind."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._kind = definition_name(resource)
        self._gvk: Object = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        group = "".join(part.capitalize() for part in (resource.group or "core").removesuffix(".k8s.io").split("."))
        self._group = f"{group}{resource.version.capitalize()}"
        self._scope = "Namespaced" if resource.namespaced else ""

    def _id(self, verb: str, suffix: str = "") -> str:
        return f"{verb}{self._group}{self._scope}{self._resource.kind}{suffix}"

    def _media(self) -> tuple[str, ...]:
        return _PATCH_MEDIA if self._resource.schema is not None else (*_PATCH_MEDIA, _STRATEGIC)

    def listing(self, suffix: str = "") -> Operation:
        scope = "" if suffix else self._scope
        return Operation(
            "get",
            "list",
            f"list{self._group}{scope}{self._resource.kind}{suffix}",
            f"list or watch objects of kind {self._resource.kind}",
            self._gvk,
            _LIST,
            gives=list_name(self._resource),
        )

    def collection(self) -> tuple[Operation, ...]:
        kind, verbs = self._resource.kind, self._resource.verbs
        found = [self.listing()] if "list" in verbs else []
        if "create" in verbs:
            words = f"create a {kind}"
            found.append(
                Operation("post", "post", self._id("create"), words, self._gvk, _WRITE, self._kind, self._kind)
            )
        if "deletecollection" in verbs:
            queries = tuple(sorted({*_LIST, *_DELETE} - {"watch", "allowWatchBookmarks"}))
            words = f"delete collection of {kind}"
            name = f"delete{self._group}Collection{self._scope}{kind}"
            found.append(
                Operation("delete", "deletecollection", name, words, self._gvk, queries, DELETE_OPTIONS, STATUS)
            )
        return tuple(found)

    def single(self) -> tuple[Operation, ...]:
        kind, verbs = self._resource.kind, self._resource.verbs
        found = list(self._changing(verbs, self._kind, self._gvk, "", kind))
        if "delete" in verbs:
            words = f"delete a {kind}"
            found.append(
                Operation("delete", "delete", self._id("delete"), words, self._gvk, _DELETE, DELETE_OPTIONS, STATUS)
            )
        return tuple(found)

    def subresource(self, subresource: Subresource) -> tuple[Operation, ...]:
        resource = self._resource
        group = subresource.group or (resource.group if not subresource.kind else "")
        version = subresource.version or resource.version
        kind = subresource.kind or resource.kind
        suffix = subresource.name.capitalize()
        gvk = {"group": group, "version": version, "kind": kind}
        if subresource.name in _CONNECTED:
            return self._connecting(subresource, gvk)
        definition = definition_of(group, version, kind) if subresource.kind else self._kind
        if subresource.name == "log":
            definition = ""
        found = list(
            self._changing(subresource.verbs, definition, gvk, suffix, f"{subresource.name} of the {resource.kind}")
        )
        if "create" in subresource.verbs:
            words = f"create {subresource.name} of a {resource.kind}"
            found.append(
                Operation("post", "post", self._id("create", suffix), words, gvk, _WRITE, definition, definition)
            )
        return tuple(found)

    def _connecting(self, subresource: Subresource, gvk: Object) -> tuple[Operation, ...]:
        methods = {"get": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
        return tuple(
            Operation(
                methods[verb],
                "connect",
                self._id(f"connect{methods[verb].capitalize()}", subresource.name.capitalize()),
                f"connect {methods[verb].upper()} requests to {subresource.name} of {self._resource.kind}",
                gvk,
            )
            for verb in subresource.verbs
        )

    def _changing(
        self, verbs: tuple[str, ...], definition: str, gvk: Object, suffix: str, what: str
    ) -> Iterator[Operation]:
        if "get" in verbs:
            yield Operation("get", "get", self._id("read", suffix), f"read the specified {what}", gvk, gives=definition)
        if "update" in verbs:
            words = f"replace the specified {what}"
            yield Operation("put", "put", self._id("replace", suffix), words, gvk, _WRITE, definition, definition)
        if "patch" in verbs:
            words = f"partially update the specified {what}"
            queries = (*_WRITE, "force")
            name = self._id("patch", suffix)
            yield Operation("patch", "patch", name, words, gvk, queries, PATCH, definition, self._media())
