"""How much an expression can cost at most, given how large the schema lets its data be. Upstream's rules and numbers.

A rule whose estimate is beyond the limit is refused when it is written, because it could not be afforded when it runs.
Sizes and costs are ranges of the least and the most.
"""

from dataclasses import dataclass

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
from kajitori.api.cel.call_estimates import RULES, CallCost
from kajitori.api.cel.costs import PER_CHARACTER
from kajitori.api.cel.functions import Overload
from kajitori.api.cel.ranges import MOST, NOT_YET, NOTHING, ONE, UNKNOWN, Range, exactly
from kajitori.api.cel.types import ANY, SCALAR_KINDS, Declared, Type, optional_inside
from kajitori.api.cel.values import UInt


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
                at = _below(at, name)
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
        # Of a range without a path, such as what a call returns, the elements pass for the root: upstream estimates
        # so, and definitions in use count on it.
        keys = _Local((*path, "@indices" if is_list else "@keys"), key)
        values = _Local((*path, "@items" if is_list else "@values"), value)
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
        rule = RULES.get(node.function)
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


def _below(declared: Declared, name: str) -> Declared | None:
    """Entries of unknown type are as large as the map says, whatever they are called."""
    field = declared.fields.get(name)
    if field is not None:
        return field.type
    return declared.element if declared.element is not None and declared.element.type == ANY else None


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
