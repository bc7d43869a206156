"""CustomResourceDefinitions and their structural schemas (KEP-95, KEP-2337)."""

import re
from urllib.parse import urlsplit

from kajitori.api.field_errors import FieldError, InOrder, duplicate, forbidden, invalid, required, too_many
from kajitori.api.meta import Object
from kajitori.api.validation.admission import client_config
from kajitori.api.validation.checks import Errors, each, must, one_of, same_as_before
from kajitori.api.validation.definition_schemas import has_defaults, root_schema
from kajitori.api.validation.formats import dns_1035_errors, subdomain_errors
from kajitori.api.validation.shown_schemas import shown_root

_WARNING_BYTES_MAX = 256
_SIMPLE_PATH = "must be a simple json path starting with ."
_SELECTABLE_TYPES = ("string", "boolean", "integer")
_SELECTABLE_MAX = 8
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")


def validate_definition(definition: Object) -> list[FieldError]:
    return list(_definition(definition, []))


def revalidate_definition(new: Object, old: Object) -> list[FieldError]:
    """A change of a definition and one of its status are judged each in its way: by what judges the change."""
    return []


def _schema_of(version: Object) -> Object | None:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def _definition(definition: Object, judged: list[Object | None]) -> Errors:
    """`judged`: schemas whose rules are known to be good."""
    spec, status = definition.get("spec") or {}, definition.get("status") or {}
    names, group = spec.get("names") or {}, spec.get("group") or ""
    name = definition["metadata"].get("name") or ""
    if name and name != f"{names.get('plural') or ''}.{group}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _spec(spec, group, judged)
    yield from _without_approval(definition)
    yield from _stored_versions(spec, status)
    yield from _preserves(spec)


def _preserves(spec: Object) -> Errors:
    if spec.get("preserveUnknownFields"):
        yield invalid("spec.preserveUnknownFields", True, _PRESERVE)


_PRESERVE = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
_APPROVAL = "api-approved.kubernetes.io"
_PROTECTED = ("k8s.io", "kubernetes.io")


def approval(definition: Object) -> tuple[str, str, str] | None:
    """Groups of the Kubernetes project need its approval (KEP-1111): status, reason and message of the condition
    KubernetesAPIApprovalPolicyConformant. None for all other groups."""
    group = (definition.get("spec") or {}).get("group") or ""
    if not any(group == domain or group.endswith(f".{domain}") for domain in _PROTECTED):
        return None
    text = (definition["metadata"].get("annotations") or {}).get(_APPROVAL) or ""
    more = "see https://github.com/kubernetes/enhancements/pull/1111"
    if not text:
        return "False", "MissingAnnotation", f'protected groups must have approval annotation "{_APPROVAL}", {more}'
    if text.startswith("unapproved"):
        return "False", "UnapprovedAnnotation", f'not approved: "{text}"'
    url = urlsplit(text)
    if url.scheme and url.netloc:
        return "True", "ApprovedAnnotation", f"approved in {text}"
    either = 'with either a URL or a reason starting with "unapproved"'
    message = f'protected groups must have approval annotation "{_APPROVAL}" {either}, {more}'
    return "False", "InvalidAnnotation", message


def _without_approval(definition: Object) -> Errors:
    found, path = approval(definition), f"metadata.annotations[{_APPROVAL}]"
    if found is not None and found[1] == "MissingAnnotation":
        yield required(path, found[2])
    elif found is not None and found[1] == "InvalidAnnotation":
        yield invalid(path, definition["metadata"]["annotations"][_APPROVAL], found[2])


def _spec(spec: Object, group: str, judged: list[Object | None]) -> Errors:
    if not group:
        yield required("spec.group")
    elif problems := subdomain_errors(group):
        yield invalid("spec.group", group, ",".join(problems))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    scope = spec.get("scope") or ""
    if not scope:
        yield required("spec.scope")
    else:
        yield from one_of("spec.scope", scope, ("Cluster", "Namespaced"))
    yield from _versions(spec, judged)
    conversion = spec.get("conversion") or {}
    if spec.get("preserveUnknownFields") and conversion.get("strategy") != "None":
        detail = "must be None if spec.preserveUnknownFields is true"
        yield invalid("spec.conversion.strategy", conversion.get("strategy") or "", detail)
    yield from _conversion(conversion)


def _shown_versions(versions: list[Object] | None) -> object:
    """As upstream's internal struct, which says at the spec what all versions say alike."""
    if versions is None:
        return None
    own = {key for key in ("schema", *_PARTS, "selectableFields") if not _same_in_all(versions, key)}
    return [_shown_version({key: value for key, value in v.items() if key in own}, v) for v in versions]


