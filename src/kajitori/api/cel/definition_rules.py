"""Rules judged when a CustomResourceDefinition is written: they must compile, and be affordable."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from kajitori.api.cel.ranges import MOST
from kajitori.api.cel.rule_compiling import SELF_TYPE, Rule, compile_rules
from kajitori.api.cel.schemas import declare
from kajitori.api.cel.types import REQUEST_BYTES_MAX, Declared
from kajitori.api.field_errors import FieldError, forbidden, invalid
from kajitori.api.meta import Object
from kajitori.api.schema.rules import RULES
from kajitori.api.validation.shown_schemas import shown_rule

RULE_LIMIT = 10_000_000
DEFINITION_LIMIT = 100_000_000
_EXPENSIVE_SHOWN = 4


@dataclass(slots=True)
class _Total:
    cost: int = 0
    expensive: list[tuple[int, str]] = field(default_factory=list)
    unsound: Container[str] = ()

    def add(self, path: str, cost: int) -> None:
        self.cost = min(self.cost + cost, MOST)
        if cost >= DEFINITION_LIMIT // 100:
            self.expensive = sorted([*self.expensive, (cost, path)], key=lambda each: -each[0])[:_EXPENSIVE_SHOWN]


def rule_errors(schema: Object, path: str, unsound: Container[str] = ()) -> list[FieldError]:
    """`schema` is the root of a version and structural; `path` is where it stands in the definition. `unsound`: paths
    of schemas in it whose rules are not judged, because something else is wrong there."""
    total = _Total(unsound=unsound)
    errors = list(_errors(schema, path, 1, None, total, root=True))
    if total.cost > DEFINITION_LIMIT:
        words = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        errors += [forbidden(where, words) for _, where in total.expensive]
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        errors.append(forbidden(path, _too_expensive(name, total.cost, DEFINITION_LIMIT)))
    return errors


def _errors(
    schema: Object, path: str, times: int | None, uncorrelated: str | None, total: _Total, *, root: bool = False
) -> Iterator[FieldError]:
    """`times`: how often the value may be there, None without a bound. `uncorrelated`: the list without `oldSelf`."""
    below = None if times is None else _occurrences(schema, times)
    values, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(values, dict):
        yield from _errors(values, f"{path}.additionalProperties", below, uncorrelated, total)
    for name, child in (schema.get("properties") or {}).items():
        yield from _errors(child, f"{path}.properties[{name}]", below, uncorrelated, total)
    if isinstance(items, dict):
        lost = uncorrelated
        if lost is None and schema.get("x-kubernetes-list-type") != "map":
            lost = path
        yield from _errors(items, f"{path}.items", below, lost, total)
    if not schema.get(RULES) or path in total.unsound:
        return
    declared = declare(schema, root=root, name=SELF_TYPE)
    if declared is None:
        yield FieldError(
            "InternalError",
            f"{path}.{RULES}",
            None,
            "internal error: failed to construct type information for x-kubernetes-validations rules: unable to "
            "convert structural schema to CEL declarations",
        )
        return
    for index, rule in enumerate(compile_rules(schema, declared)):
        yield from _judged(rule, f"{path}.{RULES}[{index}]", _often(times, declared), uncorrelated, total)


def _occurrences(schema: Object, times: int) -> int | None:
    kind = schema.get("type")
    if kind == "array":
        most = schema.get("maxItems")
    elif kind == "object" and schema.get("additionalProperties") not in (None, False):
        most = schema.get("maxProperties")
    else:
        most = 1
    return None if most is None else min(times * max(0, most), MOST)


def _often(times: int | None, declared: Declared) -> int:
    """Without a bound, as often as the smallest such value fits into a request."""
    return REQUEST_BYTES_MAX // (declared.size_min + 1) if times is None else times


def _judged(rule: Rule, path: str, times: int, uncorrelated: str | None, total: _Total) -> Iterator[FieldError]:
    cost = min(rule.cost_max * times, MOST)
    if cost > RULE_LIMIT:
        yield forbidden(f"{path}.rule", _too_expensive("estimated rule cost", cost, RULE_LIMIT))
    total.add(f"{path}.rule", cost)
    if rule.error:
        yield invalid(f"{path}.rule", shown_rule(rule.rule), rule.error)
    if rule.message_error:
        yield invalid(f"{path}.messageExpression", shown_rule(rule.rule), rule.message_error)
    elif rule.message is not None:
        if rule.message_cost_max > RULE_LIMIT:
            words = _too_expensive("estimated messageExpression cost", rule.message_cost_max, RULE_LIMIT)
            yield forbidden(f"{path}.messageExpression", words)
        total.add(f"{path}.messageExpression", rule.message_cost_max)
    if rule.uses_old:
        if uncorrelated is not None:
            words = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
            yield invalid(f"{path}.rule", rule.rule["rule"], words)
    elif rule.rule.get("optionalOldSelf") is not None:
        words = "may not be set if oldSelf is not used in rule"
        yield invalid(f"{path}.optionalOldSelf", rule.rule["optionalOldSelf"], words)


def _too_expensive(name: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{name} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, and "
        "maxLength where arrays, maps, and strings are declared)"
    )
