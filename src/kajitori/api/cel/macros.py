"""Macros: calls that the parser writes out, because their arguments are not values.

has, all, exists, exists_one, existsOne, map, filter; the forms with two variables and transformList, transformMap,
transformMapEntry; optMap and optFlatMap; sortBy; cel.bind where it may be used. Every loop becomes a Fold. Source: the
language definition of CEL and the documentation of its extensions.
"""

from collections.abc import Callable

from kajitori.api.cel.ast import (
    ACCUMULATOR,
    MAP_INSERT,
    NOT_STRICTLY_FALSE,
    OPTIONAL,
    Bind,
    Call,
    Fold,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Node,
    Select,
)

SORT_KEYS = "@sortByAssociatedKeys"
_OVERWRITES = "iteration variable overwrites accumulator variable"


class MacroError(Exception):
    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


def expand(call: Call, *, binding: bool = False) -> Node:
    """What a call stands for; the call itself when it is no macro. Raises MacroError for wrong arguments."""
    receiver = call.target is not None
    if binding and call.function == "bind" and len(call.args) == 3 and _is_named(call.target, "cel"):
        return _bind(call)
    macro = _MACROS.get((call.function, len(call.args), receiver))
    return call if macro is None else macro(call)


def _is_named(node: Node | None, name: str) -> bool:
    return isinstance(node, Ident) and node.name == name


def _bind(call: Call) -> Node:
    name, value, body = call.args
    if not isinstance(name, Ident):
        raise MacroError(name.at, "cel.bind() variable names must be simple identifiers")
    return Bind(call.at, name.name, value, body)


def _accumulated(at: int) -> Node:
    return Ident(at, ACCUMULATOR)


def _call(at: int, function: str, *args: Node) -> Call:
    return Call(at, function, None, list(args))


def _has(call: Call) -> Node:
    operand = call.args[0]
    if not isinstance(operand, Select) or operand.optional:
        raise MacroError(operand.at, "invalid argument to has() macro")
    return Select(call.at, operand.operand, operand.name, test=True)


def _variable(node: Node, wrong: str) -> str:
    if not isinstance(node, Ident) or node.name.startswith("."):
        raise MacroError(node.at, wrong)
    if node.name in (ACCUMULATOR, "__result__"):
        raise MacroError(node.at, _OVERWRITES)
    return node.name


def _variables(call: Call, count: int, wrong: str) -> tuple[str, str]:
    first = _variable(call.args[0], wrong)
    second = _variable(call.args[1], wrong) if count == 2 else ""
    if second == first:
        raise MacroError(call.args[1].at, f"duplicate variable name: {first}")
    return first, second


def _fold(call: Call, count: int, macro: str, start: Node, condition: Node, step: Node, result: Node | None) -> Node:
    wrong = "argument must be a simple name" if count == 2 or macro not in ("map", "filter") else _NO_IDENTIFIER
    one, two = _variables(call, count, wrong)
    assert call.target is not None
    end = _accumulated(call.at) if result is None else result
    return Fold(call.at, call.target, one, two, ACCUMULATOR, start, condition, step, end, macro)


_NO_IDENTIFIER = "argument is not an identifier"


def _all(call: Call, count: int) -> Node:
    at = call.at
    condition = _call(at, NOT_STRICTLY_FALSE, _accumulated(at))
    step = _call(at, "_&&_", _accumulated(at), call.args[count])
    return _fold(call, count, "all", Literal(at, True), condition, step, None)


def _exists(call: Call, count: int) -> Node:
    at = call.at
    condition = _call(at, NOT_STRICTLY_FALSE, _call(at, "!_", _accumulated(at)))
    step = _call(at, "_||_", _accumulated(at), call.args[count])
    return _fold(call, count, "exists", Literal(at, False), condition, step, None)


def _exists_one(call: Call, count: int) -> Node:
    at = call.at
    more = _call(at, "_+_", _accumulated(at), Literal(at, 1))
    step = _call(at, "_?_:_", call.args[count], more, _accumulated(at))
    result = _call(at, "_==_", _accumulated(at), Literal(at, 1))
    return _fold(call, count, "exists_one", Literal(at, 0), Literal(at, True), step, result)


def _filtered(call: Call, where: Node | None, step: Node) -> Node:
    return step if where is None else _call(call.at, "_?_:_", where, step, _accumulated(call.at))


