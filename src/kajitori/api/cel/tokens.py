"""From the text of an expression to its tokens. What is no token is noted, and skipped, so that parsing goes on."""

import re
from collections.abc import Callable
from typing import NamedTuple

from kajitori.api.cel.errors import Issue

_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    '"': '"', "'": "'", "\\": "\\", "?": "?", "`": "`",
}  # fmt: skip
_SEQUENCE = r"""\\(?:[abfnrtv"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"""
_BODY = rf'"(?:{_SEQUENCE}|[^\\"\n\r])*"' rf"|'(?:{_SEQUENCE}|[^\\'\n\r])*'"
_LONG = rf'"""(?:{_SEQUENCE}|[^\\])*?"""' rf"|'''(?:{_SEQUENCE}|[^\\])*?'''"
_RAW = r'[rR](?:"""(?s:.*?)"""|' r"'''(?s:.*?)'''" r'|"[^"\n\r]*"|' r"'[^'\n\r]*')"
_TOKEN = re.compile(
    rf"""(?P<space>[\t \r\n\f]+|//[^\n]*)
    |(?P<BYTES>[bB](?:{_RAW}|{_LONG}|{_BODY}))
    |(?P<STRING>{_RAW}|{_LONG}|{_BODY})
    |(?P<NUM_FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<NUM_UINT>0x[0-9a-fA-F]+[uU]|[0-9]+[uU])
    |(?P<NUM_INT>0x[0-9a-fA-F]+|[0-9]+)
    |(?P<IDENTIFIER>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<ESC_IDENTIFIER>`[A-Za-z0-9_.\-/\ ]+`)
    |(?P<mark>==|!=|<=|>=|&&|\|\||[<>\[\]{{}}().,\-!?:+*/%])""",
    re.VERBOSE,
)
_WORDS = frozenset({"in", "true", "false", "null"})
END = "<EOF>"


class Token(NamedTuple):
    """`kind` is what a parser asks for: a mark or word itself, or the name of a class such as IDENTIFIER."""

    kind: str
    text: str
    at: int


def tokenize(source: str, note: Callable[[int, str], None]) -> list[Token]:
    """Ends with a token of the kind END. `note` takes what could not be recognised: offset and message."""
    tokens: list[Token] = []
    at, size = 0, len(source)
    while at < size:
        match = _TOKEN.match(source, at)
        if match is None:
            at = _skip(source, at, note)
            continue
        group, text = match.lastgroup or "", match[0]
        if group != "space":
            kind = text if group == "mark" or (group == "IDENTIFIER" and text in _WORDS) else group
            tokens.append(Token(kind, text, at))
        at = match.end()
    tokens.append(Token(END, END, size))
    return tokens


def _skip(source: str, at: int, note: Callable[[int, str], None]) -> int:
    """Past what is no token. An unfinished mark or string is reported up to where it failed."""
    first = source[at]
    end = at + 1
    if first in "=&|":
        end = min(at + 2, len(source))
    elif first in "\"'`":
        end = _line_end(source, at)
    shown = source[at:end].replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    note(at, f"Syntax error: token recognition error at: '{shown}'")
    return end


def _line_end(source: str, at: int) -> int:
    end = source.find("\n", at)
    return len(source) if end < 0 else end


def position(source: str, at: int) -> tuple[int, int]:
    """Line, from 1, and column, from 0, of an offset. Where there is no text, no place is in it."""
    if not source:
        return 1, -1
    before = source[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1)


def issue(source: str, at: int, message: str) -> Issue:
    return Issue(*position(source, at), message)


_UNESCAPE = re.compile(_SEQUENCE)


def text_of(literal: str) -> str:
    """The value of a string literal. Raises ValueError for an escape that names no character."""
    raw = literal[0] in "rR"
    body = _unquoted(literal[1:] if raw else literal)
    return body if raw else _UNESCAPE.sub(_character, body)


def bytes_of(literal: str) -> bytes:
    """The value of a bytes literal, whose number escapes are bytes."""
    literal = literal[1:]
    raw = literal[0] in "rR"
    body = _unquoted(literal[1:] if raw else literal)
    if raw:
        return body.encode()
    pieces: list[bytes] = []
    at = 0
    for match in _UNESCAPE.finditer(body):
        pieces.append(body[at : match.start()].encode())
        pieces.append(_octets(match))
        at = match.end()
    pieces.append(body[at:].encode())
    return b"".join(pieces)


def _unquoted(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    quotes = 3 if text[:3] in ('"""', "'''") and len(text) >= 6 else 1
    return text[quotes:-quotes]


def _code(escape: str) -> int | None:
    """The number in an escape; None for a letter's."""
    first = escape[1]
    if first in "xXuU":
        return int(escape[2:], 16)
    return int(escape[1:], 8) if first in "0123" else None


def _character(match: re.Match[str]) -> str:
    code = _code(match[0])
    if code is None:
        return _ESCAPES[match[0][1]]
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        raise ValueError("invalid unicode code point")
    return chr(code)


def _octets(match: re.Match[str]) -> bytes:
    code = _code(match[0])
    if match[0][1] in "uU":
        raise ValueError("unable to unescape string")
    return _ESCAPES[match[0][1]].encode() if code is None else bytes([code])