def _shown_version(own: Object, version: Object) -> InOrder:
    schema, fields = own.get("schema"), own.get("selectableFields")
    return InOrder(
        Name=version.get("name", ""),
        Served=bool(version.get("served")),
        Storage=bool(version.get("storage")),
        Deprecated=bool(version.get("deprecated")),
        DeprecationWarning=version.get("deprecationWarning"),
        Schema=None if schema is None else InOrder(OpenAPIV3Schema=shown_root(schema.get("openAPIV3Schema"))),
        Subresources=_shown_subresources(own.get("subresources")),
        AdditionalPrinterColumns=_shown_columns(own.get("additionalPrinterColumns")),
        SelectableFields=None if fields is None else [InOrder(JSONPath=each.get("jsonPath") or "") for each in fields],
    )


def _shown_subresources(said: Object | None) -> InOrder | None:
    if said is None:
        return None
    scale = said.get("scale")
    paths = scale and InOrder(
        SpecReplicasPath=scale.get("specReplicasPath") or "",
        StatusReplicasPath=scale.get("statusReplicasPath") or "",
        LabelSelectorPath=scale.get("labelSelectorPath"),
    )
    return InOrder(Status=None if said.get("status") is None else InOrder(), Scale=paths)


def _shown_columns(columns: list[Object] | None) -> list[InOrder] | None:
    if columns is None:
        return None
    texts = {"Name": "name", "Type": "type", "Format": "format", "Description": "description"}
    return [
        InOrder(
            {name: column.get(key) or "" for name, key in texts.items()},
            Priority=column.get("priority") or 0,
            JSONPath=column.get("jsonPath") or "",
        )
        for column in columns
    ]


