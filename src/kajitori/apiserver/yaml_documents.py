"""YAML as Kubernetes reads it: JSON's data model, so `2026-01-01` and `12:30:45` stay strings, yes/no are booleans as
YAML 1.1 says, and keys are strings (sigs.k8s.io/yaml).

Built from libyaml's events, because PyYAML's composer descends in C: a body of brackets alone would end the process.
Aliases are copies, and what they may copy is bounded: ten lines can otherwise mean more than any memory holds.
"""

import base64
import binascii
import contextlib
import math
import re
from typing import Any, NamedTuple

import orjson
import yaml
from yaml import events

from kajitori.api.schema import duplicate_fields

YamlError = yaml.YAMLError

DEPTH_MAX = 1000
ALIASED_MAX = 3 * 1024 * 1024
"""What all aliases of a document may add, in characters of their strings: no body could say more without aliases."""
_NODE_COST = 8
"""Characters that a node counts for: 400,000 of them are as many as go-yaml allows."""

_REPEATED_MAX = 1000
"""Keys that are told to be repeated; a body can have a million."""

_Parser: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BaseDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0b[0-1_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **{
        form: value
        for word, value in {**yaml.SafeLoader.bool_values, "y": True, "n": False}.items()
        for form in (word, word.title(), word.upper())
    },
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_INTEGERS = range(-(2**63), 2**64)
_NO_KEY = object()
_MERGE = object()


class _Read(NamedTuple):
    value: Any
    repeated: list[str]


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("again", "anchor", "key", "merged", "place", "seen", "value")

    def __init__(self, value: Any, anchor: str | None) -> None:
        self.again = ""
        self.place = ""
        self.value = value
        self.anchor = anchor
        self.key: Any = _NO_KEY
        self.merged: list[Any] = []
        self.seen: set[str] = set()


class _Builder:
    """A document from its events."""

    def __init__(self) -> None:
        self.repeated: list[str] = []
        self.root: Any = None
        self._open: list[_Open] = []
        self._anchored: dict[str, Any] = {}
        self._aliased = 0

    def take(self, event: Any) -> None:
        kind = type(event)
        if self._open and self._open[-1].again and not self._open[-1].place:
            self._open[-1].place = _line(event)
        if kind is events.ScalarEvent:
            self._scalar(event)
        elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
            if len(self._open) >= DEPTH_MAX:
                raise YamlError(f"{_line(event)}: exceeded max depth of {DEPTH_MAX}")
            if self._awaits_key():
                raise YamlError(f"{_line(event)}: a key must be a scalar")
            self._open.append(_Open({} if kind is events.MappingStartEvent else [], event.anchor))
        elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
            self._end()
        elif kind is events.AliasEvent:
            self._alias(event)

    def _awaits_key(self) -> bool:
        return bool(self._open) and type(self._open[-1].value) is dict and self._open[-1].key is _NO_KEY

    def _scalar(self, event: Any) -> None:
        value = _scalar_value(event)
        if event.anchor is not None:
            self._anchored[event.anchor] = value
        if not self._awaits_key():
            self._place(value)
            return
        mapping = self._open[-1]
        if event.value in mapping.seen:
            mapping.again = f'key "{event.value}" already set in map'
        mapping.seen.add(event.value)
        mapping.key = _MERGE if event.value == "<<" and event.implicit[0] else _key(value, event)

    def _place(self, value: Any) -> None:
        if not self._open:
            self.root = value
            return
        inside = self._open[-1]
        if type(inside.value) is list:
            inside.value.append(value)
            return
        if inside.key is _MERGE:
            inside.merged.append(value)
        else:
            inside.value[inside.key] = value
        inside.key = _NO_KEY
        if inside.again:  # told when the value is through, by where that begins
            if len(self.repeated) < _REPEATED_MAX:
                self.repeated.append(f"{inside.place}: {inside.again}")
            inside.again = inside.place = ""

    def _end(self) -> None:
        ended = self._open.pop()
        for merged in ended.merged:
            for mapping in merged if isinstance(merged, list) else [merged]:
                if not isinstance(mapping, dict):
                    raise YamlError("map merge requires map or sequence of maps as the value")
                for key in mapping.keys() - ended.value.keys():
                    ended.value[key] = self._copy(mapping[key])
        if ended.anchor is not None:
            self._anchored[ended.anchor] = ended.value
        self._place(ended.value)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchored:
            raise YamlError(f"{_line(event)}: unknown anchor '{event.anchor}' referenced")
        value = self._anchored[event.anchor]
        if self._awaits_key():
            self._open[-1].key = _key(value, event)
        else:
            self._place(self._copy(value))

    def _copy(self, value: Any) -> Any:
        self._aliased += _NODE_COST + (len(value) if isinstance(value, str) else 0)
        if self._aliased > ALIASED_MAX:
            raise YamlError("document contains excessive aliasing")
        if isinstance(value, dict):
            return {key: self._copy(item) for key, item in value.items() if self._count(key)}
        if isinstance(value, list):
            return [self._copy(item) for item in value]
        return value

    def _count(self, key: str) -> bool:
        self._aliased += len(key)
        return True


def _line(event: Any) -> str:
    return f"line {event.start_mark.line + 1}"


def _scalar_value(event: Any) -> Any:
    tag, text = event.tag, event.value
    if tag is None or tag == "!":
        return _plain(text) if tag is None and event.implicit[0] else text
    if tag == f"{_TAG}binary":
        try:
            return base64.b64decode(text, validate=False).decode(errors="replace")
        except (ValueError, binascii.Error):
            raise YamlError(f"{_line(event)}: !!binary value contains invalid base64 data") from None
    wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(tag.removeprefix(_TAG))
    if not tag.startswith(_TAG) or wanted is None:
        return text
    value = _plain(text)
    if wanted is float and type(value) is int:
        return value
    if type(value) is not wanted:
        raise YamlError(f"{_line(event)}: cannot decode !!str `{text[:20]}` as a !!{tag.removeprefix(_TAG)}")
    return value


def _plain(text: str) -> Any:
    """What a word without quotes means."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    try:
        if _INT.fullmatch(text):
            number = _integer(text.replace("_", ""))
            return number if number in _INTEGERS else float(number)
        if _FLOAT.fullmatch(text):
            found = float(text)
            if not math.isfinite(found):
                return text
            return int(found) if found.is_integer() and abs(found) < 2**63 else found  # 1.0 is 1 in Go's JSON
    except (ValueError, OverflowError):
        return text
    if _NOT_FINITE.fullmatch(text):
        raise YamlError(f"json: unsupported value: {text}")
    return text


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if digits[0] != "0" or len(digits) == 1:
        return sign * int(digits)
    return sign * (int(digits, 0) if digits[1] in "box" else int(digits, 8))


def _key(value: Any, event: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise YamlError(f"{_line(event)}: a key must be a scalar other than null")


def _read(text: bytes | str) -> _Read:
    """Of the first document. Raises YamlError."""
    parser, builder = _Parser(text), _Builder()
    try:
        while True:
            event = parser.get_event()
            if event is None or type(event) in (events.DocumentEndEvent, events.StreamEndEvent):
                return _Read(builder.root, builder.repeated)
            builder.take(event)
    except RecursionError:
        raise YamlError(f"exceeded max depth of {DEPTH_MAX}") from None
    except UnicodeError as error:
        raise YamlError(str(error)) from None
    finally:
        parser.dispose()


def _as_json(text: bytes | str) -> Any:
    """The document of a text that is JSON as well, read a hundred times faster; None for all others."""
    if text[:1] in (b"{", "{"):
        with contextlib.suppress(orjson.JSONDecodeError):
            return orjson.loads(text)
    return None


def load_yaml(text: bytes | str) -> Any:
    """The first document; None when there is none. Raises YamlError."""
    document = _as_json(text)
    return _read(text).value if document is None else document


def repeated_keys(text: bytes) -> list[str]:
    """Where a mapping has a key again, as sigs.k8s.io/yaml tells it. Raises YamlError."""
    document = _as_json(text)
    if document is not None and not duplicate_fields(text, document):
        return []
    return _read(text).repeated


class _Dumper(_BaseDumper):  # type: ignore[misc]  # its base is C or Python
    """Quotes every text that would be read as something else, as go-yaml does; what stands twice is written twice."""

    def represent_text(self, text: str) -> Any:
        tag = f"{_TAG}str"
        plain = _is_plain(text) and self.resolve(yaml.ScalarNode, text, (True, False)) == tag
        return self.represent_scalar(tag, text, style=None if plain else '"')

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


def _is_plain(text: str) -> bool:
    try:
        return type(_plain(text)) is str
    except YamlError:
        return False


def dump_yaml(document: Any) -> bytes:
    return yaml.dump(document, Dumper=_Dumper, default_flow_style=False, allow_unicode=True).encode()
