"""Why a body is no JSON or YAML, in the words of Go's scanners, which clients and their tests look for.

Only for refusals: the body was already refused by a faster reader.
"""

import re
from typing import Any

import yaml

VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, AFTER = range(6)
_END = "unexpected end of JSON input"
_TOKENS_MAX = 100_000
"""Whoever wrote more by hand must do without Go's words: they cost half a microsecond a token."""
_DEPTH_MAX = 10_000
_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX = b"0123456789abcdefABCDEF"
_DIGITS = b"0123456789"
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}


class _Refused(Exception):
    """The message is Go's."""


def json_error(text: bytes) -> str:
    """What encoding/json says of it; "" when it finds nothing wrong in its first 100,000 tokens."""
    try:
        _scan(text)
    except _Refused as error:
        return str(error)
    return ""


def yaml_error(error: yaml.YAMLError) -> str:
    """What go-yaml says: the problem, and the line unless it is the first."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"yaml: {error}"
    lines = [mark.line for mark in (error.context_mark, error.problem_mark) if mark is not None and mark.line]
    line = lines[0] + isinstance(error, yaml.scanner.ScannerError) if lines else 0
    return f"yaml: line {line}: {error.problem}" if line else f"yaml: {error.problem}"


def literal(value: Any) -> str:
    return _KINDS.get(type(value), "number")


def not_an_object(document: Any) -> str:
    """Go reads the kind and version first, and names the struct that it reads them into."""
    return f"json: cannot unmarshal {literal(document)} into Go value of type {_TYPE_META}"


_KINDS = {str: "string", bool: "bool", list: "array", dict: "object"}
_TYPE_META = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


def _scan(text: bytes) -> None:
    at, expect = 0, VALUE
    inside: list[int] = []
    for _ in range(_TOKENS_MAX):
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        if at == len(text):
            if expect == AFTER and not inside:
                return
            raise _Refused(_END)
        if expect in (VALUE, FIRST_VALUE) and text[at] not in b"{[]":
            at, expect = _scalar(text, at), AFTER
        elif expect in (KEY, FIRST_KEY) and text[at] == ord('"'):
            at, expect = _string(text, at + 1), COLON
        else:
            at, expect = at + 1, _punctuation(text[at], expect, inside)


def _punctuation(char: int, expect: int, inside: list[int]) -> int:
    """What is expected after a bracket, brace, colon or comma; `inside` gets or loses the one opened or closed."""
    if expect in (VALUE, FIRST_VALUE) and char in b"{[":
        if len(inside) >= _DEPTH_MAX:
            raise _Refused("exceeded max depth")
        inside.append(char)
        return FIRST_KEY if char == ord("{") else FIRST_VALUE
    if expect == COLON and char == ord(":"):
        return VALUE
    within_object = bool(inside) and inside[-1] == ord("{")
    if inside and expect == AFTER and char == ord(","):
        return KEY if within_object else VALUE
    closing = inside and char == (ord("}") if within_object else ord("]"))
    if closing and expect in (AFTER, FIRST_KEY if within_object else FIRST_VALUE):
        inside.pop()
        return AFTER
    raise _invalid(char, _where(expect, bool(inside), within_object))


def _where(expect: int, nested: bool, within_object: bool) -> str:
    if expect in (VALUE, FIRST_VALUE):
        return "looking for beginning of value"
    if expect in (KEY, FIRST_KEY):
        return "looking for beginning of object key string"
    if expect == COLON:
        return "after object key"
    if not nested:
        return "after top-level value"
    return "after object key:value pair" if within_object else "after array element"


def _scalar(text: bytes, at: int) -> int:
    """Where it ends."""
    char = text[at]
    if char == ord('"'):
        return _string(text, at + 1)
    literal = _LITERALS.get(char)
    if literal is None:
        if char == ord("-") or char in _DIGITS:
            return _number(text, at)
        raise _invalid(char, "looking for beginning of value")
    for offset, wanted in enumerate(literal):
        if offset:
            _expect(text, at + offset, bytes([wanted]), f"in literal {literal.decode()} (expecting {_quote(wanted)})")
    return at + len(literal)


def _string(text: bytes, at: int) -> int:
    while True:
        at = _PLAIN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        _expect(text, at, b'"\\', "in string literal")
        if text[at] == ord('"'):
            return at + 1
        _expect(text, at + 1, b'bfnrt\\/"u', "in string escape code")
        if text[at + 1] == ord("u"):
            for place in range(at + 2, at + 6):
                _expect(text, place, _HEX, "in \\u hexadecimal character escape")
            at += 4
        at += 2


def _number(text: bytes, at: int) -> int:
    if text[at] == ord("-"):
        at += 1
        _expect(text, at, _DIGITS, "in numeric literal")
    at = at + 1 if text[at] == ord("0") else _past_digits(text, at)
    if text[at : at + 1] == b".":
        at += 1
        _expect(text, at, _DIGITS, "after decimal point in numeric literal")
        at = _past_digits(text, at)
    if text[at : at + 1] in (b"e", b"E"):
        at += 2 if text[at + 1 : at + 2] in (b"+", b"-") else 1
        _expect(text, at, _DIGITS, "in exponent of numeric literal")
        at = _past_digits(text, at)
    return at


def _past_digits(text: bytes, at: int) -> int:
    while text[at : at + 1].isdigit():
        at += 1
    return at


def _expect(text: bytes, at: int, allowed: bytes, where: str) -> None:
    if at >= len(text):
        raise _Refused(_END)
    if text[at] not in allowed:
        raise _invalid(text[at], where)


def _invalid(char: int, where: str) -> _Refused:
    return _Refused(f"invalid character {_quote(char)} {where}")


_ESCAPES = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 39: r"\'", 92: r"\\"}


def _quote(char: int) -> str:
    """As Go does: each byte is taken for a character of its own."""
    shown = _ESCAPES.get(char)
    if shown is None:
        shown = chr(char) if chr(char).isprintable() else f"\\x{char:02x}" if char < 128 else f"\\u{char:04x}"
    return f"'{shown}'"