def _versions(spec: Object, judged: list[Object | None]) -> Errors:
    versions = spec.get("versions") or []
    shown = _shown_versions(spec.get("versions"))
    names = [version.get("name") or "" for version in versions]
    schemas = [_schema_of(version) for version in versions]
    shared = bool(schemas) and all(schema == schemas[0] for schema in schemas) and schemas[0] is not None
    for index, schema in enumerate(schemas):
        if schema is None:
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema")
    if spec.get("preserveUnknownFields") and any(has_defaults(schema) for schema in schemas if schema is not None):
        yield invalid("spec.preserveUnknownFields", True, "must be false in order to use defaults in the schema")
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if problems := dns_1035_errors(names[index]):
            yield invalid(f"{path}.name", names[index], ",".join(problems))
        yield from _deprecation(f"{path}.deprecationWarning", version)
        schema = schemas[index]
        if schema is not None and not shared:
            yield from root_schema(f"{path}.schema.openAPIV3Schema", schema, judged, status=_has_status(version))
        for key, check in _PARTS.items():
            if not _same_in_all(versions, key):
                yield from check(path, version)
        if not _same_in_all(versions, "selectableFields"):
            yield from _selectable(path, version, shared)
    if len(set(names)) != len(names):
        yield invalid("spec.versions", shown, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid("spec.versions", shown, "must have exactly one version marked as storage version")
    if names and names[0] and (problems := dns_1035_errors(names[0])):
        yield invalid("spec.version", names[0], ",".join(problems))
    yield from _names(spec.get("names") or {})
    if schemas and schemas[0] is not None and shared:
        status = any(map(_has_status, versions))
        yield from root_schema("spec.validation.openAPIV3Schema", schemas[0], judged, status=status)
    for key, check in _PARTS.items():
        if versions and _same_in_all(versions, key):
            yield from check("spec", versions[0])
    if versions and _same_in_all(versions, "selectableFields"):
        yield from _selectable("spec", versions[0], shared)


def _has_status(version: Object) -> bool:
    return (version.get("subresources") or {}).get("status") is not None


def _same_in_all(versions: list[Object], key: str) -> bool:
    """What all versions say alike, upstream reports once, at the spec."""
    return all(version.get(key) == versions[0].get(key) for version in versions)


def _deprecation(path: str, version: Object) -> Errors:
    text = version.get("deprecationWarning")
    if text is None:
        return
    if not version.get("deprecated"):
        yield invalid(path, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > _WARNING_BYTES_MAX:
        yield invalid(path, text, f"must be <= {_WARNING_BYTES_MAX} characters long")
    if not text:
        yield invalid(path, text, "must not be an empty string")
    for index, character in enumerate(text):
        if not character.isprintable():
            at = len(text[:index].encode())
            detail = f"must only contain printable UTF-8 characters; non-printable character found at index {at}"
            yield invalid(path, text, detail)
            return


def _columns(path: str, version: Object) -> Errors:
    for column, at in each(version, "additionalPrinterColumns", path):
        if not column.get("name"):
            yield required(f"{at}.name")
        kind = column.get("type") or ""
        if not kind:
            yield required(f"{at}.type", f"must be one of {','.join(_COLUMN_TYPES)}")
        elif kind not in _COLUMN_TYPES:
            yield invalid(f"{at}.type", kind, f"must be one of {','.join(_COLUMN_TYPES)}")
        form = column.get("format") or ""
        if form and form not in _COLUMN_FORMATS:
            yield invalid(f"{at}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}")
        where = column.get("jsonPath") or ""
        if not where:
            yield required(f"{at}.JSONPath")
        elif not where.startswith("."):
            yield invalid(f"{at}.JSONPath", where, _SIMPLE_PATH)


def _scale(path: str, version: Object) -> Errors:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return
    for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        at, value = f"{path}.subresources.scale.{field}", scale.get(field) or ""
        if not value:
            yield required(at)
        elif not value.startswith(root):
            under = f"should be a json path under {root[:-1]}"
            yield invalid(at, value, under if value.startswith(".") else _SIMPLE_PATH)
    selector = scale.get("labelSelectorPath")
    if selector and not selector.startswith((".spec.", ".status.")):
        at = f"{path}.subresources.scale.labelSelectorPath"
        under = "should be a json path under either .spec or .status"
        yield invalid(at, selector, under if selector.startswith(".") else _SIMPLE_PATH)


def _selectable(path: str, version: Object, hoisted: bool) -> Errors:
    """Scalar fields outside metadata, each named once (KEP-4358). Upstream looks for the schema where the fields are:
    what all versions have alike is the definition's own. `hoisted`: so is the schema."""
    fields = version.get("selectableFields")
    if not fields:
        return
    if hoisted != (path == "spec") or _schema_of(version) is None:
        part = "validations.schema is" if path == "spec" else "`version.schema.openAPIV3Schema` is not"
        yield invalid(f"{path}.selectableFields", "", f"may only be set when {part} included")
        return
    schema = _schema_of(version) or {}
    seen: set[str] = set()
    for field, at in each(version, "selectableFields", path):
        text = field.get("jsonPath") or ""
        if not text:
            yield required(f"{at}.jsonPath")
            continue
        in_metadata = text.startswith(".metadata")
        found, problem = ({"type": "string"}, "") if in_metadata else _schema_at(schema, text)
        if problem:
            yield invalid(f"{at}.jsonPath", text, f"is an invalid path: {problem}")
            continue
        if in_metadata:
            yield invalid(f"{at}.jsonPath", text, "must not point to fields in metadata")
        if found.get("type") not in _SELECTABLE_TYPES:
            detail = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats "
                "are allowed."
            )
            yield invalid(f"{at}.jsonPath", text, detail)
        if text in seen:
            yield duplicate(f"{at}.jsonPath", text)
        seen.add(text)
    if len(seen) > _SELECTABLE_MAX:
        yield too_many(f"{path}.selectableFields", len(seen), _SELECTABLE_MAX)


_PATH_STEP = re.compile(r"[.\[\]]|[^.\[\]]+")


def _schema_at(schema: Object, text: str) -> tuple[Object, str]:
    """What a path of fields leads to, or why it leads nowhere."""
    steps = iter(_PATH_STEP.findall(text))
    for step in steps:
        if step == "[":
            return {}, "array notation is not allowed"
        if step != ".":
            return {}, f"expected [ or . but got: {step}"
        name = next(steps, None)
        if name is None:
            return {}, "unexpected end of JSON path"
        properties, values = schema.get("properties"), schema.get("additionalProperties")
        if properties and name in properties:
            schema = properties[name]
        elif not properties and values is not None:
            schema = values if isinstance(values, dict) else {}
        else:
            return {}, "does not refer to a valid field"
    return schema, ""


_PARTS = {"subresources": _scale, "additionalPrinterColumns": _columns}


def _names(names: Object) -> Errors:
    for field in ("plural", "singular", "kind", "listKind"):
        if not names.get(field):
            yield required(f"spec.names.{field}")
    yield from _forms_of_names("spec.names", names)


def _forms_of_names(path: str, names: Object) -> Errors:
    for field in ("plural", "singular"):
        yield from _form_of_name(f"{path}.{field}", names.get(field) or "")
    kind, list_kind = names.get("kind") or "", names.get("listKind") or ""
    yield from _form_of_name(f"{path}.kind", kind, lowered=True)
    yield from _form_of_name(f"{path}.listKind", list_kind, lowered=True)
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or ()):
            if problems := dns_1035_errors(value):
                yield invalid(f"{path}.{field}[{index}]", value, ",".join(problems))
    if kind and kind == list_kind:
        yield invalid(f"{path}.listKind", list_kind, "kind and listKind may not be the same")


