"""How much single functions can cost at most, and how large what they give can be. Upstream's rules and numbers."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import NamedTuple, Protocol

from kajitori.api.cel.ast import Call, Literal, Node
from kajitori.api.cel.costs import AUTHORIZATION_COST, PER_CHARACTER, PER_PATTERN_CHARACTER
from kajitori.api.cel.functions import Overload
from kajitori.api.cel.ranges import MOST, ONE, UNKNOWN, Range, exactly

_FORMAT, _FORMAT_SIZE, _FORMAT_PATTERN = "kubernetes.NamedFormat", 64, 128
_REQUIREMENT_COST = 50


class CallCost(NamedTuple):
    cost: Range
    size: Range | None = None


class Sizes(Protocol):
    """How large the values of an expression's parts can be."""

    def size(self, node: Node) -> Range: ...

    def element_size(self, node: Node) -> Range | None:
        """Of a list's elements; None where the node is no list."""


Rule = Callable[[Sizes, Call, Overload], CallCost | None]
"""None leaves a call to the rule for all others: it costs 1."""


def _fixed(cost: int) -> Rule:
    return lambda sizes, node, overload: CallCost(exactly(cost))


def _walked(argument: int, factor: float = 1, *, keeps_size: bool = False) -> Rule:
    """A walk through an operand, the receiver counted as the first."""

    def rule(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
        if len(node.operands) <= argument:
            return None
        size = sizes.size(node.operands[argument])
        return CallCost(size.scaled(factor * PER_CHARACTER), size if keeps_size else None)

    return rule


def _converted(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    kind, size = overload.parameters[0].kind, sizes.size(node.operands[0])
    if kind == overload.result.kind or kind not in ("string", "bytes"):
        return None
    result = Range(size.least // 4, size.most) if kind == "bytes" else Range(size.least, min(size.most * 4, MOST))
    return CallCost(size.scaled(PER_CHARACTER), result)


def _equality(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    one, other = node.args
    if one.type == other.type and one.type.kind == "opaque" and not one.type.parameters:
        return CallCost(Range(1, ceil(_FORMAT_SIZE * PER_CHARACTER)) if one.type.name == _FORMAT else ONE)
    return _least_of_both(sizes, node)


def _order(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    return _least_of_both(sizes, node) if overload.parameters[0].kind in ("string", "bytes") else None


def _least_of_both(sizes: Sizes, node: Call) -> CallCost:
    most = min(sizes.size(node.args[0]).most, sizes.size(node.args[1]).most)
    return CallCost(Range(1 if most else 0, most).scaled(PER_CHARACTER))


def _membership(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    return CallCost(sizes.size(node.args[1])) if overload.parameters[1].kind == "list" else None


def _matched(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    text, pattern = (sizes.size(each) for each in node.operands[:2])
    cost = text.plus(ONE).scaled(PER_CHARACTER).times(pattern.scaled(PER_PATTERN_CHARACTER))
    return CallCost(cost, Range(0, text.most) if node.function in ("find", "findAll") else None)


def _contained(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    text, part = (sizes.size(each) for each in node.operands)
    return CallCost(text.scaled(PER_CHARACTER).times(part.scaled(PER_CHARACTER)))


def _traversed(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    target = node.operands[0]
    element = sizes.element_size(target)
    size = sizes.size(target)
    if element is None:
        return CallCost(size.scaled(PER_CHARACTER))
    is_text = target.type.parameters[0].kind in ("string", "bytes")
    return CallCost(size.times(ONE.plus(element.scaled(PER_CHARACTER)) if is_text else ONE))


def _replaced(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    text, old, new = (sizes.size(each) for each in node.operands[:3])
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


def _split(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    text, most = sizes.size(node.operands[0]), sizes.size(node.operands[0]).most
    count = node.args[1] if len(node.args) > 1 else None
    if isinstance(count, Literal) and isinstance(count.value, int) and count.value >= 0:
        most = count.value
    return CallCost(text.scaled(2 * PER_CHARACTER), Range(0, most))


def _joined(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    items = sizes.size(node.operands[0])
    size = items.times(sizes.element_size(node.operands[0]) or UNKNOWN)
    if node.args:
        between = Range(max(0, items.least - 1), max(0, items.most - 1))
        size = size.plus(sizes.size(node.args[0]).times(between))
    return CallCost(size.scaled(PER_CHARACTER), size)


def _within(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    address = Range(4, 16)
    cost = address.plus(address).scaled(PER_CHARACTER)
    if node.function == "containsCIDR":
        cost = cost.plus(address.scaled(PER_CHARACTER)).plus(ONE)
    if overload.parameters[1].kind == "string":
        cost = cost.plus(sizes.size(node.args[0]).scaled(PER_CHARACTER))
    return CallCost(cost)


def _ip(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    return None if node.target is not None else CallCost(sizes.size(node.args[0]).scaled(PER_CHARACTER))


def _validated(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    text = sizes.size(node.args[0]).scaled(PER_CHARACTER)
    return CallCost(text.scaled(_FORMAT_PATTERN * PER_PATTERN_CHARACTER))


def _selector(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    size = sizes.size(node.args[0])
    return CallCost(exactly(10).plus(size.scaled(PER_CHARACTER)).plus(size.scaled(0.5).scaled(_REQUIREMENT_COST)))


def _listed(factor: float) -> Rule:
    """A list is made from another: its elements once, or each with each for `factor` 0."""

    def rule(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
        size = sizes.size(node.operands[0])
        walked = size.scaled(factor) if factor else size.times(size).scaled(2)
        return CallCost(walked.plus(exactly(11)), size)

    return rule


def _counted(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    """lists.range and slice: as many as the literals say."""
    numbers = [each.value for each in node.args if isinstance(each, Literal) and isinstance(each.value, int)]
    if len(numbers) != len(node.args):
        count = MOST if node.target is None else sizes.size(node.operands[0]).most
    else:
        count = max(0, numbers[-1] - (numbers[0] if len(numbers) > 1 else 0))
    return CallCost(Range(0, count).plus(exactly(11)), Range(0, count))


def _sets(factor: int) -> Rule:
    return lambda sizes, node, overload: CallCost(
        sizes.size(node.args[0]).times(sizes.size(node.args[1])).scaled(factor).plus(ONE)
    )


def _quoted(sizes: Sizes, node: Call, overload: Overload) -> CallCost | None:
    size = sizes.size(node.args[0])
    return CallCost(size.scaled(PER_CHARACTER), Range(min(size.least + 2, MOST), min(size.most * 2 + 2, MOST)))


RULES: Mapping[str, Rule] = {
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
