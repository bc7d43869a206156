from typing import Any

import pytest

from kajitori.api.validation.custom_resources import validate_definition

PORTS = {"type": "array", "items": {"type": "integer"}}
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"host": {"type": "string"}, "ports": PORTS}},
    },
}


def messages(version: dict[str, Any], **spec: Any) -> list[str]:
    """Errors of a definition of two versions, of which the second says more."""

    def one(name: str, **more: Any) -> dict[str, Any]:
        schema = SCHEMA | {"description": name}  # what all versions have alike is judged once for all of them
        return {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}, **more}

    definition = {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [one("v1"), one("v2", **version)],
            "conversion": {"strategy": "None"},
            **spec,
        },
        "status": {"storedVersions": ["v1"]},
    }
    return [str(error) for error in validate_definition(definition)]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".spec.host", ""),
        (".spec.nothing", "is an invalid path: does not refer to a valid field"),
        (".spec.ports", "must point to a field of type string, boolean or integer."),
        (".metadata.name", "must not point to fields in metadata"),
    ],
)
def test_fields_to_select_by_are_scalars_of_the_schema(path: str, why: str) -> None:
    found = messages({"selectableFields": [{"jsonPath": path}]})
    if not why:
        assert found == []
    else:
        (message,) = found
        assert message.startswith(f'spec.versions[1].selectableFields[0].jsonPath: Invalid value: "{path}": {why}')


def test_there_are_eight_of_them_at_most_and_each_once() -> None:
    twice = messages({"selectableFields": [{"jsonPath": ".spec.host"}] * 2})
    assert twice == ['spec.versions[1].selectableFields[1].jsonPath: Duplicate value: ".spec.host"']


def test_a_warning_belongs_to_a_deprecated_version() -> None:
    (message,) = messages({"deprecationWarning": "old"})
    assert message.endswith("can only be set for deprecated versions")
    assert messages({"deprecated": True, "deprecationWarning": "old"}) == []
    (message,) = messages({"deprecated": True, "deprecationWarning": "a\nb"})
    assert message.endswith("non-printable character found at index 1")


def test_unknown_fields_are_kept_by_the_schema_alone() -> None:
    (message,) = messages({}, preserveUnknownFields=True)
    assert message.startswith("spec.preserveUnknownFields: Invalid value: true: cannot set to true")