def _form_of_name(path: str, value: str, *, lowered: bool = False) -> Errors:
    if value and (problems := dns_1035_errors(value.lower() if lowered else value)):
        prefix = "may have mixed case, but should otherwise match: " if lowered else ""
        yield invalid(path, value, prefix + ",".join(problems))


def _conversion(conversion: Object) -> Errors:
    strategy = conversion.get("strategy") or ""
    if not strategy:
        yield required("spec.conversion.strategy")
    else:
        yield from one_of("spec.conversion.strategy", strategy, ("None", "Webhook"))
    webhook = conversion.get("webhook")
    if strategy == "Webhook":
        if webhook is None or webhook.get("clientConfig") is None:
            detail = "required when strategy is set to Webhook"
            yield required("spec.conversion.webhookClientConfig", detail)
        else:
            yield from client_config("spec.conversion.webhookClientConfig", webhook["clientConfig"])
        yield from _review_versions((webhook or {}).get("conversionReviewVersions") or [])
    elif webhook is not None:
        detail = "should not be set when strategy is not set to Webhook"
        if webhook.get("clientConfig") is not None:
            yield forbidden("spec.conversion.webhookClientConfig", detail)
        if webhook.get("conversionReviewVersions"):
            yield forbidden("spec.conversion.conversionReviewVersions", detail)


_REVIEWS = ("v1", "v1beta1")


def _review_versions(versions: list[str]) -> Errors:
    path = "spec.conversion.conversionReviewVersions"
    if not versions:
        yield required(path)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield invalid(f"{path}[{index}]", version, "duplicate version")
        else:
            yield from must(f"{path}[{index}]", version, dns_1035_errors(version))
    if not any(version in _REVIEWS for version in versions):
        yield invalid(path, versions, f"must include at least one of {', '.join(_REVIEWS)}")


def _stored_versions(spec: Object, status: Object) -> Errors:
    stored = status.get("storedVersions") or []
    if not stored:
        yield invalid("status.storedVersions", None, "must have at least one stored version")
    remembered = dict.fromkeys(stored)
    for version in spec.get("versions") or ():
        name = version.get("name") or ""
        if version.get("storage") and name not in remembered:
            yield invalid("status.storedVersions", stored, f"must have the storage version {name}")
        remembered.pop(name, None)
    for version in remembered:
        detail = (
            f"missing from spec.versions; {version} was previously a storage version, and must remain in "
            f"spec.versions until a storage migration ensures no data remains persisted in {version} and removes "
            f"{version} from status.storedVersions"
        )
        yield invalid(f"status.storedVersions[{stored.index(version)}]", version, detail)


def validate_definition_update(new: Object, old: Object) -> list[FieldError]:
    """Rules are not compiled again for a schema that the definition had before: that takes long."""
    spec, status = new.get("spec") or {}, new.get("status") or {}
    versions = (old.get("spec") or {}).get("versions") or ()
    return [
        *_spec(spec, spec.get("group") or "", [_schema_of(version) for version in versions]),
        *_definition_update(spec, old["spec"], old.get("status") or {}),
        *_accepted_names(status),
        *_stored_versions(spec, status),
        *_without_approval(new),
        *_preserves(spec),
    ]


def validate_definition_status(new: Object, old: Object) -> list[FieldError]:
    """Of stored versions it may say what it likes: the next change of the definition is judged by them."""
    return list(_accepted_names(new.get("status") or {}))


def _accepted_names(status: Object) -> Errors:
    return _forms_of_names("status.acceptedNames", status.get("acceptedNames") or {})


def _definition_update(new: Object, old: Object, old_status: Object) -> Errors:
    conditions = old_status.get("conditions") or ()
    established = any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
    names, were = new.get("names") or {}, old.get("names") or {}
    if established:
        yield from same_as_before("spec.scope", new.get("scope"), old.get("scope"))
        yield from same_as_before("spec.names.kind", names.get("kind"), were.get("kind"))
    yield from same_as_before("spec.group", new.get("group"), old.get("group"))
    yield from same_as_before("spec.names.plural", names.get("plural"), were.get("plural"))
