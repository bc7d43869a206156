"""Expressions that select devices (KEP-4381): `device.attributes["gpu.example.com"].model == "a"`.

An attribute is a text, a number, a boolean or a version, which is known only when it is there. Sizes are those that
ResourceSlices may have. Source: CELDeviceSelector of resource.k8s.io/v1.
"""

from dataclasses import replace
from functools import cache

from kajitori.api.cel import types
from kajitori.api.cel.environment import Environment
from kajitori.api.cel.errors import CompileError
from kajitori.api.cel.estimates import estimate
from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.program import compile
from kajitori.api.cel.types import Declared, Field, Type, map_of, opaque
from kajitori.api.field_errors import FieldError, forbidden, invalid, too_long

_EXPRESSION_BYTES_MAX, _COST_MAX = 10 * 1024, 1_000_000
_ENTRIES_MAX, _DOMAIN_BYTES_MAX, _NAME_BYTES_MAX, _VALUE_BYTES_MAX = 32, 63, 32, 64
_GIVES = (types.BOOL, types.ANY)


def _by_name(value: Declared, name_bytes_max: int) -> Declared:
    name = Declared(types.STRING, name_bytes_max)
    return Declared(map_of(types.STRING, value.type), _ENTRIES_MAX, key=name, element=value)


def _by_domain(value: Declared) -> Declared:
    return _by_name(_by_name(value, _NAME_BYTES_MAX), _DOMAIN_BYTES_MAX)


_FIELDS = {
    "driver": Declared(types.STRING, _DOMAIN_BYTES_MAX),
    "attributes": _by_domain(Declared(types.ANY, _VALUE_BYTES_MAX)),
    "capacity": _by_domain(Declared(opaque("kubernetes.Quantity"))),
    "allowMultipleAllocations": Declared(types.BOOL, 1),
}
DEVICE = Declared(
    Type("object", "kubernetes.DRADevice"), fields={name: Field(each, name) for name, each in _FIELDS.items()}
)


@cache
def _environment() -> Environment:
    return replace(kubernetes_environment({"device": DEVICE}), binding=True)


def selector_error(path: str, source: str) -> FieldError | None:
    """What is wrong with an expression that stands at a path."""
    if len(source.encode()) > _EXPRESSION_BYTES_MAX:
        return too_long(path, "", _EXPRESSION_BYTES_MAX)
    try:
        program = compile(source, _environment())
    except CompileError as error:
        return invalid(path, source, f"compilation failed: {error}")
    if program.type not in _GIVES:
        return invalid(path, source, f"must evaluate to bool or the unknown type, not {_full_name(program.type)}")
    if estimate(program.tree, DEVICE).most > _COST_MAX:
        return forbidden(path, "too complex, exceeds cost limit")
    return None


def _full_name(found: Type) -> str:
    """As upstream's runtime calls it, where the checker says `any`."""
    if found == types.ANY:
        return "google.protobuf.Any"
    if found.kind in ("list", "map"):
        return f"{found.kind}({', '.join(map(_full_name, found.parameters))})"
    return str(found)
