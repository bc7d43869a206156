"""Comprehensions. Each macro has a loop of its own, which costs and fails as the written-out Fold would.

The costs per element follow from the written-out form: `all` reads the accumulator twice and calls one function
besides its predicate, `map` reads it once, makes a list and adds it, and so on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kajitori.api.cel.ast import MAP_INSERT, Call, Fold, Ident, ListOf, Node
from kajitori.api.cel.errors import CostExceeded, EvaluationError, no_overload
from kajitori.api.cel.frames import Frame, Plan
from kajitori.api.cel.values import bounded

_ALL_COST, _EXISTS_COST = 3, 4
_KEEP_COST, _SKIP_COST = 12, 1
_INSERT_COST = 2

Element = tuple[Any, Any]


def plan_fold(node: Fold, plan: Callable[[Node], Plan]) -> Plan:
    names = (node.variable, node.variable2) if node.variable2 else (node.variable,)
    elements, loop = _elements(node, plan(node.range)), _loop(node, plan)

    def run(frame: Frame) -> Any:
        with frame.local(*names):
            return loop(frame, elements(frame))

    return run


Loop = Callable[[Frame, Iterator[None]], Any]


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


def _elements(node: Fold, range_plan: Plan) -> Callable[[Frame], Iterator[None]]:
    """Sets the loop's variables for one element after the other."""
    one, two = node.variable, node.variable2

    def iterate(frame: Frame) -> Iterator[None]:
        over = range_plan(frame)
        pairs: Iterable[Element]
        if isinstance(over, list):
            pairs = enumerate(over) if two else ((each, None) for each in over)
        elif isinstance(over, Mapping):
            pairs = over.items() if two else ((key, None) for key in over)
        else:
            raise no_overload()
        variables = frame.variables
        for first, second in pairs:
            if frame.cost > frame.limit:
                raise CostExceeded
            variables[one] = first
            if two:
                variables[two] = second
            yield

    return iterate


def _quantified(predicate: Plan, wanted: bool) -> Loop:
    """all (`wanted`) or exists: an element that decides is enough, even when others fail."""
    cost = _ALL_COST if wanted else _EXISTS_COST

    def decide(frame: Frame, elements: Iterator[None]) -> bool:
        failed: EvaluationError | None = None
        frame.cost += 1
        for _ in elements:
            frame.cost += cost
            try:
                value = predicate(frame)
            except CostExceeded:
                raise
            except EvaluationError as error:
                failed = error
                continue
            if value is not wanted:
                if type(value) is bool:
                    return not wanted
                failed = no_overload()
        if failed is not None:
            raise failed
        return wanted

    return decide


def _exactly_one(predicate: Plan) -> Loop:
    def count(frame: Frame, elements: Iterator[None]) -> bool:
        found = 0
        frame.cost += 2
        for _ in elements:
            value = predicate(frame)
            if type(value) is not bool:
                raise no_overload()
            found += value
            frame.cost += 2 if value else 1
        return found == 1

    return count


def _passes(frame: Frame, condition: Plan | None) -> bool:
    if condition is None:
        return True
    value = condition(frame)
    if type(value) is not bool:
        raise no_overload()
    if not value:
        frame.cost += _SKIP_COST
    return value


def _collecting(condition: Plan | None, element: Plan) -> Loop:
    def collect(frame: Frame, elements: Iterator[None]) -> list[Any]:
        found: list[Any] = []
        frame.cost += _KEEP_COST - 1
        for _ in elements:
            if _passes(frame, condition):
                found.append(element(frame))
                frame.cost += _KEEP_COST
                bounded(len(found))
        return found

    return collect


def _inserting(condition: Plan | None, parts: list[Plan]) -> Loop:
    """transformMap (key and value) and transformMapEntry (a map)."""

    def insert(frame: Frame, elements: Iterator[None]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        frame.cost += 31
        for _ in elements:
            if not _passes(frame, condition):
                continue
            frame.cost += _INSERT_COST
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
