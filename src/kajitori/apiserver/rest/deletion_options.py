"""DeleteOptions: a body of any group's version, or query parameters."""

from dataclasses import dataclass
from typing import Any

from kajitori.api.errors import BadRequest, Invalid
from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object
from kajitori.api.patch.refusals import not_registered
from kajitori.api.schema import Undecodable, conform_definition
from kajitori.apiserver.http_types import Query
from kajitori.apiserver.negotiate import decode_body
from kajitori.apiserver.rest.options import dry_run_errors, integer_of
from kajitori.kit.syntax_errors import literal, not_an_object

_KIND, _API_VERSION, _INTERNAL = "DeleteOptions", "meta.k8s.io/v1", "meta.k8s.io/__internal"
_DEFINITION = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_SCHEME = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
_POLICIES = ("Foreground", "Background", "Orphan")
_OF_ANY_VERSION = frozenset(
    (
        *("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status"),
        *("CreateOptions", "PatchOptions", "UpdateOptions"),
    )
)
_OF_THIS_VERSION = frozenset(
    ("GetOptions", "ListOptions", "PartialObjectMetadata", "PartialObjectMetadataList", "Table", "WatchEvent")
)
"""What else upstream knows where it decodes options."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`policy` "" leaves the choice to the kind."""

    grace_period_s: int | None = None
    policy: str = ""
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False
    orphan_asked: bool | None = None
    sent: Object | None = None
    """The body as it was understood, which is how the audit log shows it upstream."""

    def document(self) -> Object:
        options: Object = {"kind": _KIND, "apiVersion": _API_VERSION}
        if self.grace_period_s is not None:
            options["gracePeriodSeconds"] = self.grace_period_s
        if self.orphan_asked is not None:
            options["orphanDependents"] = self.orphan_asked
        elif self.policy:
            options["propagationPolicy"] = self.policy
        preconditions = {"uid": self.uid, "resourceVersion": self.resource_version}
        if given := {key: value for key, value in preconditions.items() if value is not None}:
            options["preconditions"] = given
        if self.dry_run:
            options["dryRun"] = ["All"]
        return options


def delete_options(query: Query, body: bytes, content_type: str) -> DeleteOptions:
    """The body wins over the query, as upstream has it; only a dry run is one wherever it is asked for."""
    document: Object = {}
    if body:
        document = _decoded(body, content_type)
    elif query.text:
        document = _from_query(query)
    grace, policy, orphan = (document.get(k) for k in ("gracePeriodSeconds", "propagationPolicy", "orphanDependents"))
    dry_run = document.get("dryRun") or query.all("dryRun")
    errors: list[FieldError] = []
    if policy is not None and orphan is not None:
        errors.append(
            invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set")
        )
    if policy is not None and policy not in _POLICIES:
        listed = ", ".join(f'"{name}"' for name in (*_POLICIES, "nil"))
        errors.append(FieldError("FieldValueNotSupported", "propagationPolicy", policy, f"supported values: {listed}"))
    errors += dry_run_errors(dry_run)
    if errors:
        raise Invalid.of("meta.k8s.io", _KIND, "", errors)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    preconditions = document.get("preconditions") or {}
    return DeleteOptions(
        grace_period_s=grace,
        policy=policy or "",
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=bool(dry_run),
        orphan_asked=orphan,
        sent={**document, "kind": _KIND, "apiVersion": _INTERNAL} if body else None,
    )


def _decoded(body: bytes, content_type: str) -> Object:
    """Raises BadRequest in the words of upstream's decoder, UnsupportedMediaType."""
    read = decode_body(body, content_type)
    if read is None:
        return {}
    document = _of_this_kind(read, body)
    policy, asked = document.get("propagationPolicy"), document.get("preconditions")
    empty = {key: "" for key in ("uid", "resourceVersion") if isinstance(asked, dict) and asked.get(key) == ""}
    try:
        conform_definition(_DEFINITION, document)
    except Undecodable as error:
        raise BadRequest(error.why) from None
    if policy == "":  # one that is not known, and not the same as none
        document["propagationPolicy"] = ""
    if empty:  # no object has it
        document["preconditions"] = {**(document.get("preconditions") or {}), **empty}
    return document


def _of_this_kind(document: Any, body: bytes) -> Object:
    if not isinstance(document, dict):
        raise BadRequest(f"couldn't get version/kind; json parse error: {not_an_object(document)}")
    for field in ("apiVersion", "kind"):
        value = document.get(field)
        if value is not None and not isinstance(value, str):
            why = f"json: cannot unmarshal {literal(value)} into Go struct field .{field} of type string"
            raise BadRequest(f"couldn't get version/kind; json parse error: {why}")
    kind, api_version = document.get("kind") or _KIND, document.get("apiVersion") or _API_VERSION
    if api_version.count("/") > 1:
        raise BadRequest(f"unexpected GroupVersion string: {api_version}")
    if api_version.endswith("/"):
        raise BadRequest(f"Object 'apiVersion' is missing in '{body.decode(errors='replace')}'")
    if kind in _OF_ANY_VERSION or (kind in _OF_THIS_VERSION and api_version == _API_VERSION):
        raise BadRequest(f"converting (v1.{kind}) to (v1.{_KIND}): unknown conversion")
    if kind != _KIND:
        raise BadRequest(not_registered(kind, api_version.removeprefix("/"), _SCHEME))
    return document


def _from_query(query: Query) -> Object:
    document: Object = {}
    given = query.values
    if "gracePeriodSeconds" in given:
        document["gracePeriodSeconds"] = integer_of(query, "gracePeriodSeconds")
    if "propagationPolicy" in given:
        document["propagationPolicy"] = query.get("propagationPolicy")
    if "orphanDependents" in given:
        document["orphanDependents"] = query.flag("orphanDependents")
    preconditions = {name: query.get(name) for name in ("uid", "resourceVersion") if name in given}
    if preconditions:
        document["preconditions"] = preconditions
    return document
