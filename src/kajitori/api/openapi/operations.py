"""What a path takes: operations, and the parameters that all of them share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kajitori.api.meta import Object
from kajitori.api.openapi.parameters import Parameter

JSON, YAML, STREAM, ANY = "application/json", "application/yaml", "application/json;stream=watch", "*/*"
DOCUMENT = (JSON, YAML)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`takes` and `gives` name definitions; `gives` is "" for text. `codes` are those of answers that succeed."""

    method: str
    id: str
    tag: str
    description: str
    action: str = ""
    gvk: Object | None = None
    parameters: tuple[Parameter, ...] = ()
    takes: str = ""
    takes_required: bool = True
    consumes: tuple[str, ...] = (ANY,)
    gives: str = ""
    produces: tuple[str, ...] = DOCUMENT
    codes: tuple[str, ...] = ("200",)


@dataclass(frozen=True, slots=True)
class Path:
    """`parameters` belong to every operation, which has only those beside them."""

    path: str
    parameters: tuple[Parameter, ...]
    operations: tuple[Operation, ...]


def path_of(path: str, operations: Sequence[Operation]) -> Path:
    everywhere = set.intersection(*({p.key for p in operation.parameters} for operation in operations))
    shared = _sorted(p for p in operations[0].parameters if p.key in everywhere)
    own = (
        replace(operation, parameters=_sorted(p for p in operation.parameters if p.key not in everywhere))
        for operation in operations
    )
    return Path(path, shared, tuple(own))


def _sorted(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    return tuple(sorted(parameters, key=lambda parameter: parameter.key))


def identifier(text: str, *, capital: bool) -> str:
    """`rbac.authorization` as a part of an operation's name: `rbacAuthorization`, or `RbacAuthorization`."""
    words = "".join(c if c.isalpha() or c == "_" or (c.isdigit() and i) else " " for i, c in enumerate(text)).split()
    first = words[:1] if not capital else [word[:1].upper() + word[1:] for word in words[:1]]
    return "".join([*first, *(word[:1].upper() + word[1:] for word in words[1:])])


def group_name(group: str) -> str:
    return (group or "core").removesuffix(".k8s.io")


def tag_of(group: str, version: str) -> str:
    return f"{identifier(group_name(group), capital=False)}_{version}"


def prefix_of(group: str, version: str) -> str:
    """What every operation's name has after its verb: `RbacAuthorizationV1`."""
    return identifier(group_name(group), capital=True) + identifier(version, capital=True)
