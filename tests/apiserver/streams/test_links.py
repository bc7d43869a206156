import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.http_types import Response
from kajitori.apiserver.streams.links import TAG_BYTES_MAX, Links
from kajitori.apiserver.streams.proxies import through_proxy

PREFIX = "/api/v1/namespaces/n/pods/p/proxy"
LINKS = Links(PREFIX, ("10.0.0.1:80", "localhost:8001"))


def shown(*pieces):
    async def stream():
        for piece in pieces:
            yield piece

    async def main():
        return b"".join([piece async for piece in LINKS.page(stream())])

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/rewriteme", f"{PREFIX}/rewriteme"),
        ("/a/b/?q=1#top", f"{PREFIX}/a/b/?q=1#top"),
        ("/", f"{PREFIX}/"),
        ("http://10.0.0.1:80/x", f"{PREFIX}/x"),
        ("http://localhost:8001/x", f"{PREFIX}/x"),
        (f"{PREFIX}/x", f"{PREFIX}/x"),
        ("relative/x", "relative/x"),
        ("?q", "?q"),
        ("#top", "#top"),
        ("//cdn.example/x", "//cdn.example/x"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("http://[bad/x", "http://[bad/x"),
    ],
)
def test_what_is_of_the_proxied_host_leads_through_the_proxy(url, expected):
    assert LINKS.moved(url) == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (b'<a href="/rewriteme">test</a>', f'<a href="{PREFIX}/rewriteme">test</a>'),
        (b"<IMG alt='>' SRC = '/i.png?a=1&amp;b=2'/>", f"<IMG alt='>' SRC = '{PREFIX}/i.png?a=1&amp;b=2'/>"),
        (b"<link href=/s.css>", f'<link href="{PREFIX}/s.css">'),
        (b'<p title="/x">a < b <c href="/x">', '<p title="/x">a < b <c href="/x">'),
        (b"\xff<a data-href='/x'>\xfe", None),
    ],
)
def test_attributes_that_are_links_are_changed_and_nothing_else(page, expected):
    assert shown(page) == (page if expected is None else expected.encode())


PIECES = [b"<a href=", b'"/x"', b"'", b'"', b">", b"<", b"text", b" ", b"<img src=/y"]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.integers(0, 30 * max(map(len, PIECES))))
def test_where_a_page_is_cut_does_not_matter(parts, cut):
    """Of pages short of `TAG_BYTES_MAX`."""
    page = b"".join(parts)
    assert shown(page[:cut], page[cut:]) == shown(page)


def test_a_tag_without_an_end_is_not_kept_for_ever():
    held = b""
    for _ in range(5):
        _, held = LINKS.rewritten(held + b'<a "' + b"x" * (TAG_BYTES_MAX // 2))
        assert len(held) <= TAG_BYTES_MAX


def test_redirects_lead_through_the_proxy_too():
    answer = through_proxy(Response(302, b"", "text/html", (("location", "/next/"),)), LINKS)
    assert answer.headers == (("location", f"{PREFIX}/next/"),)


@pytest.mark.parametrize("part", [b"<a", b"<a '", b"<a \"<a '", b"a", b"<a x", b"<a \t"])
def test_a_hostile_page_takes_no_longer_than_another(part):
    page = part * (TAG_BYTES_MAX // len(part))
    assert shown(page) == page and shown(page, b"<p>") == page + b"<p>"
    assert LINKS.rewritten(b"<a " + page.replace(b'"', b"").replace(b"'", b"") + b">")
