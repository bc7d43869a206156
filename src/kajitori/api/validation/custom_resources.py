"""CustomResourceDefinitions and their structural schemas (KEP-95, KEP-2337)."""

from urllib.parse import urlsplit

from kajitori.api.field_errors import FieldError, InOrder, duplicate, forbidden, invalid, required, too_many
from kajitori.api.meta import Object
from kajitori.api.schema.rules import RULES, has_rules
from kajitori.api.validation.admission import client_config
from kajitori.api.validation.checks import Errors, each, one_of, same_as_before
from kajitori.api.validation.formats import dns_1035_errors, subdomain_errors

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN_KEYWORDS = ("definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties", "$ref")
_RULE_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_MAP_KEYS = "x-kubernetes-list-map-keys"
_WARNING_BYTES_MAX = 256
_SIMPLE_PATH = "must be a simple json path starting with ."
_SELECTABLE_TYPES = ("string", "boolean", "integer")
_SELECTABLE_MAX = 8
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")


def validate_definition(definition: Object) -> list[FieldError]:
    return list(_definition(definition, []))


def revalidate_definition(new: Object, old: Object) -> list[FieldError]:
    """Rules are not compiled again for a schema that the definition had before: that takes long."""
    versions = (old.get("spec") or {}).get("versions") or ()
    return list(_definition(new, [_schema_of(version) for version in versions]))


def _schema_of(version: Object) -> Object | None:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def _definition(definition: Object, judged: list[Object | None]) -> Errors:
    """`judged`: schemas whose rules are known to be good."""
    spec, status = definition.get("spec") or {}, definition.get("status") or {}
    names, group = spec.get("names") or {}, spec.get("group") or ""
    name = definition["metadata"].get("name") or ""
    if name and name != f"{names.get('plural') or ''}.{group}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    yield from _spec(spec, names, group, judged)
    yield from _without_approval(definition)
    yield from _stored_versions(spec, status)
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


def _spec(spec: Object, names: Object, group: str, judged: list[Object | None]) -> Errors:
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
    yield from _names(names)
    yield from _conversion(spec.get("conversion") or {})


def _shown_versions(versions: list[Object] | None) -> object:
    if versions is None:
        return None
    return [
        InOrder(
            Name=v.get("name", ""),
            Served=bool(v.get("served")),
            Storage=bool(v.get("storage")),
            Deprecated=bool(v.get("deprecated")),
            DeprecationWarning=v.get("deprecationWarning"),
            Schema=None,
            Subresources=None,
            AdditionalPrinterColumns=None,
            SelectableFields=None,
        )
        for v in versions
    ]


def _versions(spec: Object, judged: list[Object | None]) -> Errors:
    versions = spec.get("versions") or []
    shown = _shown_versions(spec.get("versions"))
    names = [version.get("name") or "" for version in versions]
    schemas = [_schema_of(version) for version in versions]
    shared = bool(schemas) and all(schema == schemas[0] for schema in schemas) and schemas[0] is not None
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if problems := dns_1035_errors(names[index]):
            yield invalid(f"{path}.name", names[index], ",".join(problems))
        if schemas[index] is None:
            yield required(f"{path}.schema.openAPIV3Schema")
        elif not shared:
            yield from _root_schema(f"{path}.schema.openAPIV3Schema", schemas[index] or {}, judged)
        yield from _deprecation(f"{path}.deprecationWarning", version)
        for key, check in _PARTS.items():
            if not _same_in_all(versions, key):
                yield from check(path, version)
    if len(set(names)) != len(names):
        yield invalid("spec.versions", shown, "must contain unique version names")
    if versions and (problems := dns_1035_errors(names[0])):
        yield invalid("spec.version", names[0], ",".join(problems))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid("spec.versions", shown, "must have exactly one version marked as storage version")
    if shared:
        yield from _root_schema("spec.validation.openAPIV3Schema", schemas[0] or {}, judged)
    for key, check in _PARTS.items():
        if versions and _same_in_all(versions, key):
            yield from check("spec", versions[0])


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


def _selectable(path: str, version: Object) -> Errors:
    """Scalar fields outside metadata, each named once (KEP-4358)."""
    schema = _schema_of(version) or {}
    seen: set[str] = set()
    if version.get("selectableFields") and _schema_of(version) is None:
        detail = "may only be set when `version.schema.openAPIV3Schema` is not included"
        yield invalid(f"{path}.selectableFields", "", detail)
        return
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


