"""YAML and configurations whose keys are repeated, and whose identity is another's."""

import orjson
import pytest

from kajitori.api.errors import StatusError
from kajitori.api.resource import Resource
from kajitori.apiserver.rest.decoding import check_kind

MAPS = "/api/v1/namespaces/default/configmaps"
YAML, APPLY = "application/yaml", "application/apply-patch+yaml"


async def send(plane, method, path, body, media):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    status, headers, answer = await plane.client.raw(method, path, raw, {"content-type": media})
    return status, [value for name, value in headers.items() if name.lower() == "warning"], orjson.loads(answer)


def config(**metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def test_keys_repeated_in_yaml_are_refused_before_fields_that_are_unknown(in_cluster):
    async def scenario(plane):
        body = b"metadata:\n  name: a\n  name: a\nbogus: 1\nbogus: 2\n"
        status, _, answer = await send(plane, "POST", f"{MAPS}?fieldValidation=Strict", body, YAML)
        assert status == 400
        assert answer["message"] == (
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal '
            'errors:\n  line 3: key "name" already set in map\n  line 5: key "bogus" already set in map, unknown '
            'field "bogus"'
        )
        status, warned, _ = await send(plane, "POST", MAPS, b"metadata:\n  name: a\n  name: a\n", YAML)
        assert status == 201 and "line 3: key" in warned[0]

    in_cluster(scenario)


def test_the_fields_of_yaml_are_met_by_their_names(in_cluster):
    async def scenario(plane):
        body = b"metadata:\n  uid: 3\n  generation: x\n"
        _, _, answer = await send(plane, "POST", MAPS, body, YAML)
        assert "ObjectMeta.metadata.generation of type int64" in answer["message"]

    in_cluster(scenario)


def test_repeated_keys_of_a_configuration_are_told_when_it_could_be_applied(in_cluster):
    async def scenario(plane):
        repeated = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, name: a}\ndata: {a: %b}\n"
        path = f"{MAPS}/a?fieldManager=m&fieldValidation=Strict"
        status, _, answer = await send(plane, "PATCH", path, repeated % b"1", APPLY)
        assert status == 500 and answer["message"].startswith("failed to create typed patch object")
        status, _, answer = await send(plane, "PATCH", path, repeated % b"x", APPLY)
        assert status == 400 and answer["message"] == (
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            '  line 3: key "name" already set in map'
        )

    in_cluster(scenario)


def test_conflicts_come_before_the_question_whose_configuration_it_is(in_cluster):
    async def scenario(plane):
        await send(plane, "PATCH", f"{MAPS}/a?fieldManager=m", config(name="a"), APPLY)
        for other in (config(name="b"), config(), config(name="a", namespace="x"), config(name="a", uid="x")):
            other["data"]["a"] = "2"
            status, _, answer = await send(plane, "PATCH", f"{MAPS}/a?fieldManager=n", other, APPLY)
            assert status == 409 and answer["message"].startswith("Apply failed with 1 conflict"), other
        status, _, answer = await send(
            plane, "PATCH", f"{MAPS}/a?fieldManager=m", config(name="b", namespace="x"), APPLY
        )
        assert status == 400 and answer["message"].startswith("the namespace of the provided object")
        status, _, answer = await send(plane, "PATCH", f"{MAPS}/a?fieldManager=m", config(uid="x"), APPLY)
        assert status == 422 and "metadata.uid" in answer["message"]
        status, _, _ = await send(plane, "PATCH", f"{MAPS}/a?fieldManager=m", config(), APPLY)
        assert status == 200

    in_cluster(scenario)


def test_what_is_applied_anew_is_nobody_elses(in_cluster):
    async def scenario(plane):
        path = f"{MAPS}/a?fieldManager=m"
        status, _, answer = await send(plane, "PATCH", path, config(name="a", uid="x"), APPLY)
        assert status == 409
        assert answer["message"].endswith(
            "uid mismatch: the provided object specified uid x, and no existing object was found"
        )
        status, _, answer = await send(plane, "PATCH", path, config(name="a", resourceVersion="x"), APPLY)
        assert status == 500 and answer["message"] == 'strconv.ParseUint: parsing "x": invalid syntax'
        status, _, _ = await send(plane, "PATCH", path, config(name="a", resourceVersion="1"), APPLY)
        assert status == 201

    in_cluster(scenario)


