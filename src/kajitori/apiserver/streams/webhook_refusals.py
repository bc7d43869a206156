"""What an HTTP status says that is no success, in the words of upstream's client. Pure."""

import orjson

_TEXT_BYTES_MAX = 2048
_UNKNOWN = "unknown"
_SENTENCES = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}
_NOT_ACCEPTABLE = 406
_NO_COMMON_FORM = "the server was unable to respond with a content type that the client supports"


def refusal(status: int, content_type: str, body: bytes) -> str:
    """A Status says it itself; of a page only text is shown, and that where the status alone says too little."""
    if said := _said(body):
        return said
    text = _UNKNOWN
    if not content_type or content_type.startswith("text/"):
        text = body[:_TEXT_BYTES_MAX].decode(errors="replace").strip()
    if status in (403, 415):
        return text
    if status == _NOT_ACCEPTABLE:
        return text if text not in ("", _UNKNOWN) else _NO_COMMON_FORM
    if status in _SENTENCES:
        return _SENTENCES[status]
    if status >= 500:
        return f"an error on the server ({_quoted(text)}) has prevented the request from succeeding"
    return f"the server responded with the status code {status} but did not return more information"


def _said(body: bytes) -> str:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(document, dict) or document.get("kind") != "Status" or document.get("status") != "Failure":
        return ""
    return str(document.get("message") or "")


def _quoted(text: str) -> str:
    """As Go's %q shows it."""
    escaped = orjson.dumps(text).decode()
    return escaped.replace("\\u007f", "\\x7f")
