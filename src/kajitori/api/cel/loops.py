"""Comprehensions. Each macro has a loop of its own, which costs and fails as the written-out Fold would.

The costs per element follow from the written-out form: `all` reads the accumulator twice and calls one function
besides its predicate, `map` reads it once, makes a list and adds it, and so on.
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any

from kajitori.api.cel.ast import MAP_INSERT, Call, Fold, Ident, ListOf, Node
from kajitori.api.cel.errors import CostExceeded, EvaluationError, no_overload
from kajitori.api.cel.frames import ABSENT, Frame, Plan, restore
from kajitori.api.cel.values import bounded

_ALL_COST, _EXISTS_COST = 3, 4
_KEEP_COST, _SKIP_COST = 12, 1
_INSERT_COST = 2
_MAP_START_COST = 31

Advance = Callable[[Any], None]
"""Makes an element the loop's variable."""
Loop = Callable[[Frame, Iterable[Any], Advance], Any]


def plan_fold(node: Fold, plan: Callable[[Node], Plan]) -> Plan:
    one, two = node.variable, node.variable2
    elements = _pairs if two else _elements
    range_plan, loop = plan(node.range), _loop(node, plan)

    def run(frame: Frame) -> Any:
        over = elements(range_plan(frame))
        variables = frame.variables
        before, before2 = variables.get(one, ABSENT), variables.get(two, ABSENT)
        try:
            return loop(frame, over, _advance(variables, one, two))
        finally:
            restore(variables, one, before)
            if two:
                restore(variables, two, before2)

    return run


def _elements(over: Any) -> Iterable[Any]:
    """Elements of a list, keys of a map."""
    if isinstance(over, list | Mapping):
        return over
    raise no_overload()


def _pairs(over: Any) -> Iterable[Any]:
    """Numbers and elements, or keys and values."""
    if isinstance(over, list):
        return enumerate(over)
    if isinstance(over, Mapping):
        return over.items()
    raise no_overload()


def _advance(variables: MutableMapping[str, Any], one: str, two: str) -> Advance:
    if not two:
        return partial(variables.__setitem__, one)

    def both(pair: tuple[Any, Any]) -> None:
        variables[one], variables[two] = pair

    return both


def _loop(node: Fold, plan: Callable[[Node], Plan]) -> Loop:
    step = node.step
    assert isinstance(step, Call)
    if node.macro in ("all", "exists"):
        return _quantified(plan(step.args[1]), node.macro == "all")
    if node.macro == "exists_one":
        return _exactly_one(plan(step.args[0]))
    where, kept = _filtered(step)
    condition = None if where is None else plan(where)
    if kept.function == MAP_INSERT:
        return _inserting(condition, [plan(arg) for arg in kept.args[1:]])
    added = kept.args[1]
    assert isinstance(added, ListOf)
    return _collecting(condition, plan(added.elements[0]))


def _filtered(step: Call) -> tuple[Node | None, Call]:
    """The filter of a step, if it has one, and what it adds."""
    if step.function != "_?_:_":
        return None, step
    kept = step.args[1]
    assert isinstance(kept, Call) and isinstance(step.args[2], Ident)
    return step.args[0], kept


def _quantified(predicate: Plan, wanted: bool) -> Loop:
    """all (`wanted`) or exists: an element that decides is enough, even when others fail."""
    cost = _ALL_COST if wanted else _EXISTS_COST

    def decide(frame: Frame, over: Iterable[Any], advance: Advance) -> bool:
        failed: EvaluationError | None = None
        frame.cost += 1
        limit = frame.limit
        for each in (rest := iter(over)):
            frame.cost += cost
            if frame.cost > limit:
                raise CostExceeded
            advance(each)
            try:
                value = predicate(frame)
            except CostExceeded:
                raise
            except EvaluationError as error:
                failed = error
                continue
            if value is not wanted:
                if type(value) is bool:
                    # The condition is looked at once more, before the element that is not needed.
                    frame.cost += cost - 1 if next(rest, ABSENT) is not ABSENT else 0
                    return not wanted
                failed = no_overload()
        if failed is not None:
            raise failed
        return wanted

    return decide


def _charge(frame: Frame, cost: int) -> None:
    frame.cost += cost
    if frame.cost > frame.limit:
        raise CostExceeded


def _exactly_one(predicate: Plan) -> Loop:
    def count(frame: Frame, over: Iterable[Any], advance: Advance) -> bool:
        found = 0
        frame.cost += 2
        for each in over:
            advance(each)
            value = predicate(frame)
            if type(value) is not bool:
                raise no_overload()
            found += value
            _charge(frame, 2 if value else 1)
        return found == 1

    return count


def _passes(frame: Frame, condition: Plan | None) -> bool:
    if condition is None:
        return True
    value = condition(frame)
    if type(value) is not bool:
        raise no_overload()
    if not value:
        _charge(frame, _SKIP_COST)
    return value


def _collecting(condition: Plan | None, element: Plan) -> Loop:
    def collect(frame: Frame, over: Iterable[Any], advance: Advance) -> list[Any]:
        found: list[Any] = []
        frame.cost += _KEEP_COST - 1
        for each in over:
            advance(each)
            if _passes(frame, condition):
                found.append(element(frame))
                _charge(frame, _KEEP_COST)
        bounded(len(found))
        return found

    return collect


def _inserting(condition: Plan | None, parts: list[Plan]) -> Loop:
    """transformMap (key and value) and transformMapEntry (a map)."""

    def insert(frame: Frame, over: Iterable[Any], advance: Advance) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        frame.cost += _MAP_START_COST
        for each in over:
            advance(each)
            if not _passes(frame, condition):
                continue
            _charge(frame, _INSERT_COST)
            values = [part(frame) for part in parts]
            entries = {values[0]: values[1]} if len(values) == 2 else values[0]
            if not isinstance(entries, Mapping):
                raise no_overload()
            for key, value in entries.items():
                if key in found:
                    raise EvaluationError(f"insert failed: key {key} already exists")
                found[key] = value
            bounded(len(found))
        return found

    return insert
