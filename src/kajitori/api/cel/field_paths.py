"""The fieldPath of a rule: `.spec.list['a.b']`, relative to where the rule is; every step must be in the schema."""

import re

from kajitori.api.meta import Object

_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CHARACTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


def normalized(path: str, schema: Object) -> str | None:
    """As it is written behind the path of the rule's value, without a leading dot; None when it leads nowhere."""
    shown, at = "", 0
    here: Object | None = schema
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or here is None:
            return None
        name = match[1] if match[1] is not None else _unescaped(match[2])
        if name is None:
            return None
        properties, values = here.get("properties"), here.get("additionalProperties")
        if properties:
            here, shown = properties.get(name), f"{shown}.{name}"
        elif isinstance(values, dict):
            here, shown = values, f"{shown}[{name}]"
        else:
            return None
        if here is None:
            return None
        at = match.end()
    return shown.removeprefix(".") or None


def _unescaped(text: str) -> str | None:
    if any(match[1] not in _CHARACTERS for match in _ESCAPE.finditer(text)):
        return None
    return _ESCAPE.sub(lambda match: _CHARACTERS[match[1]], text)
