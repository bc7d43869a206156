import pytest

from kajitori.apiserver.http import encoding
from kajitori.apiserver.http_types import Response
from kajitori.apiserver.responses import with_warnings


def warned(*texts: str) -> list[str]:
    return [value for _, value in with_warnings(Response(), list(texts)).headers]


def test_warnings_are_quoted_and_said_once() -> None:
    assert warned('a "b" \\c', "d", "d") == ['299 - "a \\"b\\" \\\\c"', '299 - "d"']


@pytest.mark.parametrize("text", ["a\nb", "a\r\nX: y", "\x00", "\x85"])
def test_warnings_that_no_header_can_hold_are_left_out(text: str) -> None:
    assert warned(text, "b") == ['299 - "b"']


def test_warnings_are_cut_when_they_are_too_much_together() -> None:
    assert warned("x" * 5000) == [f'299 - "{"x" * 256}"']
    assert len(warned(*(f"{n} {'x' * 300}" for n in range(10_000)))) == 16


def test_an_answer_that_all_share_stays_as_it_is() -> None:
    shared = Response(404)
    assert with_warnings(shared, ["a"]).headers
    assert shared.headers == ()


def test_an_answer_that_says_how_it_may_be_kept_says_it_once():
    date = encoding.DateHeader(lambda: 0.0).line()
    for name in ("Cache-Control", "cache-control"):
        own = Response(200, b"", headers=((name, "public"),))
        assert encoding.head(own, date, b"", close=False).lower().count(b"cache-control") == 1
    assert b"Cache-Control: no-cache, private\r\n" in encoding.head(Response(200), date, b"", close=False)
