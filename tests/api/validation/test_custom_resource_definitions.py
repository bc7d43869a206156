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
