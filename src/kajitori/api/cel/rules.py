"""A custom resource judged by the rules of its schema, at every level of the object.

A rule that mentions `oldSelf` is about a change: it counts only where the old value is known to be the same one, so not
inside lists, except those of list-type map, whose items are known by their keys. A value that a change leaves as it was
is not held against it (ratcheting), unless the rule is about the change. All rules for one object share one budget.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from kajitori.api.cel.costs import CALL_LIMIT, OBJECT_LIMIT
from kajitori.api.cel.errors import NO_OVERLOAD, CostExceeded, EvaluationError, Unfinished
from kajitori.api.cel.program import Program, Result
from kajitori.api.cel.rule_compiling import OLD_SELF, SELF, SELF_TYPE, Rule, compile_rules
from kajitori.api.cel.schemas import declare
from kajitori.api.cel.types import Declared, escape
from kajitori.api.cel.values import NONE, Optional
from kajitori.api.field_errors import OMITTED, FieldError, invalid
from kajitori.api.meta import Object
from kajitori.api.schema.rules import RULES

_MESSAGE_BYTES_MAX = 5 * 1024
_EMBEDDED = "x-kubernetes-embedded-resource"
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


@dataclass(slots=True)
class Level:
    """The rules at one place of a schema and below it. `keys` identify the items of a list of list-type map."""

    schema: Object
    declared: Declared
    rules: tuple[Rule, ...] = ()
    all_of: list["Level"] = field(default_factory=list)
    properties: dict[str, "Level"] = field(default_factory=dict)
    values: "Level | None" = None
    items: "Level | None" = None
    keys: tuple[str, ...] | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.rules or self.all_of or self.properties or self.values or self.items)


def compile_levels(schema: Object) -> Level | None:
    """Of a whole custom resource; None when it has no rules."""
    declared = declare(schema, root=True, name=SELF_TYPE)
    return None if declared is None else _level(schema, schema, declared)


def default_rule_errors(schema: Object, default: Any) -> list[FieldError]:
    """Rules that a default breaks: as a value that stays as it is, and if it breaks none then, as a new one."""
    declared = declare(schema, root=False, name=SELF_TYPE)
    level = _level(schema, schema, declared)
    if level is None:
        return []
    return validate(level, default, default) or validate(level, default)


def _level(schema: Object, ruled: Object, declared: Declared | None) -> Level | None:
    """`ruled` brings the rules: the schema itself, or one of its allOf, which has rules for the same data."""
    if declared is None:
        return None
    level = Level(schema, declared)
    level.rules = compile_rules({**schema, RULES: ruled.get(RULES)}, declared)
    if schema.get("x-kubernetes-list-type") == "map":
        level.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    items, values = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, dict) and isinstance(ruled.get("items"), dict):
        level.items = _level(items, ruled["items"], declared.element)
    if isinstance(values, dict) and isinstance(ruled.get("additionalProperties"), dict):
        level.values = _level(values, ruled["additionalProperties"], declared.element)
    properties = schema.get("properties") or {}
    for name, child in (ruled.get("properties") or {}).items():
        if name in properties and (below := _level(properties[name], child, _property(declared, properties, name))):
            level.properties[name] = below
    for each in ruled.get("allOf") or ():
        if isinstance(each, dict) and (also := _level(schema, each, declared)):
            level.all_of.append(also)
    return None if level.is_empty else level


def _property(declared: Declared, properties: Object, name: str) -> Declared | None:
    escaped = escape(name)
    if escaped is None:
        schema = properties[name]
        return declare(schema, root=bool(schema.get(_EMBEDDED)), name=SELF_TYPE)
    found = declared.fields.get(escaped)
    return None if found is None else found.type


class _Spent(Exception):
    """The budget is gone: what is not checked yet is not checked."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A value and its old value, or None for a new one. `compared` are the nearest two, here or above,
    that are known to be the same thing."""

    path: str
    value: Any
    old: Any
    compared: tuple[Any, Any]

    def below(self, path: str, value: Any, old: Any) -> "_Place":
        return _Place(path, value, old, self.compared if old is None else (value, old))

    @property
    def unchanged(self) -> bool:
        return bool(self.compared[1] is not None and self.compared[0] == self.compared[1])


def validate(
    level: Level, obj: Object, old: Object | None = None, budget: int = OBJECT_LIMIT, patience: float = inf
) -> list[FieldError]:
    """Every rule that does not hold. `old` on an update. Raises Unfinished when `patience` ends before the budget."""
    return _Validation(budget, patience).errors(level, obj, old)


class _Validation:
    def __init__(self, budget: int, patience: float) -> None:
        self._budget = budget
        self._patience = patience
        self._errors: list[FieldError] = []

    def errors(self, level: Level, obj: Object, old: Object | None) -> list[FieldError]:
        with suppress(_Spent):
            self._visit(level, _Place("", obj, old, (obj, old)))
        return self._errors

    def _visit(self, level: Level, place: _Place) -> None:
        if place.value is None:
            return
        self._judge(level, place)
        for each in level.all_of:
            self._visit(each, place)
        for below, at in _children(level, place):
            self._visit(below, at)

    def _fail(self, place: _Place, kind: str, detail: str) -> None:
        self._errors.append(invalid(place.path or "<nil>", kind, detail))

    def _judge(self, level: Level, place: _Place) -> None:
        if not level.rules:
            return
        kind = level.schema.get("type") or ""
        if self._budget <= 0:
            self._fail(place, kind, _OUT_OF_BUDGET)
            raise _Spent
        given: tuple[Mapping[str, Any], Mapping[str, Any]] | EvaluationError
        try:
            given = _variables(level.declared, place)
        except EvaluationError as error:
            given = error
        for rule in level.rules:
            wants_optional = bool(rule.rule.get("optionalOldSelf"))
            if rule.error:
                self._fail(place, kind, f"rule compile error: {rule.error}")
            elif rule.program is None or (rule.uses_old and place.old is None and not wants_optional):
                continue
            elif isinstance(given, EvaluationError):
                self._fail(place, kind, _failure(given, rule))
            else:
                variables, optional = given
                self._apply(rule, rule.program, kind, place, optional if wants_optional else variables)

    def _apply(self, rule: Rule, program: Program, kind: str, place: _Place, variables: Mapping[str, Any]) -> None:
        result = self._run(program, variables)
        error = result.error
        if result.cost > self._budget:
            self._fail(place, kind, _OUT_OF_BUDGET)
            raise _Spent
        self._budget -= result.cost
        if isinstance(error, CostExceeded):
            words = "no further validation rules will be run due to call cost exceeds limit for rule"
            self._fail(place, kind, f"'{error}': {words}: {rule.text}")
            raise _Spent
        if error is not None:
            self._fail(place, kind, _failure(error, rule))
        elif result.value is not True:
            self._refuse(rule, kind, place, variables)

    def _run(self, program: Program, variables: Mapping[str, Any]) -> Result:
        result = program.run(variables, int(min(CALL_LIMIT, self._patience)))
        self._patience -= result.cost
        if self._patience < 0:
            raise Unfinished
        return result

    def _refuse(self, rule: Rule, kind: str, place: _Place, variables: Mapping[str, Any]) -> None:
        if not rule.uses_old and place.unchanged:
            return
        path = place.path
        if rule.field_path:
            path = f"{path}.{rule.field_path}" if path else rule.field_path
        detail = self._said(rule, kind, path, variables) or _default_message(rule)
        shown = OMITTED if kind in ("object", "array") else place.value
        reason = rule.rule.get("reason") or "FieldValueInvalid"
        if reason == "FieldValueDuplicate":
            detail = ""  # upstream's error of this kind has none
        self._errors.append(FieldError(reason, path or "<nil>", shown, detail))

    def _said(self, rule: Rule, kind: str, path: str, variables: Mapping[str, Any]) -> str:
        """What the messageExpression says; "" when it says nothing usable."""
        if rule.message is None:
            return ""
        result = self._run(rule.message, variables)
        over = isinstance(result.error, CostExceeded)
        if over or result.cost > self._budget:
            words = (
                "no further validation rules will be run due to call cost exceeds limit for messageExpression: "
                f'"{rule.rule["messageExpression"]}"'
                if over
                else "messageExpression evaluation failed due to running out of cost budget, no further validation "
                "rules will be run"
            )
            self._errors.append(invalid(path or "<nil>", kind, words))
            raise _Spent
        self._budget -= result.cost
        text = result.value.strip() if result.error is None and isinstance(result.value, str) else ""
        return text if len(text.encode()) <= _MESSAGE_BYTES_MAX and not re.search(r"\n", text) else ""


def _variables(declared: Declared, place: _Place) -> tuple[dict[str, Any], dict[str, Any]]:
    """With `oldSelf` as it is, and as an optional."""
    convert = declared.convert
    value = place.value if convert is None else convert(place.value)
    if place.old is None:
        return {SELF: value}, {SELF: value, OLD_SELF: NONE}
    old = place.old if convert is None else convert(place.old)
    return {SELF: value, OLD_SELF: old}, {SELF: value, OLD_SELF: Optional(old)}


def _failure(error: EvaluationError, rule: Rule) -> str:
    if str(error).startswith(NO_OVERLOAD):
        words = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{error}': {words}: {rule.text}"
    return f"{error} evaluating rule: {rule.text}"


def _default_message(rule: Rule) -> str:
    message = rule.rule.get("message") or ""
    return message.strip() if message else f"failed rule: {rule.text}"


def _children(level: Level, place: _Place) -> Iterator[tuple[Level, _Place]]:
    value, old = place.value, place.old
    if isinstance(value, list) and level.items is not None:
        known = _by_keys(level.keys, old)
        for index, item in enumerate(value):
            before = None if known is None or not isinstance(item, dict) else known.get(_key(level.keys or (), item))
            yield level.items, place.below(f"{place.path}[{index}]", item, before)
    elif isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        if level.values is not None:
            for key, item in value.items():
                yield level.values, place.below(f"{place.path}[{key}]", item, before.get(key))
        prefix = f"{place.path}." if place.path else ""
        for key, below in level.properties.items():
            if key in value:
                at = place.below(f"{prefix}{key}", value[key], before.get(key))
                # Both are what the request asked for, whatever was stored.
                is_kind = not place.path and key in ("apiVersion", "kind")
                yield below, replace(at, compared=(at.value, None)) if is_kind else at


def _key(keys: tuple[str, ...], item: Object) -> tuple[str, ...]:
    return tuple(repr(item.get(key)) for key in keys)


def _by_keys(keys: tuple[str, ...] | None, old: Any) -> dict[tuple[str, ...], Any] | None:
    if keys is None or not isinstance(old, list):
        return None
    return {_key(keys, item): item for item in old if isinstance(item, dict)}
