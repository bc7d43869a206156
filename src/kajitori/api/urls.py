"""URLs as Go's net/url reads them, refusals in its words: messages pass them on, and what it refuses is no URL here.

Source: RFC 3986, and the documentation of `net/url` (Parse, ParseRequestURI). Pure.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from kajitori.api.go_text import quoted

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::[0-9]*)?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ASCII_ESCAPE = re.compile(r"%(?!25)[0-7]")
_NOT_IN_HOST = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]")
_ONE_COLON = ("http", "https")
"""Schemes whose hosts have no colon but the one before the port; those of databases list several addresses."""
_USER_PLAIN = "$&+,;="
_PATH_PLAIN = "!$&'()*+,;=:@[]/~"


class BadUrl(ValueError):
    """The message names the text and the reason."""


@dataclass(frozen=True, slots=True)
class Url:
    """`user` is None where there is no `@`, `path` without escapes as it was written, `opaque` what follows a scheme
    without a slash."""

    scheme: str = ""
    opaque: str = ""
    user: str | None = None
    host: str = ""
    path: str = ""
    query: str = ""
    fragment: str = ""


def parse(text: str) -> Url:
    """A reference, absolute or not. Raises BadUrl."""
    rest, _, fragment = text.partition("#")
    url = _parsed(rest, of_request=False)
    try:
        _check_escapes(fragment)
    except _Refused as refused:
        raise _bad(text, refused) from None
    return Url(url.scheme, url.opaque, url.user, url.host, url.path, url.query, fragment)


def parse_of_request(text: str) -> Url:
    """An absolute URI or an absolute path, as in a request line; `#` means nothing there. Raises BadUrl."""
    return _parsed(text, of_request=True)


def escaped_path(path: str) -> str:
    """As it travels."""
    return quote(path, safe=f"%{_PATH_PLAIN}")


class _Refused(Exception):
    """The message is the reason alone."""


def _bad(text: str, refused: _Refused) -> BadUrl:
    return BadUrl(f"parse {quoted(text)}: {refused}")


def _parsed(text: str, *, of_request: bool) -> Url:
    try:
        return _read(text, of_request=of_request)
    except _Refused as refused:
        raise _bad(text, refused) from None


def _read(text: str, *, of_request: bool) -> Url:
    if _CONTROL.search(text):
        raise _Refused("net/url: invalid control character in URL")
    if not text and of_request:
        raise _Refused("empty url")
    if text == "*":
        return Url(path=text)
    scheme, rest = _cut_scheme(text)
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, opaque=rest, query=query)
        if of_request:
            raise _Refused("invalid URI for request")
        if ":" in rest.partition("/")[0]:
            raise _Refused("first path segment in URL cannot contain colon")
    user, host = None, ""
    if rest.startswith("//") and (scheme or not (of_request or rest.startswith("///"))):
        authority, slash, path = rest[2:].partition("/")
        user, host = _authority(scheme, authority)
        rest = slash + path
    _check_escapes(rest)
    return Url(scheme, "", user, host, rest, query)


def _cut_scheme(text: str) -> tuple[str, str]:
    before, colon, rest = text.partition(":")
    if colon and not before:
        raise _Refused("missing protocol scheme")
    return (before.lower(), rest) if colon and _SCHEME.fullmatch(before) else ("", text)


def _check_escapes(text: str) -> None:
    if found := _BAD_ESCAPE.search(text):
        raise _Refused(f"invalid URL escape {quoted(text[found.start() : found.start() + 3])}")


def _authority(scheme: str, authority: str) -> tuple[str | None, str]:
    user, at, host = authority.rpartition("@")
    host = _host(scheme, host)
    if not at:
        return None, host
    if not _USER.fullmatch(user):
        raise _Refused("net/url: invalid userinfo")
    name, colon, password = user.partition(":")
    for part in (name, password):
        _check_escapes(part)
    return colon.join(quote(unquote_to_bytes(part), safe=_USER_PLAIN) for part in (name, password)), host


def _host(scheme: str, host: str) -> str:
    begin = host.rfind("[")
    if begin > 0:
        raise _Refused("invalid IP-literal")
    if begin == 0:
        return _literal(host)
    colon = host.find(":") if scheme in _ONE_COLON else host.rfind(":")
    if colon >= 0:
        _check_port(host[colon:])
    return _plain(host)


def _check_port(port: str) -> None:
    if not _PORT.fullmatch(port):
        raise _Refused(f"invalid port {quoted(port)} after host")


def _plain(host: str) -> str:
    _check_escapes(host)
    if found := _ASCII_ESCAPE.search(host):
        raise _Refused(f"invalid URL escape {quoted(host[found.start() : found.start() + 3])}")
    if found := _NOT_IN_HOST.search(host):
        raise _Refused(f"invalid character {quoted(found[0])} in host name")
    return unquote_to_bytes(host).decode(errors="replace")


def _literal(host: str) -> str:
    """An address of version 6 in brackets, its zone after `%25`."""
    end = host.rfind("]")
    if end < 0:
        raise _Refused("missing ']' in host")
    _check_port(host[end + 1 :])
    address, zoned, zone = host[1:end].partition("%25")
    shown = _plain(address)
    if zoned:
        _check_escapes(zone)
        shown += f"%{unquote_to_bytes(zone).decode(errors='replace')}"
    _check_address(shown)
    return f"[{shown}]{host[end + 1 :]}"


def _check_address(text: str) -> None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise _Refused(f"invalid host: ParseAddr({quoted(text)}): unable to parse IP") from None
    if found.version == 4:
        raise _Refused("invalid IP-literal")
