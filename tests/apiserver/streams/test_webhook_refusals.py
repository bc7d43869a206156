import pytest

from kajitori.apiserver.streams.webhook_refusals import refusal

STATUS = b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not you"}'


@pytest.mark.parametrize(
    ("status", "media", "body", "said"),
    [
        (403, "application/json", STATUS, "not you"),
        (500, "application/json", STATUS.replace(b"Failure", b"Success"), '("unknown")'),
        (500, "application/json", b"oops", 'an error on the server ("unknown") has prevented'),
        (500, "text/plain; charset=utf-8", b' "oops"\n', 'an error on the server ("\\"oops\\"") has prevented'),
        (502, "", b"y" * 5000, "y" * 2048 + '")'),
        (403, "text/html", b"who are you", "who are you"),
        (403, "application/json", b"", "unknown"),
        (404, "text/plain", b"no page", "the server could not find the requested resource"),
        (406, "application/json", b"x", "unable to respond with a content type that the client supports"),
        (503, "text/plain", b"later", "the server is currently unable to handle the request"),
        (302, "text/plain", b"", "the server responded with the status code 302 but did not return more information"),
        (410, "text/plain", b"gone", "the server responded with the status code 410"),
    ],
)
def test_what_a_refusal_says(status: int, media: str, body: bytes, said: str) -> None:
    assert said in refusal(status, media, body)
