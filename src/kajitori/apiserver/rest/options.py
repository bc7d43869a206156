"""CreateOptions, UpdateOptions, PatchOptions, DeleteOptions and ListOptions, as query parameters or as a body."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kajitori.api.errors import BadRequest, Invalid
from kajitori.api.field_errors import FieldError, forbidden, invalid, not_supported, too_long
from kajitori.api.meta import Object
from kajitori.apiserver.http_types import Query
from kajitori.apiserver.negotiate import decode_body
from kajitori.kit.syntax_errors import literal, not_an_object

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
_VALIDATIONS = (IGNORE, WARN, STRICT)
_POLICIES = ("Foreground", "Background", "Orphan")


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
    if not query.text:
        return _DEFAULT
    validation = query.get("fieldValidation")
    errors: list[FieldError] = _dry_run_errors(query.all("dryRun"))
    if validation and validation not in _VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, [*_VALIDATIONS, ""]))
    manager = query.get("fieldManager")
    if len(manager) > 128:
        errors.append(too_long("fieldManager", manager, 128))
    for position, character in enumerate(manager):
        if not character.isprintable():
            why = f"invalid character U+{ord(character):04X} (at position {position})"
            errors.append(invalid("fieldManager", manager, why))
            break
    if errors:
        raise Invalid.of("meta.k8s.io", kind, "", errors)
    return WriteOptions(bool(query.all("dryRun")), validation or WARN, manager, query.flag("force"), validation)


def _dry_run_errors(values: list[str]) -> list[FieldError]:
    if any(value != "All" for value in values):
        return [not_supported("dryRun", values, ["All"])]
    return []


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`policy` "" leaves the choice to the kind."""

    grace_period_s: int | None = None
    policy: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
    orphan_asked: bool | None = None

    def document(self) -> Object:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        if self.grace_period_s is not None:
            options["gracePeriodSeconds"] = self.grace_period_s
        if self.policy:
            options["propagationPolicy"] = self.policy
        preconditions = {"uid": self.uid, "resourceVersion": self.resource_version}
        if any(preconditions.values()):
            options["preconditions"] = {key: value for key, value in preconditions.items() if value}
        if self.dry_run:
            options["dryRun"] = ["All"]
        return options


def delete_options(query: Query, body: bytes, content_type: str) -> DeleteOptions:
    """The body wins over the query, as upstream has it."""
    document: Object = {}
    if body:
        read = decode_body(body, content_type)
        if read is not None and not isinstance(read, dict):
            raise BadRequest(f"couldn't get version/kind; json parse error: {not_an_object(read)}")
        document = read or {}
        if document.get("kind") not in (None, "", "DeleteOptions"):
            raise BadRequest(f"decoded object cannot be converted to DeleteOptions: {document.get('kind')}")
    elif query.text:
        document = _from_query(query)
    _check_types(document)
    grace, policy, orphan = (document.get(k) for k in ("gracePeriodSeconds", "propagationPolicy", "orphanDependents"))
    dry_run = document.get("dryRun") or query.all("dryRun")
    errors = _dry_run_errors(dry_run)
    if policy is not None and orphan is not None:
        errors.append(
            invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set")
        )
    elif policy is not None and policy not in _POLICIES:
        listed = ", ".join(f'"{name}"' for name in (*_POLICIES, "nil"))
        errors.append(FieldError("FieldValueNotSupported", "propagationPolicy", policy, f"supported values: {listed}"))
    if errors:
        raise Invalid.of("meta.k8s.io", "DeleteOptions", "", errors)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    preconditions = document.get("preconditions") or {}
    return DeleteOptions(
        grace_period_s=grace,
        policy=policy or "",
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=bool(dry_run),
        orphan_asked=orphan,
    )


_TYPES: Mapping[str, tuple[type, str]] = {
    "gracePeriodSeconds": (int, "int64"),
    "preconditions": (dict, "v1.Preconditions"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
    "dryRun": (list, "[]string"),
}


def _check_types(document: Object) -> None:
    for name, (wanted, go_type) in _TYPES.items():
        value = document.get(name)
        if value is not None and type(value) is not wanted:
            where = f"Go struct field DeleteOptions.{name} of type {go_type}"
            raise BadRequest(f"json: cannot unmarshal {literal(value)} into {where}")
    preconditions = document.get("preconditions") or {}
    for name in ("uid", "resourceVersion"):
        if not isinstance(preconditions.get(name), str | None):
            where = f"Go struct field Preconditions.preconditions.{name} of type string"
            raise BadRequest(f"json: cannot unmarshal {literal(preconditions[name])} into {where}")


def _from_query(query: Query) -> Object:
    document: Object = {}
    given = query.values
    if "gracePeriodSeconds" in given:
        document["gracePeriodSeconds"] = _integer(query, "gracePeriodSeconds")
    if "propagationPolicy" in given:
        document["propagationPolicy"] = query.get("propagationPolicy")
    if "orphanDependents" in given:
        document["orphanDependents"] = query.flag("orphanDependents")
    preconditions = {name: query.get(name) for name in ("uid", "resourceVersion") if name in given}
    if preconditions:
        document["preconditions"] = preconditions
    return document


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
        limit=max(0, _integer(query, "limit")),
        continue_token=query.get("continue"),
        timeout_s=_integer(query, "timeoutSeconds"),
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
    if options.continue_token:
        errors.append(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
    if not match:
        return errors
    if options.send_initial_events is None:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        errors.append(forbidden("resourceVersionMatch", detail))
    if match != "NotOlderThan":
        errors.append(not_supported("resourceVersionMatch", match, ["NotOlderThan"]))
    return errors


_INT64 = re.compile(r"[+-]?[0-9]{1,19}")
_DIGITS = re.compile(r"[+-]?[0-9]+")


def parse_int64(text: str) -> int:
    """Raises ValueError, also for what only Python takes as a number: underscores, spaces, digits of other scripts."""
    number = int(text) if _INT64.fullmatch(text) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise ValueError(f"no integer of 64 bits: {text[:40]!r}")
    return number


def _integer(query: Query, name: str) -> int:
    if name not in query.values:
        return 0
    text = query.get(name)
    try:
        return parse_int64(text)
    except ValueError:
        why = "value out of range" if _DIGITS.fullmatch(text) else "invalid syntax"
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": {why}') from None
