"""CreateOptions, UpdateOptions, PatchOptions and ListOptions, out of query parameters."""

import re
from dataclasses import dataclass

from kajitori.api.errors import BadRequest, Invalid
from kajitori.api.field_errors import FieldError, forbidden, not_supported, required
from kajitori.api.meta import Object
from kajitori.api.validation.object_meta import field_manager_errors
from kajitori.apiserver.http_types import Query

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
_VALIDATIONS = (IGNORE, WARN, STRICT)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """`manager` is who will own the fields that this write sets; `validation_asked` is "" where the client left it to
    the server how unknown fields are answered."""

    dry_run: bool = False
    field_validation: str = WARN
    manager: str = ""
    force: bool = False
    validation_asked: str = ""

    def document(self, kind: str) -> Object:
        """As admission webhooks see it."""
        options: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            options["dryRun"] = ["All"]
        if self.manager:
            options["fieldManager"] = self.manager
        if self.validation_asked:
            options["fieldValidation"] = self.validation_asked
        return options


_DEFAULT = WriteOptions()


def write_options(query: Query, kind: str = "CreateOptions") -> WriteOptions:
    """Raises Invalid in upstream's words."""
    return _write_options(query, kind, []) if query.text else _DEFAULT


def patch_options(query: Query, *, apply: bool) -> WriteOptions:
    """Who applies says who it is, and may use force. Raises Invalid."""
    errors: list[FieldError] = []
    if apply and not query.get("fieldManager"):
        errors.append(required("fieldManager", "is required for apply patch"))
    elif not apply and "force" in query.values:
        errors.append(forbidden("force", "may not be specified for non-apply patch"))
    return _write_options(query, "PatchOptions", errors)


def _write_options(query: Query, kind: str, errors: list[FieldError]) -> WriteOptions:
    validation = query.get("fieldValidation")
    manager = query.get("fieldManager")
    errors = [*errors, *field_manager_errors(manager, "fieldManager"), *dry_run_errors(query.all("dryRun"))]
    if validation and validation not in _VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, [*_VALIDATIONS, ""]))
    if errors:
        raise Invalid.of("meta.k8s.io", kind, "", errors)
    return WriteOptions(bool(query.all("dryRun")), validation or WARN, manager, query.flag("force"), validation)


def dry_run_errors(values: list[str]) -> list[FieldError]:
    if any(value != "All" for value in values):
        return [not_supported("dryRun", values, ["All"])]
    return []


@dataclass(frozen=True, slots=True)
class ListOptions:
    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    timeout_s: int = 0
    bookmarks: bool = False
    send_initial_events: bool | None = None


_LIST_DEFAULT = ListOptions()


def list_options(query: Query, *, watch: bool = False) -> ListOptions:
    """Raises BadRequest and Invalid in upstream's words."""
    if not query.text:
        return _LIST_DEFAULT
    options = ListOptions(
        label_selector=query.get("labelSelector"),
        field_selector=query.get("fieldSelector"),
        resource_version=query.get("resourceVersion"),
        resource_version_match=query.get("resourceVersionMatch"),
        limit=max(0, integer_of(query, "limit")),
        continue_token=query.get("continue"),
        timeout_s=integer_of(query, "timeoutSeconds"),
        bookmarks=query.flag("allowWatchBookmarks"),
        send_initial_events=query.flag("sendInitialEvents") if "sendInitialEvents" in query.values else None,
    )
    errors = _watch_list_errors(options) if watch else _list_errors(options)
    if errors:
        raise Invalid.of("meta.k8s.io", "ListOptions", "", errors)
    return options


_MATCHES = 'supported values: "Exact", "NotOlderThan", ""'


def _list_errors(options: ListOptions) -> list[FieldError]:
    errors: list[FieldError] = []
    match = options.resource_version_match
    if options.send_initial_events is not None:
        errors.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if not match:
        return errors
    if not options.resource_version:
        detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        errors.append(forbidden("resourceVersionMatch", detail))
    if options.continue_token:
        detail = "resourceVersionMatch is forbidden when continue is provided"
        errors.append(forbidden("resourceVersionMatch", detail))
    if match not in ("Exact", "NotOlderThan"):
        errors.append(FieldError("FieldValueNotSupported", "resourceVersionMatch", match, _MATCHES))
    if match == "Exact" and options.resource_version == "0":
        detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        errors.append(forbidden("resourceVersionMatch", detail))
    return errors


def _watch_list_errors(options: ListOptions) -> list[FieldError]:
    errors: list[FieldError] = []
    match = options.resource_version_match
    if options.send_initial_events is not None and match != "NotOlderThan":
        detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.append(forbidden("resourceVersionMatch", detail))
    if not match:
        return errors
    if options.send_initial_events is None:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        errors.append(forbidden("resourceVersionMatch", detail))
    if match != "NotOlderThan":
        errors.append(not_supported("resourceVersionMatch", match, ["NotOlderThan"]))
    if options.continue_token:
        errors.append(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
    return errors


_INT64 = re.compile(r"[+-]?[0-9]{1,19}")
_DIGITS = re.compile(r"[+-]?[0-9]+")


def parse_int64(text: str) -> int:
    """Raises ValueError, also for what only Python takes as a number: underscores, spaces, digits of other scripts."""
    number = int(text) if _INT64.fullmatch(text) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise ValueError(f"no integer of 64 bits: {text[:40]!r}")
    return number


def integer_of(query: Query, name: str) -> int:
    if name not in query.values:
        return 0
    text = query.get(name)
    try:
        return parse_int64(text)
    except ValueError:
        why = "value out of range" if _DIGITS.fullmatch(text) else "invalid syntax"
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": {why}') from None