@pytest.mark.parametrize(("additional", "refused"), [(True, 0), (False, 1), ({"type": "string"}, 1)])
def test_other_keys_beside_known_ones_are_admitted_as_they_are_or_not_at_all(additional: Any, refused: int) -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": additional}
    found = messages({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": inner}}}})
    assert [message for message in found if "mutual exclusive" in message] == found
    assert len(found) == refused


def of_field(field, **spec):
    """What is wrong with a definition of one field `s`."""
    schema = {"type": "object", "properties": {"s": field}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    names = {"plural": "bars", "singular": "bar", "kind": "Bar", "listKind": "BarList"}
    definition = {
        "metadata": {"name": "bars.e.x"},
        "spec": {
            "group": "e.x",
            "scope": "Cluster",
            "names": names,
            "versions": versions,
            "conversion": {"strategy": "None"},
            **spec,
        },
        "status": {"storedVersions": ["v1"]},
    }
    found = [str(error) for error in validate_definition(definition)]
    return [message.removeprefix("spec.validation.openAPIV3Schema.properties[s]") for message in found]


EITHER = {"x-kubernetes-int-or-string": True}
INTEGER, STRING = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ({**EITHER, "anyOf": [INTEGER, STRING]}, []),
        ({**EITHER, "allOf": [{"anyOf": [INTEGER, STRING]}, {"pattern": "a"}]}, []),
        ({**EITHER, "anyOf": [INTEGER]}, [".anyOf[0].type: Forbidden: must be empty to be structural"]),
        (
            {**STRING, "oneOf": [{"default": 1}, {"nullable": True}]},
            [
                ".oneOf[0].default: Forbidden: must be undefined to be structural",
                ".oneOf[1].nullable: Forbidden: must be false to be structural",
            ],
        ),
        (
            {"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            [".type: Required value: must be object if x-kubernetes-embedded-resource is true"],
        ),
        (
            {"type": "array", "x-kubernetes-list-type": "set"},
            [".items: Required value: must be specified"],
        ),
        ({**INTEGER, "default": 3, "maximum": 2}, [
            ".default: Invalid value: 3:  in body should be less than or equal to 2"
        ]),
        ({"type": "object", "properties": {"x": STRING}, "default": {"x": 1}}, [
            '.default.x: Invalid value: "integer": x in body must be of type string: "integer"'
        ]),
        ({"type": "object", "properties": {"x": STRING}, "default": {"y": 1}}, [
            '.default: Invalid value: {"y":1}: must not have unknown fields'
        ]),
        ({**STRING, "enum": ["b", "a"], "default": "c"}, [
            '.default: Unsupported value: "c": supported values: "b", "a"'
        ]),
    ],
)  # fmt: skip
def test_a_structural_schema_and_its_defaults(field, wrong):
    assert of_field(field) == wrong


def test_versions_of_conversion_reviews():
    def found(*versions):
        webhook = {"clientConfig": {"url": "https://a.b/c"}, "conversionReviewVersions": list(versions)}
        conversion = {"strategy": "Webhook", "webhook": webhook}
        return [
            m.removeprefix("spec.conversion.conversionReviewVersions") for m in of_field(STRING, conversion=conversion)
        ]

    assert found("v1", "v7") == []
    assert found() == [": Required value"]
    assert found("v1beta1", "v1beta1") == ['[1]: Invalid value: "v1beta1": duplicate version']
    assert found("v7") == [': Invalid value: ["v7"]: must include at least one of v1, v1beta1']


def test_unknown_fields_cannot_be_kept_beside_defaults():
    assert of_field({**STRING, "default": "a"}, preserveUnknownFields=True)[0] == (
        "spec.preserveUnknownFields: Invalid value: true: must be false in order to use defaults in the schema"
    )


def test_only_objects_have_a_status():
    versions = [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "string"}},
        }
    ]
    assert [m.partition(": ")[2] for m in of_field(STRING, versions=versions)] == [
        'Invalid value: "string": only "object" is allowed as the type at the root of the schema if the status '
        "subresource is enabled",
        'Invalid value: "string": must be object at the root',
    ]


def test_what_a_junctor_of_the_root_speaks_of_is_there():
    schema = {"type": "object", "not": {"properties": {"x": {"minLength": 1}}}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    root = "spec.validation.openAPIV3Schema"
    assert of_field(STRING, versions=versions) == [
        f"{root}.properties[x]: Required value: because it is defined in {root}.not.properties[x]"
    ]


def schema_messages(spec: dict[str, Any], **root: Any) -> list[str]:
    """Of a definition whose spec has this schema."""
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}, **root}
    found = messages({}, versions=[{"name": "v1", "storage": True, "schema": {"openAPIV3Schema": schema}}])
    return [message.removeprefix("spec.validation.openAPIV3Schema.") for message in found]


def test_a_default_breaks_no_rule_of_its_schema() -> None:
    rule = {"rule": "self.startsWith('a')", "message": "must begin with a"}
    text = {"type": "string", "default": "b", "x-kubernetes-validations": [rule]}
    spec = {"type": "object", "properties": {"name": text}}
    at = "properties[spec].properties[name].default"
    assert schema_messages(spec) == [f'{at}: Invalid value: "b": must begin with a']
    rule |= {"rule": "oldSelf.hasValue()", "optionalOldSelf": True}
    assert schema_messages(spec) == [f'{at}: Invalid value: "b": must begin with a']


def test_a_schema_with_an_error_leaves_the_rules_beside_it_judged() -> None:
    bad = {"type": "string", "x-kubernetes-validations": [{"rule": "self > 1"}]}
    spec = {"type": "object", "properties": {"name": bad, "other": {"type": "string", "uniqueItems": True}}}
    unique, rule = schema_messages(spec)
    assert unique.startswith("properties[spec].properties[other].uniqueItems: Forbidden")
    assert rule.startswith("properties[spec].properties[name].x-kubernetes-validations[0].rule: Invalid value")
    assert "\\u003e 1" in rule


