"""How much an expression can cost at most, given how large the schema lets its data be. Upstream's rules and numbers.

A rule whose estimate is beyond the limit is refused when it is written, because it could not be afforded when it runs.
Sizes and costs are ranges of the least and the most.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from kajitori.api.cel.ast import (
    ACCUMULATOR,
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
    Struct,
)
from kajitori.api.cel.costs import AUTHORIZATION_COST, PER_CHARACTER, PER_PATTERN_CHARACTER
from kajitori.api.cel.functions import Overload
from kajitori.api.cel.ranges import MOST, NOT_YET, NOTHING, ONE, UNKNOWN, Range, exactly
from kajitori.api.cel.types import SCALAR_KINDS, Declared, Type, optional_inside
from kajitori.api.cel.values import UInt

_FORMAT, _FORMAT_SIZE, _FORMAT_PATTERN = "kubernetes.NamedFormat", 64, 128
_REQUIREMENT_COST = 50


@dataclass(frozen=True, slots=True)
class Entries:
    """Sizes of the keys and values in a list or map."""

    key: Range
    value: Range

    def either(self, other: "Entries | None") -> "Entries | None":
        return None if other is None else Entries(self.key.either(other.key), self.value.either(other.value))


@dataclass(frozen=True, slots=True)
class _Local:
    """A variable of a loop: where in the data its values are, and how large they are."""

    path: tuple[str, ...]
    size: Range | None
    entries: Entries | None = None


class CallCost(NamedTuple):
    cost: Range
    size: Range | None = None


def estimate(tree: Node, root: Declared | None) -> Range:
    """`root` is the type of `self` and `oldSelf`."""
    return _Estimator(root).cost(tree)


class _Estimator:
    def __init__(self, root: Declared | None) -> None:
        self._root = root
        self._locals: dict[str, list[_Local]] = {}
        self._paths: dict[int, tuple[str, ...]] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, Entries] = {}

    def cost(self, node: Node) -> Range:
        match node:
            case Ident():
                self._paths[id(node)] = self._path(node) or (node.name,)
                return NOTHING if node.name == OPTIONAL else ONE
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                return self._sum([each.value for each in node.fields]).plus(exactly(40))
            case Fold():
                return self._fold(node)
            case Bind():
                return self._bind(node)
        return NOTHING

    def _sum(self, nodes: list[Node]) -> Range:
        total = NOTHING
        for each in nodes:
            total = total.plus(self.cost(each))
        return total

    # Where data is, and how large

    def _path(self, node: Node) -> tuple[str, ...]:
        if isinstance(node, Ident) and (local := self._local(node.name)) is not None:
            return local.path
        return self._paths.get(id(node), ())

    def _local(self, name: str) -> _Local | None:
        known = self._locals.get(name)
        return known[-1] if known else None

    def size(self, node: Node) -> Range:
        found = self._size(node)
        return UNKNOWN if found is None else found

    def _size(self, node: Node) -> Range | None:
        if (known := self._sizes.get(id(node))) is not None:
            return known
        if (own := _own_size(node)) is not None:
            return own
        path = self._path(node)
        if path and path[0] != ACCUMULATOR and (declared := self._declared(path)) is not None:
            return Range(0, declared.elements_max)
        if _is_scalar(node.type):
            return ONE
        local = self._local(node.name) if isinstance(node, Ident) else None
        return None if local is None else local.size

    def _declared(self, path: tuple[str, ...]) -> Declared | None:
        """What the schema says about the data at a path, which begins with a variable."""
        at = self._root
        for name in path[1:]:
            if at is None:
                return None
            if name in ("@items", "@values"):
                at = at.element
            elif name == "@keys":
                at = at.key
            else:
                field = at.fields.get(name)
                at = None if field is None else field.type
        return at

    def element_size(self, node: Node) -> Range | None:
        """The size of a list's elements; None where the node is no list."""
        if node.type.kind != "list":
            return None
        path = self._path(node)
        declared = self._declared((*path, "@items")) if path else None
        return UNKNOWN if declared is None else Range(0, declared.elements_max)

    def _entries_of(self, node: Node) -> Entries | None:
        known = self._entries.get(id(node))
        if known is None and isinstance(node, Ident) and (local := self._local(node.name)) is not None:
            return local.entries
        return known

    # Nodes

    def _select(self, node: Select) -> Range:
        total = self.cost(node.operand)
        if node.test:
            return total
        self._paths[id(node)] = (*self._path(node.operand), node.name)
        selects = node.operand.type.kind in ("map", "object", "param")
        return total.plus(ONE) if selects else total

    def _list(self, node: ListOf) -> Range:
        total = self._sum(node.elements)
        sizes = NOTHING if not node.elements else NOT_YET
        for each in node.elements:
            sizes = sizes.either(self.size(each))
        self._entries[id(node)] = Entries(ONE, sizes)
        return total.plus(exactly(10))

    def _map(self, node: MapOf) -> Range:
        total = exactly(30)
        keys = values = NOTHING if not node.entries else NOT_YET
        for entry in node.entries:
            total = total.plus(self.cost(entry.key)).plus(self.cost(entry.value))
            keys, values = keys.either(self.size(entry.key)), values.either(self.size(entry.value))
        self._entries[id(node)] = Entries(keys, values)
        return total

    def _bind(self, node: Bind) -> Range:
        value = self.cost(node.value)
        total = Range(value.least, min(value.most * 2, MOST)) if node.name == OPTIONAL else exactly(10).plus(value)
        local = _Local(self._path(node.value), self._size(node.value), self._entries_of(node.value))
        self._locals.setdefault(node.name, []).append(local)
        total = total.plus(self.cost(node.body))
        self._locals[node.name].pop()
        self._keep(node, self._size(node.body), self._entries_of(node.body))
        return total

    def _keep(self, node: Node, size: Range | None, entries: Entries | None) -> None:
        if size is not None:
            self._sizes[id(node)] = size
        if entries is not None:
            self._entries[id(node)] = entries

    def _fold(self, node: Fold) -> Range:
        total = self.cost(node.range).plus(self.cost(node.start))
        names = [(node.accumulator, self._accumulating(node)), *self._loop_variables(node)]
        for name, local in names:
            self._locals.setdefault(name, []).append(local)
        each = self.cost(node.condition).plus(self.cost(node.step))
        for name, _ in names[1:]:
            self._locals[name].pop()
        total = total.plus(self.cost(node.result))
        self._locals[node.accumulator].pop()
        count = self.size(node.range)
        if isinstance(node.start, Literal):
            self._keep(node, self._size(node.start), None)
        else:
            self._keep(node, count, self._entries_of(node.step))
        return total.plus(count.times(each))

    def _accumulating(self, node: Fold) -> _Local:
        return _Local((), self._size(node.start), self._entries_of(node.start))

    def _loop_variables(self, node: Fold) -> list[tuple[str, _Local]]:
        entries, path = self._entries_of(node.range), self._path(node.range)
        is_list = node.range.type.kind == "list"
        key = None if entries is None else entries.key
        value = None if entries is None else entries.value
        keys = _Local((*path, "@indices" if is_list else "@keys") if path else (), key)
        values = _Local((*path, "@items" if is_list else "@values") if path else (), value)
        if node.variable2:
            return [(node.variable, keys), (node.variable2, values)]
        return [(node.variable, values if is_list else keys)]

    # Calls

    def _call(self, node: Call) -> Range:
        args = [self.cost(each) for each in node.args]
        own = NOTHING if node.target is None else self.cost(node.target)
        total = NOTHING
        for each in args:
            total = total.plus(each)
        match node.function:
            case "dyn":
                self._keep(node, self._size(node.args[0]), self._entries_of(node.args[0]))
                return ONE.plus(total)
            case "_&&_" | "_||_":
                return Range(args[0].least, total.most)
            case "_?_:_":
                return self._conditional(node, args)
        cost, size = NOT_YET, None
        for overload in node.overloads:
            found = self._overload(node, overload)
            cost = cost.either(found.cost.plus(total))
            if found.size is not None:
                size = found.size if size is None else size.either(found.size)
        if node.function == "_[_]" and node.overloads:
            size = self._indexed(node)
        self._keep(node, self._size(node) if size is None else size, None)
        return own.plus(cost)

    def _conditional(self, node: Call, args: list[Range]) -> Range:
        _, yes, no = node.args
        entries = self._entries_of(yes)
        self._keep(node, self.size(yes).either(self.size(no)), entries and entries.either(self._entries_of(no)))
        return args[0].plus(args[1].either(args[2]))

    def _indexed(self, node: Call) -> Range | None:
        container = node.args[0]
        path = self._path(container)
        if path:
            self._paths[id(node)] = (*path, "@items" if container.type.kind == "list" else "@values")
        entries = self._entries_of(container)
        return None if entries is None else entries.value

    def _overload(self, node: Call, overload: Overload) -> CallCost:
        rule = _RULES.get(node.function)
        if rule is not None:
            found = rule(self, node, overload)
            if found is not None:
                return found
        if node.function == "_+_":
            return self._addition(node, overload)
        return CallCost(ONE)

    def _addition(self, node: Call, overload: Overload) -> CallCost:
        kind = overload.parameters[0].kind
        if kind not in ("string", "bytes", "list"):
            return CallCost(ONE)
        one, other = node.args
        size = self.size(one).plus(self.size(other))
        entries = self._entries_of(one)
        self._keep(node, None, entries and entries.either(self._entries_of(other)))
        return CallCost(ONE if kind == "list" else size.scaled(PER_CHARACTER), size)


