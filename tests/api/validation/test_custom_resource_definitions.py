from typing import Any

import pytest

from kajitori.api.validation.custom_resources import validate_definition

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"host": {"type": "string"}, "ports": {"type": "array"}}},
    },
}


def messages(version: dict[str, Any], **spec: Any) -> list[str]:
    """Errors of a definition of two versions, of which the second says more."""

    def one(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": SCHEMA}, **more}

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
    found = [str(error) for error in validate_definition(definition)]
    return [message for message in found if "items" not in message]


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