def _schema_at(schema: Object, text: str) -> tuple[Object, str]:
    """What a path of fields leads to, or why it leads nowhere."""
    if not text.startswith("."):
        return {}, f"expected [ or . but got: {text.split('.')[0]}"
    if "[" in text:
        return {}, "array notation is not allowed"
    for name in text[1:].split("."):
        properties = schema.get("properties") or {}
        if name not in properties:
            return {}, "does not refer to a valid field"
        schema = properties[name]
    return schema, ""


_PARTS = {"subresources": _scale, "additionalPrinterColumns": _columns, "selectableFields": _selectable}


def _names(names: Object) -> Errors:
    for field in ("plural", "singular"):
        yield from _required_name(f"spec.names.{field}", names.get(field) or "")
    kind, list_kind = names.get("kind") or "", names.get("listKind") or ""
    yield from _required_name("spec.names.kind", kind, lowered=True)
    yield from _required_name("spec.names.listKind", list_kind, lowered=True)
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or ()):
            if problems := dns_1035_errors(value):
                yield invalid(f"spec.names.{field}[{index}]", value, ",".join(problems))
    if kind and kind == list_kind:
        yield invalid("spec.names.listKind", list_kind, "kind and listKind may not be the same")


def _required_name(path: str, value: str, *, lowered: bool = False) -> Errors:
    if not value:
        yield required(path)
    elif problems := dns_1035_errors(value.lower() if lowered else value):
        prefix = "may have mixed case, but should otherwise match: " if lowered else ""
        yield invalid(path, value, prefix + ",".join(problems))


def _conversion(conversion: Object) -> Errors:
    strategy = conversion.get("strategy") or ""
    if not strategy:
        yield required("spec.conversion.strategy")
        return
    yield from one_of("spec.conversion.strategy", strategy, ("None", "Webhook"))
    webhook = conversion.get("webhook")
    if strategy == "Webhook":
        if webhook is None or webhook.get("clientConfig") is None:
            detail = "required when strategy is set to Webhook"
            yield required("spec.conversion.webhookClientConfig", detail)
        else:
            yield from client_config("spec.conversion.webhookClientConfig", webhook["clientConfig"])
        if not (webhook or {}).get("conversionReviewVersions"):
            yield required("spec.conversion.conversionReviewVersions")
    elif webhook is not None:
        detail = "should not be set when strategy is not set to Webhook"
        if webhook.get("clientConfig") is not None:
            yield forbidden("spec.conversion.webhookClientConfig", detail)
        if webhook.get("conversionReviewVersions"):
            yield forbidden("spec.conversion.conversionReviewVersions", detail)


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


def _root_schema(path: str, schema: Object, judged: list[Object | None]) -> Errors:
    kind = schema.get("type") or ""
    if not kind:
        yield required(f"{path}.type", "must not be empty at the root")
    elif kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    errors = list(_schema(path, schema, ""))
    yield from errors
    if not errors and has_rules(schema) and schema not in judged:
        from kajitori.api.cel.definition_rules import rule_errors

        yield from rule_errors(schema, path)


