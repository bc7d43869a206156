"""The version 2 document in protobuf, read back field by field."""

from typing import Any

import orjson
import pytest

from kajitori.api.openapi import OpenApi, custom_schemas, in_protobuf
from kajitori.api.openapi.binary import encoded
from kajitori.api.protobuf.wire import fields
from kajitori.api.registry import Registry

VALUES: dict[str, Any] = {
    "enum": [1],
    "externalDocs": {"url": "u"},
    "required": ["a"],
    "type": "object",
    **dict.fromkeys(("description", "format", "pattern", "title"), "text"),
}


def read(message: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for number, value in fields(memoryview(message)):
        found.setdefault(number, []).append(value)
    return found


def text(message: Any, number: int) -> str:
    return bytes(read(message)[number][0]).decode()


def entries(message: Any, number: int) -> dict[str, Any]:
    """A map of names to messages."""
    return {text(entry, 1): read(entry)[2][0] for entry in read(message)[number]}


def test_the_whole_document_of_all_kinds_can_be_written_and_read_back() -> None:
    openapi = OpenApi(Registry(), "v1.36.2")
    document = orjson.loads(openapi.v2().body)
    message = read(in_protobuf(openapi.v2()).body)
    assert bytes(message[1][0]) == b"2.0"
    assert text(message[2][0], 1) == "Kubernetes"
    assert set(entries(message[8][0], 2)) == set(document["paths"])
    definitions = entries(message[9][0], 1)
    assert set(definitions) == set(document["definitions"])
    key = read(entries(message[13][0], 1)["BearerToken"])[2][0]
    assert (text(key, 1), text(key, 2), text(key, 3)) == ("apiKey", "authorization", "header")
    assert list(entries(message[12][0], 1)) == ["BearerToken"]
    pod = definitions["io.k8s.api.core.v1.Pod"]
    assert text(pod, 4) == document["definitions"]["io.k8s.api.core.v1.Pod"]["description"]
    assert text(read(pod)[22][0], 1) == "object"
    properties = entries(read(pod)[25][0], 1)
    assert text(properties["spec"], 1) == "#/definitions/io.k8s.api.core.v1.PodSpec"
    extension = entries(pod, 31)["x-kubernetes-group-version-kind"]
    assert orjson.loads(text(extension, 2)) == [{"group": "", "kind": "Pod", "version": "v1"}]


def test_operations_keep_their_parameters_and_answers() -> None:
    openapi = OpenApi(Registry(), "v1.36.2")
    path = entries(read(in_protobuf(openapi.v2()).body)[8][0], 2)["/api/v1/namespaces/{namespace}/pods"]
    create = read(path)[4][0]
    assert text(create, 5) == "createCoreV1NamespacedPod"
    body = read(read(read(create)[8][0])[1][0])[1][0]
    assert (text(body, 2), text(body, 3)) == ("body", "body")
    assert text(create, 1) == "core_v1" and text(create, 10) == "https"
    pointer = text(read(read(create)[8][2])[2][0], 1)
    shared = entries(read(in_protobuf(openapi.v2()).body)[10][0], 1)[pointer.removeprefix("#/parameters/")]
    assert text(read(read(shared)[2][0])[3][0], 4) == "fieldManager"
    query = read(read(read(read(create)[8][1])[1][0])[2][0])[3][0]
    assert text(query, 2) == "query"
    assert set(entries(read(create)[9][0], 1)) == {"200", "201", "202", "401"}


def schema(value: dict[str, Any]) -> Any:
    message = read(encoded({"swagger": "2.0", "definitions": {"A": value}}))
    return entries(message[9][0], 1)["A"]


@pytest.mark.parametrize(
    ("given", "number", "wanted"),
    [
        ({"minimum": -1.5}, 9, -1.5),
        ({"minItems": 3}, 15, 3),
        ({"maxLength": 300}, 11, 300),
        ({"uniqueItems": True}, 16, 1),
    ],
)
def test_numbers(given: dict[str, Any], number: int, wanted: float) -> None:
    assert read(schema(given))[number] == [wanted]


def test_a_negative_whole_number_takes_ten_bytes() -> None:
    (value,) = read(schema({"maxLength": -1}))[11]
    assert value == (1 << 64) - 1


def test_items_and_values_of_maps() -> None:
    found = schema({"items": {"type": "string"}, "additionalProperties": {"type": "integer"}, "enum": ["a", 1]})
    assert text(read(read(read(found)[23][0])[1][0])[22][0], 1) == "string"
    assert text(read(read(read(found)[21][0])[1][0])[22][0], 1) == "integer"
    assert [text(value, 2) for value in read(found)[20]] == ['"a"', "1"]


def test_examples_and_links_of_custom_kinds() -> None:
    found = read(schema({"example": {"a": 1}, "externalDocs": {"url": "u", "description": "d"}}))
    assert text(found[30][0], 2) == '{"a":1}'
    assert (text(found[29][0], 1), text(found[29][0], 2)) == ("d", "u")


def test_every_keyword_of_a_custom_schema_can_be_written() -> None:
    for keyword in custom_schemas.SAID_IN_VERSION_2:
        assert len(read(schema({keyword: VALUES.get(keyword, 1)}))) == 1, keyword


def test_words_that_nobody_knows_are_left_out() -> None:
    assert read(schema({"type": "object", "surprise": {"a": 1}})) == read(schema({"type": "object"}))
