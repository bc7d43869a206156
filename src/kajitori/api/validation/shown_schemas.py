"""Schemas of CustomResourceDefinitions as refusals show them: with every field of upstream's internal struct."""

from typing import Any

from kajitori.api.field_errors import InOrder
from kajitori.api.meta import Object

_TEXT, _FLAG, _PLAIN, _NUMBER, _SCHEMA, _SCHEMAS, _NAMED, _OR_BOOL, _OR_LIST, _OR_NAMES, _DOCS, _RULES = range(12)
_FIELDS = (
    ("ID", "id", _TEXT),
    ("Schema", "$schema", _TEXT),
    ("Ref", "$ref", _PLAIN),
    ("Description", "description", _TEXT),
    ("Type", "type", _TEXT),
    ("Nullable", "nullable", _FLAG),
    ("Format", "format", _TEXT),
    ("Title", "title", _TEXT),
    ("Default", "default", _PLAIN),
    ("Maximum", "maximum", _NUMBER),
    ("ExclusiveMaximum", "exclusiveMaximum", _FLAG),
    ("Minimum", "minimum", _NUMBER),
    ("ExclusiveMinimum", "exclusiveMinimum", _FLAG),
    ("MaxLength", "maxLength", _PLAIN),
    ("MinLength", "minLength", _PLAIN),
    ("Pattern", "pattern", _TEXT),
    ("MaxItems", "maxItems", _PLAIN),
    ("MinItems", "minItems", _PLAIN),
    ("UniqueItems", "uniqueItems", _FLAG),
    ("MultipleOf", "multipleOf", _NUMBER),
    ("Enum", "enum", _PLAIN),
    ("MaxProperties", "maxProperties", _PLAIN),
    ("MinProperties", "minProperties", _PLAIN),
    ("Required", "required", _PLAIN),
    ("Items", "items", _OR_LIST),
    ("AllOf", "allOf", _SCHEMAS),
    ("OneOf", "oneOf", _SCHEMAS),
    ("AnyOf", "anyOf", _SCHEMAS),
    ("Not", "not", _SCHEMA),
    ("Properties", "properties", _NAMED),
    ("AdditionalProperties", "additionalProperties", _OR_BOOL),
    ("PatternProperties", "patternProperties", _NAMED),
    ("Dependencies", "dependencies", _OR_NAMES),
    ("AdditionalItems", "additionalItems", _OR_BOOL),
    ("Definitions", "definitions", _NAMED),
    ("ExternalDocs", "externalDocs", _DOCS),
    ("Example", "example", _PLAIN),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", _PLAIN),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", _FLAG),
    ("XIntOrString", "x-kubernetes-int-or-string", _FLAG),
    ("XListMapKeys", "x-kubernetes-list-map-keys", _PLAIN),
    ("XListType", "x-kubernetes-list-type", _PLAIN),
    ("XMapType", "x-kubernetes-map-type", _PLAIN),
    ("XValidations", "x-kubernetes-validations", _RULES),
)


def shown_schema(schema: Object) -> InOrder:
    return InOrder({name: _SHOW[form](schema.get(key)) for name, key, form in _FIELDS})


def shown_root(schema: Object | None) -> InOrder | None:
    return None if schema is None else shown_schema(schema)


def shown_rule(rule: Object) -> InOrder:
    return InOrder(
        Rule=rule.get("rule") or "",
        Message=rule.get("message") or "",
        MessageExpression=rule.get("messageExpression") or "",
        Reason=rule.get("reason"),
        FieldPath=rule.get("fieldPath") or "",
        OptionalOldSelf=rule.get("optionalOldSelf"),
    )


def _number(value: Any) -> Any:
    """Go shows a float without a fraction as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value


def _schemas(value: Any) -> Any:
    return None if value is None else [shown_schema(each) for each in value]


def _named(value: Any) -> Any:
    return None if value is None else InOrder({name: shown_schema(value[name]) for name in sorted(value)})


def _or_bool(value: Any) -> Any:
    if isinstance(value, bool):
        return InOrder(Allows=value, Schema=None)
    return None if value is None else InOrder(Allows=True, Schema=shown_schema(value))


def _or_list(value: Any) -> Any:
    if isinstance(value, list):
        return InOrder(Schema=None, JSONSchemas=_schemas(value))
    return None if value is None else InOrder(Schema=shown_schema(value), JSONSchemas=None)


def _or_names(value: Any) -> Any:
    return None if value is None else InOrder({name: _dependency(value[name]) for name in sorted(value)})


def _dependency(value: Any) -> InOrder:
    names = value if isinstance(value, list) else None
    return InOrder(Schema=None if names is not None else shown_root(value), Property=names)


def _docs(value: Any) -> Any:
    return None if value is None else InOrder(Description=value.get("description") or "", URL=value.get("url") or "")


def _rules(value: Any) -> Any:
    return None if value is None else [shown_rule(rule) for rule in value]


_SHOW = {
    _TEXT: lambda value: value or "",
    _FLAG: bool,
    _PLAIN: lambda value: value,
    _NUMBER: _number,
    _SCHEMA: shown_root,
    _SCHEMAS: _schemas,
    _NAMED: _named,
    _OR_BOOL: _or_bool,
    _OR_LIST: _or_list,
    _OR_NAMES: _or_names,
    _DOCS: _docs,
    _RULES: _rules,
}
