"""Regular expressions in linear time, so that no pattern can keep the server busy: RE2, as upstream's are.

The number of patterns kept compiled is bounded, and so is the memory that one may take.
"""

from functools import lru_cache
from typing import Any

from kajitori.api.cel.errors import EvaluationError

_MEMORY_BYTES = 8 * 1024 * 1024
_KEPT = 256


@lru_cache(maxsize=_KEPT)
def compiled(pattern: str) -> Any:
    """Raises EvaluationError for what is no pattern."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise EvaluationError(f"error parsing regexp: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    what, mark, where = text.rpartition(": ")
    return f"{what}: `{where}`" if mark else text


def matches(text: str, pattern: str) -> bool:
    return compiled(pattern).search(text) is not None
