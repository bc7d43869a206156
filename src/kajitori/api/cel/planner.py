"""From a checked tree to a function that evaluates it. Costs are counted on the way, as upstream counts them.

A plan takes a `Frame` and gives a value or raises EvaluationError. Selecting costs 1, making a list 10, a map 30, an
object 40, a call what `costs` says. The limit is looked at wherever a cost depends on the data; between two looks an
expression can only cost as much as it is long.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kajitori.api.cel import loops
from kajitori.api.cel.ast import OPTIONAL, Bind, Call, Fold, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from kajitori.api.cel.costs import CALL_LIMIT, runtime_cost
from kajitori.api.cel.errors import CostExceeded, EvaluationError, no_overload
from kajitori.api.cel.frames import ABSENT, Frame, Plan, restore
from kajitori.api.cel.functions import Overload
from kajitori.api.cel.regexes import compiled
from kajitori.api.cel.values import NONE, Optional, StructValue, UInt

_LIST_COST, _MAP_COST, _STRUCT_COST = 10, 30, 40
_KEYS = (str, int, bool, UInt)


def plan(node: Node) -> Plan:
    return _PLANS[type(node)](node)


def _literal(node: Literal) -> Plan:
    value = node.value
    return lambda frame: value


def _ident(node: Ident) -> Plan:
    if node.constant is not None:
        return _constant(node.constant)
    return _variable(node.name.removeprefix("."))


def _variable(name: str) -> Plan:
    if name == OPTIONAL:
        return lambda frame: frame.variables[OPTIONAL]

    def read(frame: Frame) -> Any:
        frame.cost += 1
        try:
            return frame.variables[name]
        except KeyError:
            raise EvaluationError(f"no such attribute(s): {name}") from None

    return read


def _constant(value: Any) -> Plan:
    def give(frame: Frame) -> Any:
        frame.cost += 1
        return value

    return give


def _select(node: Select) -> Plan:
    if node.constant is not None:
        return _constant(node.constant)
    if node.variable:
        return _variable(node.variable)
    operand, key = plan(node.operand), node.key or node.name
    of_schema = node.operand.type.kind == "object"
    if node.test:
        return lambda frame: _has(operand(frame), key, of_schema)
    if node.optional:
        return lambda frame: _optionally(_charged(frame, operand), key)

    def select(frame: Frame) -> Any:
        value = operand(frame)
        frame.cost += 1
        if type(value) is dict:
            try:
                found = value[key]
            except KeyError:
                raise EvaluationError(f"no such key: {key}") from None
            if found is None and of_schema:
                raise EvaluationError(f"no such key: {key}")
            return found
        return _selected(value, key)

    return select


def _charged(frame: Frame, operand: Plan) -> Any:
    frame.cost += 1
    return operand(frame)


def _selected(value: Any, key: Any) -> Any:
    """Of what is no plain document: an optional, a map that is computed."""
    if isinstance(value, Mapping):
        try:
            return value[key]
        except KeyError:
            raise EvaluationError(f"no such key: {key}") from None
    if type(value) is Optional:
        return _optionally(value, key)
    raise _nothing_in(value, key)


def _nothing_in(value: Any, key: Any) -> EvaluationError:
    """What has no fields at all, null for one, lacks this one too."""
    if isinstance(value, list):
        return EvaluationError("unsupported index type 'string' in list")
    return EvaluationError(f"no such key: {key}")


def _has(value: Any, key: str, of_schema: bool) -> bool:
    """A field of a schema that is null is as good as absent."""
    if isinstance(value, Mapping):
        return key in value and not (of_schema and value.get(key) is None)
    if type(value) is Optional:
        return value.present and _has(value.value, key, of_schema)
    raise no_overload()


def _optionally(value: Any, key: Any) -> Optional:
    """`value.?key` and `value[?key]`: none where there is nothing."""
    if type(value) is Optional:
        return _optionally(value.value, key) if value.present else NONE
    if isinstance(value, list):
        number = _number(key)
        return Optional(value[number]) if number is not None and 0 <= number < len(value) else NONE
    if isinstance(value, Mapping):
        return Optional(value[key]) if type(key) in (*_KEYS, float) and key in value else NONE
    raise no_overload()


def _number(key: Any) -> int | None:
    if type(key) in (int, UInt):
        return int(key)
    return int(key) if type(key) is float and key.is_integer() else None


def index(value: Any, key: Any) -> Any:
    """`value[key]`."""
    if isinstance(value, Mapping):
        try:
            return value[key]
        except (KeyError, TypeError):
            raise EvaluationError(f"no such key: {_shown(key)}") from None
    if isinstance(value, list):
        number = _number(key)
        if number is None:
            raise EvaluationError(f"unsupported index type '{type(key).__name__}' in list")
        if not 0 <= number < len(value):
            raise EvaluationError(f"index out of bounds: {number}")
        return value[number]
    if type(value) is Optional:
        return _optionally(value, key)
    raise no_overload()


def _shown(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


# Calls


def _call(node: Call) -> Plan:
    special = _SPECIAL.get(node.function)
    plans = [plan(operand) for operand in node.operands]
    if node.function in ("find", "findAll") and isinstance(node.args[0], Literal):
        compiled(node.args[0].value)
    if special is not None:
        return special(plans)
    cost = runtime_cost(node)
    run = _chosen(node)
    made = _cheap(run, plans) if cost is None else _costly(run, plans, cost)
    if _converts_constant(node):
        made(Frame({}, CALL_LIMIT))  # what cannot be converted is said before anything is evaluated
    return made


_CONVERSIONS = frozenset({"dyn", "int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration"})


def _converts_constant(node: Node) -> bool:
    """`int(double('1e30'))`, and what is known although its type is not: `int(dyn(true))`."""
    if not isinstance(node, Call) or node.function not in _CONVERSIONS or len(node.operands) != 1:
        return False
    (operand,) = node.operands
    return isinstance(operand, Literal) or _converts_constant(operand)


def _cheap(run: Callable[..., Any], plans: list[Plan]) -> Plan:
    """A call that costs 1 whatever its arguments are."""
    if len(plans) == 1:
        (only,) = plans

        def call1(frame: Frame) -> Any:
            frame.cost += 1
            return run(only(frame))

        return call1
    if len(plans) == 2:
        first, second = plans

        def call2(frame: Frame) -> Any:
            frame.cost += 1
            return run(first(frame), second(frame))

        return call2

    def call(frame: Frame) -> Any:
        frame.cost += 1
        return run(*[each(frame) for each in plans])

    return call


def _costly(run: Callable[..., Any], plans: list[Plan], cost: Callable[[tuple[Any, ...], Any], int]) -> Plan:
    def call(frame: Frame) -> Any:
        values = tuple([each(frame) for each in plans])
        result = run(*values)
        frame.cost += cost(values, result)
        if frame.cost > frame.limit:
            raise CostExceeded
        return result

    return call


def _chosen(node: Call) -> Callable[..., Any]:
    """The one implementation, or a choice by what the arguments turn out to be."""
    overloads: tuple[Overload, ...] = node.overloads
    known = not any(_is_dynamic(operand) for operand in node.operands)
    if overloads[0].open or (len(overloads) == 1 and known):
        return overloads[0].run

    def choose(*values: Any) -> Any:
        for overload in overloads:
            if overload.takes(values):
                return overload.run(*values)
        raise no_overload()

    return choose


def _is_dynamic(node: Node) -> bool:
    waiting = [node.type]
    while waiting:
        each = waiting.pop()
        if each.kind in ("dyn", "any", "param", "error"):
            return True
        waiting += each.parameters
    return False


def _and(operands: list[Plan]) -> Plan:
    return _logic(operands, False)


def _or(operands: list[Plan]) -> Plan:
    return _logic(operands, True)


def _logic(operands: list[Plan], decisive: bool) -> Plan:
    """One decisive side is enough, even when the other fails."""
    left, right = operands

    def decide(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        for side in (left, right):
            try:
                value: object = side(frame)
            except CostExceeded:
                raise
            except EvaluationError as error:
                failed = failed or error
                continue
            if value is decisive:
                return decisive
            if type(value) is not bool:
                failed = failed or no_overload()
        if failed is not None:
            raise failed
        return not decisive

    return decide


def _condition(operands: list[Plan]) -> Plan:
    condition, yes, no = operands

    def choose(frame: Frame) -> Any:
        value = condition(frame)
        if value is True:
            return yes(frame)
        if value is False:
            return no(frame)
        raise no_overload()

    return choose


def _indexing(find: Callable[[Any, Any], Any]) -> Callable[[list[Plan]], Plan]:
    def make(operands: list[Plan]) -> Plan:
        value, key = operands

        def look(frame: Frame) -> Any:
            frame.cost += 1
            return find(value(frame), key(frame))

        return look

    return make


def _not_strictly_false(operands: list[Plan]) -> Plan:
    (operand,) = operands

    def lenient(frame: Frame) -> bool:
        frame.cost += 1
        try:
            return operand(frame) is not False
        except CostExceeded:
            raise
        except EvaluationError:
            return True

    return lenient


def _alternative(taken: Callable[[Optional], Any]) -> Callable[[list[Plan]], Plan]:
    """`optional.or(optional)` and `optional.orValue(value)`: what follows is evaluated only when needed."""

    def make(operands: list[Plan]) -> Plan:
        optional, other = operands

        def either(frame: Frame) -> Any:
            frame.cost += 1
            found = optional(frame)
            if type(found) is not Optional:
                raise no_overload()
            return taken(found) if found.present else other(frame)

        return either

    return make


_SPECIAL: dict[str, Callable[[list[Plan]], Plan]] = {
    "_&&_": _and,
    "_||_": _or,
    "_?_:_": _condition,
    "_[_]": _indexing(index),
    "_[?_]": _indexing(_optionally),
    "@not_strictly_false": _not_strictly_false,
    "or": _alternative(lambda found: found),
    "orValue": _alternative(lambda found: found.value),
}


# Literals of several


def _list(node: ListOf) -> Plan:
    elements = [plan(each) for each in node.elements]
    optional = node.optional

    def make(frame: Frame) -> list[Any]:
        frame.cost += _LIST_COST
        return [each(frame) for each in elements]

    def make_optional(frame: Frame) -> list[Any]:
        frame.cost += _LIST_COST
        found: list[Any] = []
        for number, each in enumerate(elements):
            value = each(frame)
            if number in optional:
                if not _present(value):
                    continue
                value = value.value
            found.append(value)
        return found

    return make_optional if optional else make


def _present(value: Any) -> bool:
    if type(value) is not Optional:
        raise EvaluationError("cannot initialize optional list element from non-optional value")
    present: bool = value.present
    return present


def _map(node: MapOf) -> Plan:
    entries = [(plan(each.key), plan(each.value), each.optional) for each in node.entries]

    def make(frame: Frame) -> dict[Any, Any]:
        frame.cost += _MAP_COST
        found: dict[Any, Any] = {}
        for key_plan, value_plan, optional in entries:
            key, value = key_plan(frame), value_plan(frame)
            if type(key) not in _KEYS:
                raise EvaluationError(f"unsupported key type: {type(key).__name__}")
            if optional:
                if not _present(value):
                    continue
                value = value.value
            found[key] = value
        return found

    return make


def _struct(node: Struct) -> Plan:
    name = node.name
    fields = [(each.key or each.name, plan(each.value), each.optional) for each in node.fields]

    def make(frame: Frame) -> StructValue:
        frame.cost += _STRUCT_COST
        found: dict[str, Any] = {}
        for key, value_plan, optional in fields:
            value = value_plan(frame)
            if optional:
                if not _present(value):
                    continue
                value = value.value
            found[key] = value
        return StructValue(name, found)

    return make


def _fold(node: Fold) -> Plan:
    return loops.plan_fold(node, plan)


def _bind(node: Bind) -> Plan:
    name, value, body = node.name, plan(node.value), plan(node.body)

    def bind(frame: Frame) -> Any:
        spent = frame.cost
        bound = value(frame)
        if name != OPTIONAL:
            frame.cost += _LIST_COST
        elif type(bound) is Optional and bound.present:
            frame.cost += frame.cost - spent
        if frame.cost > frame.limit:
            raise CostExceeded
        before = frame.variables.get(name, ABSENT)
        frame.variables[name] = bound
        try:
            return body(frame)
        finally:
            restore(frame.variables, name, before)

    return bind


_PLANS: Mapping[type[Node], Callable[[Any], Plan]] = {
    Literal: _literal,
    Ident: _ident,
    Select: _select,
    Call: _call,
    ListOf: _list,
    MapOf: _map,
    Struct: _struct,
    Fold: _fold,
    Bind: _bind,
}