def _own_size(node: Node) -> Range | None:
    match node:
        case Literal(value=str() | bytes()):
            return exactly(len(node.value))
        case Literal(value=None | bool() | int() | float() | UInt()):
            return ONE
        case ListOf():
            return exactly(len(node.elements))
        case MapOf():
            return exactly(len(node.entries))
    return None


def _is_scalar(given: Type) -> bool:
    inside = optional_inside(given)
    return _is_scalar(inside) if inside is not None else given.kind in SCALAR_KINDS and given.kind != "null"


# What single functions cost. `None` leaves a call to the rule for all others: it costs 1.

Rule = Callable[[_Estimator, Call, Overload], CallCost | None]


def _fixed(cost: int) -> Rule:
    return lambda estimator, node, overload: CallCost(exactly(cost))


def _walked(argument: int, factor: float = 1, *, keeps_size: bool = False) -> Rule:
    """A walk through an operand, the receiver counted as the first."""

    def rule(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
        if len(node.operands) <= argument:
            return None
        size = estimator.size(node.operands[argument])
        return CallCost(size.scaled(factor * PER_CHARACTER), size if keeps_size else None)

    return rule


def _converted(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    kind, size = overload.parameters[0].kind, estimator.size(node.operands[0])
    if kind == overload.result.kind or kind not in ("string", "bytes"):
        return None
    result = Range(size.least // 4, size.most) if kind == "bytes" else Range(size.least, min(size.most * 4, MOST))
    return CallCost(size.scaled(PER_CHARACTER), result)


def _equality(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    one, other = node.args
    if one.type == other.type and one.type.kind == "opaque" and not one.type.parameters:
        return CallCost(Range(1, ceil(_FORMAT_SIZE * PER_CHARACTER)) if one.type.name == _FORMAT else ONE)
    return _least_of_both(estimator, node)


def _order(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    return _least_of_both(estimator, node) if overload.parameters[0].kind in ("string", "bytes") else None


def _least_of_both(estimator: _Estimator, node: Call) -> CallCost:
    most = min(estimator.size(node.args[0]).most, estimator.size(node.args[1]).most)
    return CallCost(Range(1 if most else 0, most).scaled(PER_CHARACTER))


def _membership(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    return CallCost(estimator.size(node.args[1])) if overload.parameters[1].kind == "list" else None


def _matched(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    text, pattern = (estimator.size(each) for each in node.operands[:2])
    cost = text.plus(ONE).scaled(PER_CHARACTER).times(pattern.scaled(PER_PATTERN_CHARACTER))
    return CallCost(cost, Range(0, text.most) if node.function in ("find", "findAll") else None)


def _contained(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    text, part = (estimator.size(each) for each in node.operands)
    return CallCost(text.scaled(PER_CHARACTER).times(part.scaled(PER_CHARACTER)))


def _traversed(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    target = node.operands[0]
    element = estimator.element_size(target)
    size = estimator.size(target)
    if element is None:
        return CallCost(size.scaled(PER_CHARACTER))
    is_text = target.type.parameters[0].kind in ("string", "bytes")
    return CallCost(size.times(ONE.plus(element.scaled(PER_CHARACTER)) if is_text else ONE))


def _replaced(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    text, old, new = (estimator.size(each) for each in node.operands[:3])
    if old.least == 0:
        most, kept_most = min(text.most + 1, MOST), text.most
    elif new.most <= old.least:
        most, kept_most = 0, text.most
    else:
        most, kept_most = ceil(text.most / old.least), 0
    if old.most == 0:
        least, kept_least = text.least + 1, text.least
    elif old.most <= new.least:
        least, kept_least = 0, text.least
    else:
        least, kept_least = ceil(text.least / old.most), 0
    size = Range(least, most).times(new).plus(Range(kept_least, kept_most))
    return CallCost(text.scaled(2 * PER_CHARACTER), size)


def _split(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    text, most = estimator.size(node.operands[0]), estimator.size(node.operands[0]).most
    count = node.args[1] if len(node.args) > 1 else None
    if isinstance(count, Literal) and isinstance(count.value, int) and count.value >= 0:
        most = count.value
    return CallCost(text.scaled(2 * PER_CHARACTER), Range(0, most))


def _joined(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    items = estimator.size(node.operands[0])
    size = items.times(estimator.element_size(node.operands[0]) or UNKNOWN)
    if node.args:
        between = Range(max(0, items.least - 1), max(0, items.most - 1))
        size = size.plus(estimator.size(node.args[0]).times(between))
    return CallCost(size.scaled(PER_CHARACTER), size)


def _within(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    address = Range(4, 16)
    cost = address.plus(address).scaled(PER_CHARACTER)
    if node.function == "containsCIDR":
        cost = cost.plus(address.scaled(PER_CHARACTER)).plus(ONE)
    if overload.parameters[1].kind == "string":
        cost = cost.plus(estimator.size(node.args[0]).scaled(PER_CHARACTER))
    return CallCost(cost)


def _ip(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    return None if node.target is not None else CallCost(estimator.size(node.args[0]).scaled(PER_CHARACTER))


def _validated(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    text = estimator.size(node.args[0]).scaled(PER_CHARACTER)
    return CallCost(text.scaled(_FORMAT_PATTERN * PER_PATTERN_CHARACTER))


def _selector(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    size = estimator.size(node.args[0])
    return CallCost(exactly(10).plus(size.scaled(PER_CHARACTER)).plus(size.scaled(0.5).scaled(_REQUIREMENT_COST)))


def _listed(factor: float) -> Rule:
    """A list is made from another: its elements once, or each with each for `factor` 0."""

    def rule(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
        size = estimator.size(node.operands[0])
        walked = size.scaled(factor) if factor else size.times(size).scaled(2)
        return CallCost(walked.plus(exactly(11)), size)

    return rule


def _counted(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    """lists.range and slice: as many as the literals say."""
    numbers = [each.value for each in node.args if isinstance(each, Literal) and isinstance(each.value, int)]
    if len(numbers) != len(node.args):
        count = MOST if node.target is None else estimator.size(node.operands[0]).most
    else:
        count = max(0, numbers[-1] - (numbers[0] if len(numbers) > 1 else 0))
    return CallCost(Range(0, count).plus(exactly(11)), Range(0, count))


def _sets(factor: int) -> Rule:
    return lambda estimator, node, overload: CallCost(
        estimator.size(node.args[0]).times(estimator.size(node.args[1])).scaled(factor).plus(ONE)
    )


def _quoted(estimator: _Estimator, node: Call, overload: Overload) -> CallCost | None:
    size = estimator.size(node.args[0])
    return CallCost(size.scaled(PER_CHARACTER), Range(min(size.least + 2, MOST), min(size.most * 2 + 2, MOST)))


_RULES: Mapping[str, Rule] = {
    "check": _fixed(AUTHORIZATION_COST),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _traversed),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _walked(0, keeps_size=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _walked(0, keeps_size=True)),
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    **dict.fromkeys(("find", "findAll", "matches"), _matched),
    "contains": _contained,
    **dict.fromkeys(("startsWith", "endsWith"), _walked(1)),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver", "format"), _walked(0)),
    "strings.quote": _quoted,
    "ip": _ip,
    "ip.isCanonical": _walked(0, 2),
    **dict.fromkeys(("containsIP", "containsCIDR"), _within),
    "validate": _validated,
    **dict.fromkeys(("_==_", "_!=_"), _equality),
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _order),
    "@in": _membership,
    **dict.fromkeys(("string", "bytes"), _converted),
    **dict.fromkeys(("lists.range", "slice"), _counted),
    **dict.fromkeys(("flatten", "reverse"), _listed(1)),
    **dict.fromkeys(("sort", "distinct", "@sortByAssociatedKeys"), _listed(0)),
    **dict.fromkeys(("sets.contains", "sets.intersects"), _sets(1)),
    "sets.equivalent": _sets(2),
}