def _schema(path: str, schema: Object, where: str) -> Errors:
    """`where`: what the schema describes, for the message about a missing type; "" at the root."""
    kind = schema.get("type") or ""
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not kind and where and not free:
        yield required(f"{path}.type", f"must not be empty for specified {where}")
    if kind != "object" and schema.get("x-kubernetes-embedded-resource"):
        yield invalid(f"{path}.type", kind, "must be object if x-kubernetes-embedded-resource is true")
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    if kind and kind not in _TYPES:
        yield from one_of(f"{path}.type", kind, _TYPES)
    for keyword in _FORBIDDEN_KEYWORDS:
        if schema.get(keyword):
            yield forbidden(f"{path}.{keyword}", f"{keyword} is not supported")
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", detail)
    if kind == "array" and schema.get("items") is None:
        yield required(f"{path}.items", "must be specified")
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties and additional not in (None, True):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    for name, child in (properties or {}).items():
        yield from _schema(f"{path}.properties[{name}]", child, "object fields")
    if isinstance(additional, dict):
        yield from _schema(f"{path}.additionalProperties", additional, "object fields")
    items = schema.get("items")
    if isinstance(items, dict):
        yield from _schema(f"{path}.items", items, "array items")
    elif isinstance(items, list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    yield from _list_type(path, schema)
    for rule, at in each(schema, RULES, path):
        yield from _rule(rule, at)
        field_path = rule.get("fieldPath") or ""
        if field_path and not _leads_somewhere(field_path, schema):
            yield invalid(f"{at}.fieldPath", field_path, "must be a valid path")


def _leads_somewhere(field_path: str, schema: Object) -> bool:
    from kajitori.api.cel.field_paths import normalized

    return normalized(field_path, schema) is not None


def _rule(rule: Object, at: str) -> Errors:
    """What can be said without compiling it."""
    text, given = (rule.get("rule") or "").strip(), rule.get("message") or ""
    message, computed = given.strip(), rule.get("messageExpression") or ""
    if not text:
        yield required(f"{at}.rule", "rule is not specified")
    elif given and not message:
        yield invalid(f"{at}.message", given, "must be non-empty if specified")
    elif "\n" in message:
        yield invalid(f"{at}.message", given, "must not contain line breaks")
    elif "\n" in text and not message:
        yield required(f"{at}.message", "message must be specified if rule contains line breaks")
    if computed and not computed.strip():
        yield required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
    if (reason := rule.get("reason")) is not None:
        yield from one_of(f"{at}.reason", reason, _RULE_REASONS)
    field_path = rule.get("fieldPath") or ""
    if field_path and not field_path.strip():
        yield invalid(f"{at}.fieldPath", field_path, "must be non-empty if specified")
    if "\n" in field_path:
        yield invalid(f"{at}.fieldPath", field_path, "must not contain line breaks")


def _list_type(path: str, schema: Object) -> Errors:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    if kind is not None:
        if schema.get("type") != "array":
            detail = "must be array if x-kubernetes-list-type is specified"
            yield invalid(f"{path}.type", schema.get("type") or "", detail)
        yield from one_of(f"{path}.x-kubernetes-list-type", kind, ("atomic", "set", "map"))
    if kind == "map" and not keys:
        detail = "must not be empty if x-kubernetes-list-type is map"
        yield required(f"{path}.x-kubernetes-list-map-keys", detail)
    if keys and kind != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        if kind is None:
            yield required(f"{path}.x-kubernetes-list-type", detail)
        else:
            yield invalid(f"{path}.x-kubernetes-list-type", kind, detail)
    items = schema.get("items")
    if kind == "map" and isinstance(items, dict):
        yield from _map_items(path, items, keys)
    structure = schema.get("x-kubernetes-map-type")
    if structure is not None:
        yield from one_of(f"{path}.x-kubernetes-map-type", structure, ("granular", "atomic"))


def _map_items(path: str, items: Object, keys: list[str]) -> Errors:
    """Items of a list by key are objects, and each has its keys, said or by default."""
    if (kind := items.get("type") or "") != "object":
        yield invalid(f"{path}.items.type", kind, "must be object if parent array's x-kubernetes-list-type is map")
    properties = items.get("properties") or {}
    if not set(keys) <= set(properties):
        yield invalid(f"{path}.{_MAP_KEYS}", keys, "entries must all be names of item properties")
    for key in keys:
        absent = properties.get(key, {}).get("default") is None and key not in (items.get("required") or ())
        if key in properties and absent:
            detail = f"this property is in {_MAP_KEYS}, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", detail)


def validate_definition_update(new: Object, old: Object) -> list[FieldError]:
    return list(_definition_update(new["spec"], old["spec"], old.get("status") or {}))


def _definition_update(new: Object, old: Object, old_status: Object) -> Errors:
    conditions = old_status.get("conditions") or ()
    established = any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
    names, were = new.get("names") or {}, old.get("names") or {}
    if established:
        yield from same_as_before("spec.scope", new.get("scope"), old.get("scope"))
        yield from same_as_before("spec.names.kind", names.get("kind"), were.get("kind"))
    yield from same_as_before("spec.group", new.get("group"), old.get("group"))
    yield from same_as_before("spec.names.plural", names.get("plural"), were.get("plural"))
