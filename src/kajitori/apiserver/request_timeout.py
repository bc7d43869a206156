"""`?timeout=` of a request: how long its client waits. What is not a duration is refused before anything is done."""

from kajitori.api.errors import BadRequest
from kajitori.api.go_durations import duration_ns
from kajitori.apiserver.http_types import Query


def check_timeout(query: Query) -> None:
    """Raises BadRequest in upstream's words."""
    text = query.get("timeout")
    if not text:
        return
    try:
        duration_ns(text)
    except ValueError as error:
        raise BadRequest(f"invalid timeout specified in the request URL - {error}") from None