def test_items_of_sets_are_atomic_and_keys_of_maps_are_there() -> None:
    items = {"type": "object", "nullable": True, "properties": {"k": {"type": "string", "nullable": True}}}
    found = schema_messages({"type": "array", "x-kubernetes-list-type": "set", "items": items})
    assert [message.partition(":")[0] for message in found] == [
        "properties[spec].items.x-kubernetes-map-type",
        "properties[spec].items.nullable",
    ]
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "k"], "items": items}
    found = schema_messages(keyed)
    assert any(message.endswith("must not contain duplicate entries") for message in found)
    assert any(message.endswith("so it cannot be nullable") for message in found)


def test_what_is_about_the_object_itself_has_no_default() -> None:
    found = schema_messages({"type": "object"}, properties={"kind": {"type": "string", "default": "Widget"}})
    assert found == ["properties[kind].default: Forbidden: must not be set in top-level kind"]


def test_a_default_with_a_whole_object_inside_says_what_it_is() -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    found = schema_messages({"type": "object", "properties": {"t": inner | {"default": {"metadata": {"name": "a/b"}}}}})
    assert [message.removeprefix("properties[spec].properties[t].default.") for message in found] == [
        "apiVersion: Required value",
        "kind: Required value",
        "metadata.name: Invalid value: \"a/b\": may not contain '/'",
    ]
    found = schema_messages({"type": "object", "properties": {"t": inner | {"default": {"apiVersion": 1}}}})
    assert found == ["properties[spec].properties[t].default.apiVersion: Invalid value: 1: must be a string"]


def test_where_fields_to_select_by_are_said_their_schema_is_said_too() -> None:
    plain = {"type": "object", "properties": {"a": {"type": "string"}}}
    one = {
        "name": "v1",
        "storage": True,
        "schema": {"openAPIV3Schema": plain},
        "selectableFields": [{"jsonPath": ".a"}],
    }
    two = {"name": "v2", "schema": {"openAPIV3Schema": plain}}
    (message,) = messages({}, versions=[one, two])
    assert message.startswith('spec.versions[0].selectableFields: Invalid value: "": may only be set when')
    assert messages({}, versions=[one]) == []


def test_a_path_is_read_as_far_as_its_fields_are_known() -> None:
    (message,) = messages({"selectableFields": [{"jsonPath": ".spec.nothing[0]"}]})
    assert message.endswith("is an invalid path: does not refer to a valid field")
    (message,) = messages({"selectableFields": [{"jsonPath": ".spec.ports[0]"}]})
    assert message.endswith("is an invalid path: array notation is not allowed")


def test_a_schema_that_cannot_be_structural_is_not_told_what_else_is_not() -> None:
    (message,) = schema_messages({"type": "object", "properties": {"a": {"items": [{"type": "string"}]}}})
    assert message == "properties[spec].properties[a].items: Forbidden: items must be a schema object and not an array"


def test_a_refusal_shows_the_schema_that_versions_do_not_share() -> None:
    rule = {"rule": "true"}
    schema = {
        "type": "object",
        "properties": {"a": {"type": "number", "maximum": 3.0, "x-kubernetes-validations": [rule]}},
    }
    versions = [
        {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}},
        {"name": "v2", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
    ]
    definition = {"metadata": {"name": "as.x.io"}, "spec": {"group": "x.io", "versions": versions}}
    texts = [error.message for error in validate_definition(definition) if error.field == "spec.versions"]
    (text,) = texts
    assert '"Schema":{"OpenAPIV3Schema":{"ID":"","Schema":"","Ref":null' in text
    assert '"Properties":{"a":{"ID":""' in text and '"Maximum":3,' in text
    assert '"XValidations":[{"Rule":"true","Message":"","MessageExpression":"","Reason":null' in text
    assert '"Subresources":null' in text
