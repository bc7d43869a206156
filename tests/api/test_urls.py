import pytest

from kajitori.api import urls
from kajitori.api.urls import BadUrl, Url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://h:80/a/b?q=1#f", Url("https", host="h:80", path="/a/b", query="q=1", fragment="f")),
        ("HTTPS://H", Url("https", host="H")),
        ("//u:p:q@h/p", Url(user="u:p%3Aq", host="h", path="/p")),
        ("https://@h", Url("https", user="", host="h")),
        ('https://a%C3%A9<>"]/', Url("https", host='aé<>"]', path="/")),
        ("https://[fe80::1%25eth0]:80", Url("https", host="[fe80::1%eth0]:80")),
        ("postgres://a:1,b:2/x", Url("postgres", host="a:1,b:2", path="/x")),
        ("https:h?q", Url("https", opaque="h", query="q")),
        ("///h", Url(path="///h")),
        ("a/b:c", Url(path="a/b:c")),
        ("", Url()),
    ],
)
def test_what_a_url_says(text: str, url: Url) -> None:
    assert urls.parse(text) == url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("://h", "missing protocol scheme"),
        ("1a://h", "first path segment in URL cannot contain colon"),
        ("https://h/\n", "net/url: invalid control character in URL"),
        ("https://h/%zz", 'invalid URL escape "%zz"'),
        ("https://h/%4", 'invalid URL escape "%4"'),
        ("https://h/#%zz", 'invalid URL escape "%zz"'),
        ("https://h%41/", 'invalid URL escape "%41"'),
        ("https://h x/", 'invalid character " " in host name'),
        ("https://u b@h/", "net/url: invalid userinfo"),
        ("https://h:ab/", 'invalid port ":ab" after host'),
        ("https://h:80:90/", 'invalid port ":80:90" after host'),
        ("https://[::1/", "missing ']' in host"),
        ("https://[::1]x/", 'invalid port "x" after host'),
        ("https://a[b]/", "invalid IP-literal"),
        ("https://[1.2.3.4]/", "invalid IP-literal"),
        ("https://[abc]/", 'invalid host: ParseAddr("abc"): unable to parse IP'),
    ],
)
def test_what_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(BadUrl) as raised:
        urls.parse(text)
    assert str(raised.value).endswith(f": {why}")


@pytest.mark.parametrize("text", ["", "rel", "a/b"])
def test_a_request_line_has_a_whole_one_or_a_path(text: str) -> None:
    with pytest.raises(BadUrl):
        urls.parse_of_request(text)
    assert urls.parse_of_request("///h#f?q") == Url(path="///h#f", query="q")
