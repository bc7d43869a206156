"""How the API refuses a patch, in upstream's (partly odd) words."""

from typing import Any

import orjson

from kajitori.api.errors import Invalid, StatusError, UnsupportedMediaType
from kajitori.api.field_errors import invalid
from kajitori.api.meta import Object

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def not_applicable() -> Invalid:
    """A JSON patch whose operation failed: upstream says nothing more."""
    return Invalid("the server rejected our request due to an error in our request", {})


def bad_result(patched: Object, why: str, *, ordered: bool = False) -> Invalid:
    """The document that a JSON or merge patch made does not decode; `why` is the decoder's message. `ordered`: all its
    keys are shown in order, as those of custom objects, which have no Go type; of others the outermost ones."""
    shown = patched if ordered else dict(sorted(patched.items()))
    return _invalid_patch(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS if ordered else 0).decode(), why)


def bad_strategic_result(patch: Object, why: str) -> Invalid:
    """The same for a strategic merge patch, which shows the patch as Go prints a map."""
    return _invalid_patch(go_map(patch), why)


def _invalid_patch(shown: str, why: str) -> Invalid:
    error = invalid("patch", shown, why)
    return Invalid(f' "" is invalid: {error}', {"causes": [error.cause()]})


def not_registered(kind: Any, api_version: Any, scheme: str = "pkg/api/legacyscheme/scheme.go:30") -> str:
    """Upstream names the table of types that it looked into; clients compare the whole sentence."""
    return f'no kind "{kind}" is registered for version "{api_version}" in scheme "{scheme}"'


def broken(why: str) -> StatusError:
    """A patch that contradicts the schema; upstream answers 500 without a reason."""
    return StatusError(why)


def unsupported_media_type(*accepted: str) -> UnsupportedMediaType:
    listed = ", ".join(accepted)
    return UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {listed}"
    )


def go_map(value: Any) -> str:
    """A document as Go's `%v` prints it: `map[spec:map[replicas:3]]`."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_map(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(go_map(item) for item in value)}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