def test_what_is_no_configuration_of_this_kind_is_called_so(in_cluster):
    async def scenario(plane):
        path = f"{MAPS}/a?fieldManager=m"
        for body, shown in (
            (b"null", "/, Kind="),
            (b"kind: 3", "/, Kind="),
            (b"apiVersion: 3\nkind: ConfigMap", "/, Kind=ConfigMap"),
            (b"apiVersion: a/b/c\nkind: ConfigMap", "/, Kind="),
            (b"apiVersion: apps/v1\nkind: ConfigMap", "apps/v1, Kind=ConfigMap"),
        ):
            status, _, answer = await send(plane, "PATCH", path, body, APPLY)
            assert (status, answer["message"]) == (400, f"invalid object type: {shown}")

    in_cluster(scenario)


WIDGET = Resource(group="e.x", version="v1", kind="Widget", plural="widgets", schema={"type": "object"})


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (
            {"metadata": {}},
            "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in ",
        ),
        ({"kind": "Widget"}, "the API version in the data () does not match the expected API version (e.x/v1)"),
        (
            {"kind": "Gadget", "apiVersion": "e.x/v1", "metadata": {"name": "w"}},
            'Gadget.e.x "w" is invalid: kind: Invalid value: "Gadget": must be Widget',
        ),
    ],
)
def test_a_custom_object_says_its_kind_and_version(document, why):
    with pytest.raises(StatusError) as caught:
        check_kind(WIDGET, document, orjson.dumps(document))
    assert str(caught.value).startswith(why)


def test_what_is_repeated_inside_of_an_unknown_field_is_not_told(in_cluster):
    async def scenario(plane):
        body = b'{"metadata":{"name":"a","name":"a"},"bogus":{"x":1,"x":2},"bogus":1}'
        status, _, answer = await send(plane, "POST", f"{MAPS}?fieldValidation=Strict", body, "application/json")
        assert status == 400
        assert answer["message"].endswith('duplicate field "metadata.name", unknown field "bogus"')

    in_cluster(scenario)


def test_a_list_of_the_kind_is_another_kind_that_is_known(in_cluster):
    async def scenario(plane):
        body = {"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"name": "a"}}
        status, _, answer = await send(plane, "POST", MAPS, body, "application/json")
        assert status == 400
        assert answer["message"].endswith("converting (v1.ConfigMapList) to (core.ConfigMap): unknown conversion")

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("media", "body", "told"),
    [
        ("merge-patch", b'{"data":{"a":"1","a":"2"},"zz":1}', ['duplicate field "data.a"', 'unknown field "zz"']),
        ("strategic-merge-patch", b'{"data":{"a":"1","a":"2"}}', ['duplicate field "data.a"']),
        (
            "json-patch",
            b'[{"op":"add","path":"/data","value":{},"value":{"a":"2"},"zz":1}]',
            ['json patch duplicate field "[0].value"', 'json patch unknown field "[0].zz"'],
        ),
    ],
)
def test_a_patch_that_repeats_a_key_is_refused_when_strict(in_cluster, media, body, told):
    async def scenario(plane):
        path, content_type = f"{MAPS}/m", f"application/{media}+json"
        await send(plane, "POST", MAPS, {"metadata": {"name": "m"}}, "application/json")
        status, _, answer = await send(plane, "PATCH", f"{path}?fieldValidation=Strict", body, content_type)
        assert status == 422
        assert answer["message"].endswith(f"strict decoding error: {', '.join(told)}")
        status, warned, answer = await send(plane, "PATCH", path, body, content_type)
        assert (status, answer["data"]["a"]) == (200, "2")
        assert told[-1].replace('"', '\\"') in warned[0]
        status, warned, _ = await send(plane, "PATCH", f"{path}?fieldValidation=Ignore", body, content_type)
        assert (status, warned) == (200, [])

    in_cluster(scenario)
