"""What another server answers, when it must be a JSON object."""

import orjson

from kajitori.api.meta import Object


def json_object(body: bytes) -> Object:
    """Raises ValueError, whose message says what the body is instead."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the answer is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("the answer is not a JSON object")
    return document
