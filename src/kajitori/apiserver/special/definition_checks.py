"""What makes a CustomResourceDefinition acceptable: its own consistency, and names that nobody else has. Pure."""

import re
from collections.abc import Iterable, Iterator

from kajitori.api.field_errors import FieldError, invalid, not_supported, required
from kajitori.api.meta import Object, annotations_of, condition_is, name_of
from kajitori.apiserver.special.json_path import compile_path

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_APPROVED = "api-approved.kubernetes.io"
_KEP = "https://github.com/kubernetes/enhancements/pull/1111"
_COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"]


def errors_of(definition: Object) -> list[FieldError]:
    """Everything that is wrong with a definition by itself."""
    return [
        *_name_errors(definition),
        *_version_errors(definition["spec"].get("versions") or []),
        *_approval_errors(definition),
    ]


def _name_errors(definition: Object) -> Iterator[FieldError]:
    spec = definition["spec"]
    names, group = spec.get("names") or {}, spec.get("group") or ""
    plural, kind = names.get("plural") or "", names.get("kind") or ""
    if name_of(definition) != f"{plural}.{group}":
        yield invalid("metadata.name", name_of(definition), 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield required("spec.group")
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    scope = spec.get("scope") or ""
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield not_supported("spec.scope", scope, ["Cluster", "Namespaced"])
    named = [("plural", plural), ("singular", names.get("singular") or ""), ("kind", kind.lower())]
    named.append(("listKind", (names.get("listKind") or "").lower()))
    for field, value in named:
        if not value and field in ("plural", "kind", "listKind"):
            yield required(f"spec.names.{field}")
        elif value and not _LABEL.fullmatch(value):
            yield invalid(f"spec.names.{field}", value, _LABEL_RULE)
    for index, value in enumerate(names.get("shortNames") or ()):
        if not _LABEL.fullmatch(value):
            yield invalid(f"spec.names.shortNames[{index}]", value, _LABEL_RULE)
    if kind and kind == names.get("listKind"):
        yield invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")


def _version_errors(versions: list[Object]) -> Iterator[FieldError]:
    storing = [version for version in versions if version.get("storage")]
    if len(storing) != 1:
        yield invalid("spec.versions", versions, "must have exactly one version marked as storage version")
    if len({version.get("name") for version in versions}) != len(versions):
        yield invalid("spec.versions", versions, "must contain unique version names")
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if not _LABEL.fullmatch(version.get("name") or ""):
            yield invalid(f"{path}.name", version.get("name", ""), _LABEL_RULE)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        else:
            yield from _schema_errors(schema, f"{path}.schema.openAPIV3Schema")
        for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
            yield from _column_errors(column, f"{path}.additionalPrinterColumns[{number}]")


def _schema_errors(schema: Object, path: str) -> Iterator[FieldError]:
    if not schema.get("type"):
        yield required(f"{path}.type", "must not be empty at the root")
    elif schema["type"] != "object":
        yield invalid(f"{path}.type", schema["type"], "must be object at the root")
    yield from _untyped(schema, path, root=True)


_CHILDREN_UNTYPED = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")


def _untyped(schema: Object, path: str, *, root: bool = False) -> Iterator[FieldError]:
    """Structural schemas say every field's type (rule 1 of the structural schema page)."""
    if not root and not schema.get("type") and not any(schema.get(extension) for extension in _CHILDREN_UNTYPED):
        yield required(f"{path}.type", "must not be empty for specified object fields")
    for name, child in (schema.get("properties") or {}).items():
        if isinstance(child, dict) and not (root and name == "metadata"):
            yield from _untyped(child, f"{path}.properties[{name}]")
    for field in ("items", "additionalProperties"):
        child = schema.get(field)
        if isinstance(child, dict):
            yield from _untyped(child, f"{path}.{field}")


def _column_errors(column: Object, path: str) -> Iterator[FieldError]:
    if not column.get("name"):
        yield required(f"{path}.name")
    if column.get("type") not in _COLUMN_TYPES:
        yield invalid(f"{path}.type", column.get("type", ""), f"must be one of {','.join(_COLUMN_TYPES)}")
    try:
        compile_path(column.get("jsonPath") or "")
    except ValueError as error:
        yield invalid(f"{path}.jsonPath", column.get("jsonPath", ""), str(error))


def _approval_errors(definition: Object) -> Iterator[FieldError]:
    """KEP-1111: groups of the Kubernetes project need its approval."""
    group = definition["spec"].get("group") or ""
    protected = any(group == domain or group.endswith(f".{domain}") for domain in ("k8s.io", "kubernetes.io"))
    if protected and not annotations_of(definition).get(_APPROVED):
        field = f"metadata.annotations[{_APPROVED}]"
        yield required(field, f'protected groups must have approval annotation "{_APPROVED}", see {_KEP}')


def name_conflict(definition: Object, others: Iterable[Object]) -> tuple[str, str] | None:
    """Reason and message when a name is another definition's already; None when all can be accepted."""
    group, names = definition["spec"]["group"], definition["spec"]["names"]
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        same = other["metadata"]["name"] == name_of(definition)
        if same or other["spec"]["group"] != group or not condition_is(other, "NamesAccepted"):
            continue
        theirs = other["spec"]["names"]
        resources |= {theirs["plural"], theirs.get("singular") or "", *(theirs.get("shortNames") or ())} - {""}
        kinds |= {theirs["kind"], theirs.get("listKind") or ""} - {""}
    asked = [
        ("PluralConflict", names["plural"], resources),
        ("SingularConflict", names.get("singular") or "", resources),
        *(("ShortNamesConflict", short, resources) for short in names.get("shortNames") or ()),
        ("KindConflict", names["kind"], kinds),
        ("ListKindConflict", names.get("listKind") or "", kinds),
    ]
    for reason, value, taken in asked:
        if value in taken:
            return reason, f'"{value}" is already in use'
    return None
