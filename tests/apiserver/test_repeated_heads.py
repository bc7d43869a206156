"""A head that repeats is recognised by its bytes, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.http.incoming import Incoming
from kajitori.apiserver.http.repeated import RepeatedHead, head_of
from kajitori.apiserver.http_types import Headers

_LINES = b"Host: here\r\nAuthorization: Bearer t\r\n"


def _request(method: bytes = b"GET", target: bytes = b"/a", lines: bytes = _LINES, body: bytes = b"") -> bytes:
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, lines, body)


def _parsed(method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> Incoming:
    incoming = Incoming()
    incoming.method, incoming.headers = method, Headers(headers or {"host": "here"})
    incoming.body, incoming.body_bytes = [body], len(body)
    return incoming


def _known(data: bytes, incoming: Incoming) -> RepeatedHead:
    head = head_of(data, incoming)
    assert head is not None
    return head


def test_the_next_request_with_the_same_lines_shares_their_headers() -> None:
    first = _parsed()
    again = _known(_request(), first).match(_request(target=b"/b?limit=5"))
    assert again is not None
    assert (again.method, again.target, again.body, again.headers is first.headers) == (
        "GET",
        b"/b?limit=5",
        [],
        True,
    )


def test_a_body_of_the_same_length_is_taken_whole() -> None:
    lines = b"Host: here\r\nContent-Length: 3\r\n"
    known = _known(_request(b"POST", lines=lines, body=b"abc"), _parsed("POST", body=b"abc"))
    again = known.match(_request(b"POST", b"/c", lines, b"xyz"))
    assert again is not None
    assert again.body == [b"xyz"]


@pytest.mark.parametrize(
    "data",
    [
        _request(b"PUT"),
        _request(lines=b"Host: there\r\nAuthorization: Bearer t\r\n"),
        _request(lines=_LINES + b"X: y\r\n"),
        _request(target=b"*"),
        _request(target=b"/a b"),
        _request(target=b"/a\r\nX: y"),
        _request(target=b"/\xff"),
        _request(target=b"/" + b"a" * 5000),
        _request() + b"G",
        _request() + _request(),
        _request()[:-1],
        b"",
    ],
)
def test_anything_else_goes_to_the_parser(data: bytes) -> None:
    assert _known(_request(), _parsed()).match(data) is None


@pytest.mark.parametrize("name", ["transfer-encoding", "expect", "upgrade"])
def test_heads_that_change_how_bytes_are_read_are_not_kept(name: str) -> None:
    assert head_of(_request(), _parsed(headers={name: "x"})) is None


def test_two_requests_in_one_piece_are_not_kept_as_one() -> None:
    assert head_of(_request() + _request(), _parsed()) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_match_only_what_they_spell(data: bytes) -> None:
    again = _known(_request(), _parsed()).match(data)
    assert again is None or data == _request(target=again.target)
