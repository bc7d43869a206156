"""What a MutatingAdmissionPolicy says, compiled, and the object that follows from it for one scene (KEP-3962).

Imported when the first policy matches: it brings the language along.
"""

from collections.abc import Iterator
from typing import Any

from kajitori.api.cel.costs import OBJECT_LIMIT
from kajitori.api.cel.mutation import misnamed
from kajitori.api.cel.values import Opaque, StructValue, plain
from kajitori.api.errors import InternalError, ServiceUnavailable, StatusError
from kajitori.api.expressions.compiled import MUTATED, PATCHES, Composition, Expression, compile_expression
from kajitori.api.expressions.evaluation import OutOfBudget
from kajitori.api.meta import Object
from kajitori.api.patch import json_patch, typed
from kajitori.api.patch.configuration import undeclared
from kajitori.api.patch.refusals import not_registered
from kajitori.api.resource import Resource
from kajitori.api.schema import Undecodable, conform
from kajitori.api.schema.nodes import ANY, LIST, MAP, STRUCT, Node
from kajitori.api.schema.structural import resource_node
from kajitori.apiserver.admission.conditions import Conditions
from kajitori.apiserver.admission.evaluating import Asking
from kajitori.apiserver.admission.scene import Scene

_FIELDS = {"ApplyConfiguration": ("applyConfiguration", MUTATED), "JSONPatch": ("jsonPatch", PATCHES)}


class MutationFailed(Exception):
    """The object cannot be changed as the policy wants it, which its failurePolicy may forgive."""


class MutationRules:
    def __init__(self, spec: Object) -> None:
        variables = Composition(params=spec.get("paramKind") is not None).declare_all(spec.get("variables") or ())
        self._own = variables.compiled
        self.conditions: Conditions | None = None
        if conditions := spec.get("matchConditions"):
            may_fail = spec.get("failurePolicy") == "Ignore"
            self.conditions = Conditions(conditions, may_fail=may_fail, composition=variables)
        environment = variables.environment(patches=True)
        self.mutations: list[tuple[str, Expression]] = []
        for mutation in spec.get("mutations") or ():
            field, gives = _FIELDS[mutation["patchType"]]
            expression = compile_expression(mutation[field]["expression"], environment, gives)
            self.mutations.append((mutation["patchType"], expression))

    async def mutated(self, number: int, scene: Scene, kind: Resource) -> Object:
        """The scene's object after one of `mutations`, defaulted. Raises MutationFailed, StatusError."""
        assert scene.object is not None
        if scene.request.document is None and not kind.definition and kind.schema is None:
            what = _shown(kind)
            delay = (
                "There can be a delay between when CustomResourceDefinitions are created and when they are available."
            )
            raise ServiceUnavailable(f"Resource kind {what} not found. {delay}")
        patch_type, expression = self.mutations[number]
        if expression.error:
            raise MutationFailed(expression.error)
        try:
            outcome = await Asking(scene, self._own, OBJECT_LIMIT).of(expression)
        except OutOfBudget as error:
            raise MutationFailed(str(error)) from error
        if outcome.error:
            raise MutationFailed(outcome.error)
        if patch_type == "ApplyConfiguration":
            result = _applied(scene.object, outcome.value, kind, described=_is_described(scene))
        else:
            result = _patched(scene.object, outcome.value, kind)
        if kind.default is not None:
            kind.default(result)
        return result


def _is_described(scene: Scene) -> bool:
    """Whether upstream's schemas of a group's own version have the kind. They lack a Scale, an Eviction, and whatever
    else is only sent to a resource of another group, and options of a connection."""
    document = scene.request.document
    return document is None or (bool(document.definition) and document.group == scene.request.resource.group)


def _applied(obj: Object, value: Any, kind: Resource, *, described: bool = True) -> Object:
    """Merged as server-side apply does, but nobody comes to own anything."""
    if problems := list(misnamed(value)):
        raise MutationFailed("type mismatch: " + "\n".join(problems))
    config = {**plain(value), "kind": kind.kind, "apiVersion": kind.api_version}
    untyped = "error applying patch: failed to convert patch object to typed object: "
    if not described:
        raise MutationFailed(f"{untyped}no corresponding type for {_shown(kind)}")
    node = resource_node(kind)
    if problems := undeclared(node, config) or list(_nulls(node, config, "")):
        raise MutationFailed(f"{untyped}{_listed(problems)}")
    if atomic := list(_atomic(node, config, "")):
        why = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise MutationFailed(f"error applying patch: invalid ApplyConfiguration: {why}")
    try:
        merged: Object = typed.merge(node, obj, config)
        conform(kind, merged)
    except (StatusError, typed.InvalidList) as error:
        why = error.message if isinstance(error, StatusError) else str(error)
        raise MutationFailed(f"error applying patch: failed to merge patch: {why}") from error
    return merged


def _listed(problems: list[str]) -> str:
    return problems[0] if len(problems) == 1 else "errors:\n" + "".join(f"  {problem}\n" for problem in problems)


def _shown(kind: Resource) -> str:
    return f"{kind.group}/{kind.version}, Kind={kind.kind}"


def _nulls(node: Node, value: Any, path: str) -> Iterator[str]:
    """A null is a value of the language here, which is no map and no list."""
    if value is None and node.kind in (STRUCT, MAP, LIST):
        yield f"{path}: expected {'list' if node.kind == LIST else 'map'}, got &{{NULL_VALUE}}"
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _nulls(typed.child_of(node, name), each, f"{path}.{name}")


def _atomic(node: Node, value: Any, path: str) -> Iterator[str]:
    """Parts of a configuration that somebody owns as a whole."""
    if isinstance(value, dict) and node.kind in (STRUCT, MAP, ANY):
        if node.atomic:
            yield path
        for name, each in value.items():
            yield from _atomic(typed.child_of(node, name), each, f"{path}.{name}")
    elif isinstance(value, list) and node.kind in (LIST, ANY):
        if node.list_type not in ("map", "set"):
            yield path
        element = node.element or Node(ANY)
        for index, each in enumerate(value):
            yield from _atomic(element, each, f"{path}[{index}]")


def _patched(obj: Object, value: Any, kind: Resource) -> Object:
    operations = []
    for each in value:
        made = each.get("value")
        if problems := list(misnamed(made, made.name)) if isinstance(made, StructValue) else []:
            raise MutationFailed("type mismatch: " + "\n".join(problems))
        if isinstance(made, Opaque):
            why = f"type conversion error from '{type(made).__name__}' to '*structpb.Value'"
            raise MutationFailed(f"JSONPath valueExpression evaluated to a type that could not marshal to JSON: {why}")
        operations.append({"op": "", "path": "", **plain(each)})
    try:
        changed = json_patch.apply(obj, operations)
    except json_patch.TestFailed:
        return obj
    except json_patch.Inapplicable as error:
        raise MutationFailed(f"JSON Patch: {error.why}") from error
    except StatusError as error:
        raise MutationFailed(f"JSON Patch: {error.message}") from error
    if (named := changed.get("kind")) != kind.kind and named:
        raise InternalError.of(not_registered(named, kind.api_version))
    try:
        unknown = conform(kind, changed)
    except Undecodable as error:
        raise InternalError.of(error.why) from error
    except StatusError as error:
        raise InternalError.of(error.message) from error
    if unknown:
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise InternalError.of(f"strict decoding error: {listed}")
    return changed
