"""The paths of kinds: which operations they take, on which kind, with which parameters."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from kajitori.api.deletions import DOCUMENTED_AS_SHOWN
from kajitori.api.meta import Object
from kajitori.api.openapi import parameters as p
from kajitori.api.openapi.operations import (
    ANY,
    DOCUMENT,
    STREAM,
    Operation,
    Path,
    identifier,
    path_of,
    prefix_of,
    tag_of,
)
from kajitori.api.openapi.schemas import DELETE_OPTIONS, PATCH, STATUS, WATCH_EVENT, definition_name, list_name
from kajitori.api.resource import Resource, Subresource
from kajitori.api.schema.definitions import definition_of

_JSON_PATCH, _MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
_STRATEGIC_MERGE_PATCH, _APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
_CONNECTED = {
    "attach": ("get", "post"),
    "exec": ("get", "post"),
    "portforward": ("get", "post"),
    "proxy": ("delete", "get", "head", "options", "patch", "post", "put"),
}
"""Methods of what is passed on to a node."""
_USE_LIST = "deprecated: use the 'watch' parameter with a list operation instead"
_ANSWERS = {"post": ("200", "201", "202"), "put": ("200", "201"), "delete": ("200", "202")}


def paths_of(resources: Iterable[Resource]) -> list[Path]:
    """All paths of these kinds, sorted."""
    return sorted((path for resource in resources for path in _Kind(resource).paths()), key=lambda path: path.path)


def _with_article(noun: str) -> str:
    """`a Pod`, `an Ingress`, and a plural without an article."""
    if noun.endswith("s") and not noun.endswith("ss"):
        return noun
    return f"an {noun}" if noun[0] in "AEIOU" else f"a {noun}"


class _Kind:
    """What can be done with one kind."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._custom = resource.schema is not None
        self._definition = definition_name(resource)
        self._gvk: Object = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        self._prefix = prefix_of(resource.group, resource.version)
        self._scope = (p.NAMESPACE,) if resource.namespaced else ()
        self._watched = "watch" in resource.verbs and not self._custom
        self._streams = (*DOCUMENT, STREAM) if "list" in resource.verbs and not self._custom else DOCUMENT

    def paths(self) -> Iterator[Path]:
        resource, scope = self._resource, self._scope
        root = resource.path("{namespace}" if resource.namespaced else None)
        yield from self._path(root, scope, self._collection())
        if resource.namespaced and "list" in resource.verbs:
            yield from self._path(resource.path(), (), iter((self._list("ForAllNamespaces"),)))
        yield from self._path(f"{root}/{{name}}", (p.name_of(resource.kind), *scope), self._single())
        for subresource in resource.subresources:
            yield from self._of_subresource(f"{root}/{{name}}/{subresource.name}", subresource)
        if self._watched:
            yield from self._watches(root)

    def _path(self, path: str, parameters: tuple[p.Parameter, ...], operations: Iterator[Operation]) -> Iterator[Path]:
        if found := [self._with(operation, (*parameters, p.PRETTY)) for operation in operations]:
            yield path_of(path, found)

    def _with(self, operation: Operation, parameters: tuple[p.Parameter, ...]) -> Operation:
        known = {parameter.key for parameter in operation.parameters}
        added = tuple(parameter for parameter in parameters if parameter.key not in known)
        return replace(operation, parameters=(*operation.parameters, *added))

    def _operation(self, method: str, action: str, name: str, description: str, **details: Any) -> Operation:
        """`name` has a place for what every name says of group and version."""
        details.setdefault("gvk", self._gvk)
        details.setdefault("codes", _ANSWERS.get(method, ("200",)))
        details.setdefault("consumes", DOCUMENT if self._custom else (ANY,))
        return Operation(
            method=method,
            action=action,
            id=name.format(self._prefix),
            tag=tag_of(self._resource.group, self._resource.version),
            description=description,
            **details,
        )

    def _name(self, suffix: str = "") -> str:
        """`{}NamespacedPodStatus`."""
        return f"{{}}{'Namespaced' if self._resource.namespaced else ''}{self._resource.kind}{suffix}"

    def _list(self, suffix: str = "") -> Operation:
        kind = self._resource.kind
        name = f"list{{}}{kind}{suffix}" if suffix else f"list{self._name()}"
        words = f"list or watch objects of kind {kind}" if self._watched else f"list objects of kind {kind}"
        gives = list_name(self._resource)
        return self._operation("get", "list", name, words, parameters=p.LISTING, gives=gives, produces=self._streams)

    def _collection(self) -> Iterator[Operation]:
        kind, verbs = self._resource.kind, self._resource.verbs
        if "list" in verbs:
            yield self._list()
        if "create" in verbs:
            yield self._create(f"create{self._name()}", f"create {_with_article(kind)}", self._definition, self._gvk)
        if "deletecollection" in verbs:
            name = "delete{}Collection" + self._name().removeprefix("{}")
            words = f"delete collection of {kind}"
            options: Object = {"parameters": p.LISTING} if self._custom else {"parameters": p.DELETING_MANY}
            if not self._custom:
                options |= {"takes": DELETE_OPTIONS, "takes_required": False}
            yield self._operation("delete", "deletecollection", name, words, gives=STATUS, codes=("200",), **options)

    def _create(self, name: str, words: str, definition: str, gvk: Object) -> Operation:
        return self._operation(
            "post", "post", name, words, gvk=gvk, parameters=p.WRITING, takes=definition, gives=definition
        )

    def _single(self) -> Iterator[Operation]:
        resource = self._resource
        yield from self._changing(resource.verbs, self._definition, self._gvk, "", f"the specified {resource.kind}")
        if "delete" in resource.verbs:
            shown = (resource.group, resource.plural) in DOCUMENTED_AS_SHOWN
            yield self._operation(
                "delete",
                "delete",
                f"delete{self._name()}",
                f"delete {_with_article(resource.kind)}",
                parameters=p.DELETING,
                takes=DELETE_OPTIONS,
                takes_required=False,
                gives=self._definition if shown else STATUS,
            )

    def _of_subresource(self, path: str, subresource: Subresource) -> Iterator[Path]:
        resource = self._resource
        group = subresource.group or (resource.group if not subresource.kind or self._custom else "")
        kind = subresource.kind or resource.kind
        version = subresource.version or resource.version
        definition = definition_of(group, version, kind) if subresource.kind else self._definition
        gvk = {"group": group, "version": version, "kind": kind}
        parameters = (p.name_of(kind), *self._scope)
        if subresource.name in _CONNECTED:
            yield from self._connections(path, subresource.name, gvk, parameters)
        elif subresource.name == "log":
            words, name = f"read log of the specified {resource.kind}", f"read{self._name('Log')}"
            media, options = ("text/plain", *DOCUMENT), p.OF_OPTIONS["log"]
            operation = self._operation("get", "get", name, words, parameters=options, produces=media)
            yield from self._path(path, parameters, iter((operation,)))
        else:
            shown = self._gvk if self._custom else gvk
            yield from self._path(path, parameters, self._subresource(subresource, definition, shown))

    def _subresource(self, subresource: Subresource, definition: str, gvk: Object) -> Iterator[Operation]:
        kind, name = self._resource.kind, subresource.name
        suffix = identifier(name, capital=True)
        yield from self._changing(subresource.verbs, definition, gvk, suffix, f"{name} of the specified {kind}")
        if "create" in subresource.verbs:
            words = f"create {name} of {_with_article(kind)}"
            yield self._create(f"create{self._name(suffix)}", words, definition, gvk)

    def _connections(
        self, path: str, subresource: str, gvk: Object, parameters: tuple[p.Parameter, ...]
    ) -> Iterator[Path]:
        options = (*parameters, *p.OF_OPTIONS[subresource])
        suffix = identifier(subresource, capital=True)
        yield path_of(path, self._connect(subresource, suffix, gvk, options))
        if subresource == "proxy":
            deeper = (*options, p.REMAINING_PATH)
            yield path_of(f"{path}/{{path}}", self._connect(subresource, f"{suffix}WithPath", gvk, deeper))

    def _connect(
        self, subresource: str, suffix: str, gvk: Object, parameters: tuple[p.Parameter, ...]
    ) -> list[Operation]:
        rest = self._name(suffix).removeprefix("{}")
        return [
            self._operation(
                method,
                "connect",
                f"connect{{}}{method.capitalize()}{rest}",
                f"connect {method.upper()} requests to {subresource} of {self._resource.kind}",
                gvk=gvk,
                parameters=parameters,
                produces=(ANY,),
                codes=("200",),
            )
            for method in _CONNECTED[subresource]
        ]

    def _changing(
        self, verbs: tuple[str, ...], definition: str, gvk: Object, suffix: str, what: str
    ) -> Iterator[Operation]:
        name = self._name(suffix)
        if "get" in verbs:
            options = (p.RESOURCE_VERSION,) if self._custom else ()
            yield self._operation(
                "get", "get", f"read{name}", f"read {what}", gvk=gvk, parameters=options, gives=definition
            )
        if "update" in verbs:
            yield self._operation(
                "put",
                "put",
                f"replace{name}",
                f"replace {what}",
                gvk=gvk,
                parameters=p.WRITING,
                takes=definition,
                gives=definition,
            )
        if "patch" in verbs:
            strategic = () if self._custom else (_STRATEGIC_MERGE_PATCH,)
            yield self._operation(
                "patch",
                "patch",
                f"patch{name}",
                f"partially update {what}",
                gvk=gvk,
                parameters=p.PATCHING,
                takes=PATCH,
                consumes=(_JSON_PATCH, _MERGE_PATCH, *strategic, _APPLY),
                gives=definition,
                codes=("200",) if self._custom else ("200", "201"),
            )

    def _watches(self, root: str) -> Iterator[Path]:
        """The old paths that watch without being asked to."""
        resource = self._resource
        head, _, rest = root.partition(f"/{resource.version}/")
        watched = f"{head}/{resource.version}/watch/"
        kind, name = resource.kind, self._name()
        words = f"watch individual changes to a list of {kind}. {_USE_LIST}."
        if resource.namespaced:
            everywhere = f"watch{{}}{kind}ListForAllNamespaces"
            yield from self._watch(f"{watched}{resource.plural}", (), "watchlist", everywhere, words)
        yield from self._watch(f"{watched}{rest}", self._scope, "watchlist", f"watch{name}List", words)
        one = (
            f"watch changes to an object of kind {kind}. {_USE_LIST}, filtered to a single item with the "
            "'fieldSelector' parameter."
        )
        scope = (p.name_of(kind), *self._scope)
        yield from self._watch(f"{watched}{rest}/{{name}}", scope, "watch", f"watch{name}", one)

    def _watch(self, path: str, scope: tuple[p.Parameter, ...], action: str, name: str, words: str) -> Iterator[Path]:
        operation = self._operation(
            "get", action, name, words, parameters=p.LISTING, gives=WATCH_EVENT, produces=(*DOCUMENT, STREAM)
        )
        yield from self._path(path, scope, iter((operation,)))
