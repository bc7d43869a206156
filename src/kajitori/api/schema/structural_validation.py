"""Checking a custom resource against its structural schema, with upstream's field errors."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from kajitori.api.field_errors import (
    FieldError,
    duplicate,
    invalid,
    required,
    too_long,
    too_many,
)
from kajitori.api.meta import Object
from kajitori.api.schema.string_formats import FORMATS, known_format

ERRORS_MAX = 250
"""An enumeration of a thousand values, missed a hundred thousand times, would be told in gigabytes."""
_NAMES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}


def validate(schema: Object, obj: Any, path: str = "", *, lists: bool = True) -> list[FieldError]:
    """The violations, each once, in the order of the document's schema. `lists`: those of lists that are sets or maps,
    too."""
    found = list(islice(_errors(schema, obj, path), ERRORS_MAX))
    if len(found) > 1:
        found = list({str(error): error for error in found}.values())
    return found + repetitions(schema, obj, path) if lists else found


def repetitions(schema: Object, value: Any, path: str = "") -> list[FieldError]:
    """In lists that are sets or maps."""
    return list(islice(_repetitions(schema, value, path), ERRORS_MAX))


def _repetitions(schema: Object, value: Any, path: str) -> Iterator[FieldError]:
    if isinstance(value, list):
        yield from _duplicate_errors(schema, value, path)
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                yield from _repetitions(items, item, f"{path}[{index}]")
    elif isinstance(value, dict):
        properties, values = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            child = properties.get(key, values)
            if isinstance(child, dict) and (path or key != "metadata"):
                below = f"{path}.{key}" if path and key in properties else f"{path}[{key}]" if path else key
                yield from _repetitions(child, item, below)


def _errors(schema: Object, value: Any, path: str) -> Iterator[FieldError]:
    """In upstream's order: type, junctors, what there is to say of a text, number or list, enumeration, object."""
    if value is None and schema.get("nullable"):
        yield from _enumeration_errors(schema, value, path)
        return
    yield from _type_errors(schema, value, path)
    if value is None:
        yield from _enumeration_errors(schema, value, path)
        return
    yield from _junctor_errors(schema, value, path)
    if isinstance(value, str):
        yield from islice(_string_errors(schema, value, path), 1)
        yield from _format_errors(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_errors(schema, value, path)
    elif isinstance(value, list):
        yield from _list_errors(schema, value, path)
    yield from _enumeration_errors(schema, value, path)
    if isinstance(value, dict):
        yield from _object_errors(schema, value, path)


def _enumeration_errors(schema: Object, value: Any, path: str) -> Iterator[FieldError]:
    choices = schema.get("enum")
    if choices and not any(_equals(value, choice) for choice in choices):
        listed = ", ".join(orjson.dumps(_as_text(each)).decode() for each in choices)
        yield FieldError("FieldValueNotSupported", path, value, f"supported values: {listed}")


def _equals(value: Any, choice: Any) -> bool:
    """A fraction equals the integer that is left of it, because upstream converts it."""
    if isinstance(value, bool) or isinstance(choice, bool):
        return value is choice
    if isinstance(value, float) and isinstance(choice, int) and math.isfinite(value):
        return int(value) == choice
    return bool(value == choice)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _type_errors(schema: Object, value: Any, path: str) -> Iterator[FieldError]:
    """A format may stand for the type: what of neither is right is said of the format, when there is one."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield _wrong_type(path, schema.get("type") or "integer,string", _NAMES[type(value)])
        return
    wanted, form, found = schema.get("type") or "", known_format(schema), _NAMES[type(value)]
    if not wanted and (not form or value is None):
        return
    fits = found == wanted or (wanted == "number" and found == "integer")
    fits = fits or (wanted == "integer" and found == "number" and value.is_integer() and abs(value) <= _EXACT_MAX)
    if value is None or not form:
        if not fits:
            yield _wrong_type(path, wanted, found)
        return
    if not isinstance(value, str | list):
        own = _OWN_FORMATS.get(found, "")
        if not fits and own != form:
            yield _wrong_type(path, form, own)
    elif wanted in ("number", "integer") and not fits:
        yield _wrong_type(path, wanted, found)


_EXACT_MAX = 2**53 - 1
"""Beyond, a number with a fraction or an exponent is no integer: not every one has a float of its own."""
_OWN_FORMATS = {"integer": "int64", "number": "float64"}


def _wrong_type(path: str, wanted: str, found: str) -> FieldError:
    return FieldError("FieldValueTypeInvalid", path, found, f'{path} in body must be of type {wanted}: "{found}"')


def _string_errors(schema: Object, value: str, path: str) -> Iterator[FieldError]:
    """Only the first is told."""
    most, least = schema.get("maxLength"), schema.get("minLength")
    if most is not None and len(value) > most:
        yield too_long(path, value, most)
    if least is not None and len(value) < least:
        yield invalid(path, value, f"{path} in body should be at least {least} chars long")
    pattern = schema.get("pattern")
    if pattern and not _found(pattern, value):
        yield invalid(path, value, f"{path} in body should match '{pattern}'")


def _format_errors(schema: Object, value: str, path: str) -> Iterator[FieldError]:
    wanted = known_format(schema)
    if wanted in FORMATS and not FORMATS[wanted](value):
        words = f"{path} in body must be of type {wanted}: {orjson.dumps(value).decode()}"
        yield FieldError("FieldValueTypeInvalid", path, value, words)


def _found(pattern: str, value: str) -> bool:
    """In linear time, as Go does; a pattern that cannot be read refuses nothing."""
    from kajitori.api.cel.errors import EvaluationError
    from kajitori.api.cel.regexes import matches

    try:
        return matches(value, pattern)
    except EvaluationError:
        return True


def _number_errors(schema: Object, value: float, path: str) -> Iterator[FieldError]:
    factor, least, most = (schema.get(keyword) for keyword in ("multipleOf", "minimum", "maximum"))
    yield from _range_errors(schema, value, "Checked", path)
    if factor is not None:
        bad = list(_range_errors(schema, factor, "MultipleOf", path))
        yield from bad or _multiple_errors(value, _like(value, factor), path)
        if bad:
            yield from _multiple_errors(value, factor, path)
    for bound, what, name in ((least, "Minimum", "greater"), (most, "Maximum", "less")):
        if bound is None:
            continue
        bad = list(_range_errors(schema, bound, f"{what} boundary", path))
        yield from bad
        exclusive, of = schema.get(f"exclusive{what}"), bound if bad else _like(value, bound)
        beyond = value < of if what == "Minimum" else value > of
        if beyond or (exclusive and value == of):
            words = f"should be {name} than" if exclusive else f"should be {name} than or equal to"
            yield invalid(path, value, f"{path} in body {words} {_number(of)}")


def _like(value: float, bound: float) -> float:
    """What upstream compares an integer with is an integer too: what is left of a fraction."""
    return int(bound) if isinstance(value, int) and math.isfinite(bound) else bound


def _multiple_errors(value: float, factor: float, path: str) -> Iterator[FieldError]:
    if factor <= 0:
        yield invalid(path, factor, f"factor MultipleOf declared for {path} must be positive: {_number(factor)}")
        return
    times = value / factor
    if math.isfinite(times) and not math.isclose(times, round(times), abs_tol=1e-9):
        yield invalid(path, value, f"{path} in body should be a multiple of {_number(factor)}")


_BITS = {"int32": 31, "int64": 63}


def _range_errors(schema: Object, value: float, what: str, path: str) -> Iterator[FieldError]:
    """Whether a number, or a bound of one, can be an integer of its size."""
    if schema.get("type") != "integer":
        return
    form = schema.get("format") if schema.get("format") in _BITS else ""
    bound = 1 << _BITS[form or "int64"]
    if not math.isfinite(value) or value != int(value) or not -bound <= value < bound:
        of = f"with format {form}" if form else "(default format)"
        yield invalid("<nil>", "", f"{what} value must be of type integer {of} in {path}")


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list_errors(schema: Object, value: list[Any], path: str) -> Iterator[FieldError]:
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            yield from _errors(items, item, f"{path}[{index}]")
    most, least = schema.get("maxItems"), schema.get("minItems")
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} items")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)


def _duplicate_errors(schema: Object, value: list[Any], path: str) -> Iterator[FieldError]:
    """What is there for the second time; what comes a third time is not told again."""
    list_type = schema.get("x-kubernetes-list-type")
    if list_type not in ("set", "map"):
        return
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    if list_type == "map":
        for index, item in enumerate(value):
            if item is not None and not isinstance(item, dict):
                yield invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")
                return
    seen: Counter[bytes] = Counter()
    for index, item in enumerate(value):
        identity = item
        if list_type == "map":
            identity = {key: item[key] for key in keys if key in item} if item is not None else {}
        encoded = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
        seen[encoded] += 1
        if seen[encoded] == 2:
            yield duplicate(f"{path}[{index}]", identity)


def _object_errors(schema: Object, value: Object, path: str) -> Iterator[FieldError]:
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} properties")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
    properties: Object = schema.get("properties") or {}
    values = schema.get("additionalProperties")
    prefix = f"{path}." if path else ""
    if isinstance(values, dict):
        for key, item in value.items():
            if key not in properties:
                yield from _errors(values, item, f"{path}.{key}")
    for key, child in properties.items():
        if key in value:
            yield from _errors(child, value[key], f"{prefix}{key}")
    for key in schema.get("required") or ():
        if key not in value:
            yield required(f"{prefix}{key}")


def _junctor_errors(schema: Object, value: Any, path: str) -> Iterator[FieldError]:
    """Upstream tells them of the whole object, and the place in the message."""

    def must(words: str) -> FieldError:
        return invalid("<nil>", "", f"{orjson.dumps(path).decode()} must {words}")

    choices = schema.get("anyOf")
    if choices and not any(_holds(child, value, path) for child in choices):
        yield must("validate at least one schema (anyOf)")
        yield from _nearest(choices, value, path)
    alternatives = schema.get("oneOf")
    if alternatives:
        count = sum(_holds(child, value, path) for child in alternatives)
        if count != 1:
            found = f"{count} valid alternatives" if count else "none valid"
            yield must(f"validate one and only one schema (oneOf). Found {found}")
        if not count:
            yield from _nearest(alternatives, value, path)
    every = schema.get("allOf") or ()
    for child in every:
        yield from _errors(child, value, path)
    kept = sum(_holds(child, value, path) for child in every)
    if kept != len(every):
        yield must(f"validate all the schemas (allOf){'' if kept else '. None validated'}")
    if isinstance(schema.get("not"), dict) and _holds(schema["not"], value, path):
        yield must("not validate the schema (not)")


def _nearest(schemas: list[Object], value: Any, path: str) -> Iterator[FieldError]:
    """What is wrong with the alternative that looked at the most of a value."""
    yield from _errors(max(schemas, key=lambda schema: _looked_at(schema, value)), value, path)


def _looked_at(schema: Object, value: Any) -> int:
    """How many checks a schema makes of a value, as upstream counts them."""
    if value is None:
        return 0
    count, form = 1, known_format(schema)
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        count += sum(_looked_at(child, value[key]) for key, child in properties.items() if key in value)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        count += sum(_looked_at(schema["items"], item) for item in value)
    count += 1 if schema.get("type") or form else 0
    return count + (1 if form and isinstance(value, str) else 0)


def _holds(schema: Object, value: Any, path: str) -> bool:
    return next(_errors(schema, value, path), None) is None