def _map(call: Call, count: int) -> Node:
    at = call.at
    where = call.args[count] if len(call.args) == count + 2 else None
    step = _call(at, "_+_", _accumulated(at), ListOf(at, [call.args[-1]]))
    return _fold(call, count, "map", ListOf(at, []), Literal(at, True), _filtered(call, where, step), None)


def _filter(call: Call, count: int) -> Node:
    at, variable = call.at, call.args[0]
    kept = Ident(variable.at, _variable(variable, _NO_IDENTIFIER))
    step = _call(at, "_+_", _accumulated(at), ListOf(at, [kept]))
    whole = _filtered(call, call.args[1], step)
    return _fold(call, count, "filter", ListOf(at, []), Literal(at, True), whole, None)


def _transform_map(call: Call, count: int) -> Node:
    at = call.at
    where = call.args[count] if len(call.args) == count + 2 else None
    key = Ident(call.args[0].at, _variable(call.args[0], "argument must be a simple name"))
    step = _call(at, MAP_INSERT, _accumulated(at), key, call.args[-1])
    return _fold(call, count, "", MapOf(at, []), Literal(at, True), _filtered(call, where, step), None)


def _transform_entry(call: Call, count: int) -> Node:
    at = call.at
    where = call.args[count] if len(call.args) == count + 2 else None
    step = _call(at, MAP_INSERT, _accumulated(at), call.args[-1])
    return _fold(call, count, "", MapOf(at, []), Literal(at, True), _filtered(call, where, step), None)


def _opt_map(call: Call, wrap: bool) -> Node:
    """`target.hasValue() ? optional.of(body) : optional.none()`, with the value bound to the variable in the body."""
    at, target = call.at, call.target
    assert target is not None
    name = call.args[0]
    which = "optMap()" if wrap else "optFlatMap()"
    if not isinstance(name, Ident):
        raise MacroError(name.at, f"{which} variable name must be a simple identifier")
    bound: Node = Bind(at, name.name, Call(at, "value", Ident(at, OPTIONAL), []), call.args[1])
    if wrap:
        bound = _call(at, "optional.of", bound)
    present = Call(at, "hasValue", Ident(at, OPTIONAL), [])
    return Bind(at, OPTIONAL, target, _call(at, "_?_:_", present, bound, _call(at, "optional.none")))


def _sort_by(call: Call) -> Node:
    """`list.sortBy(e, key)`: the list is evaluated once, then sorted by the list of its elements' keys."""
    at, target = call.at, call.target
    assert target is not None
    if not isinstance(target, Ident | Select | ListOf | Fold | Call):
        raise MacroError(
            target.at, "sortBy can only be applied to a list, identifier, comprehension, call or select expression"
        )
    name = "@__sortBy_input__"
    keys = _map(Call(at, "map", Ident(at, name), call.args), 1)
    return Bind(at, name, target, Call(at, SORT_KEYS, Ident(at, name), [keys]))


def _of(macro: Callable[[Call, int], Node], count: int) -> Callable[[Call], Node]:
    return lambda call: macro(call, count)


_MACROS: dict[tuple[str, int, bool], Callable[[Call], Node]] = {
    ("has", 1, False): _has,
    **{("all", 1 + count, True): _of(_all, count) for count in (1, 2)},
    **{("exists", 1 + count, True): _of(_exists, count) for count in (1, 2)},
    **{(name, 1 + count, True): _of(_exists_one, count) for count in (1, 2) for name in ("exists_one", "existsOne")},
    ("map", 2, True): _of(_map, 1),
    ("map", 3, True): _of(_map, 1),
    ("filter", 2, True): _of(_filter, 1),
    ("transformList", 3, True): _of(_map, 2),
    ("transformList", 4, True): _of(_map, 2),
    ("transformMap", 3, True): _of(_transform_map, 2),
    ("transformMap", 4, True): _of(_transform_map, 2),
    ("transformMapEntry", 3, True): _of(_transform_entry, 2),
    ("transformMapEntry", 4, True): _of(_transform_entry, 2),
    ("optMap", 2, True): lambda call: _opt_map(call, True),
    ("optFlatMap", 2, True): lambda call: _opt_map(call, False),
    ("sortBy", 2, True): _sort_by,
}
