import copy
from typing import Any

import pytest

from kajitori.api.apiextensions import CUSTOM_RESOURCE_DEFINITION
from kajitori.api.apps import DEPLOYMENT
from kajitori.api.coordination import LEASE
from kajitori.api.core import CONFIG_MAP, EVENT, POD, SECRET, SERVICE
from kajitori.api.errors import BadRequest
from kajitori.api.rbac import ROLE
from kajitori.api.registry import BUILTIN
from kajitori.api.resource import Resource
from kajitori.api.schema import (
    conform,
    conform_definition,
    definition_of,
    duplicate_fields,
    strict_error,
    strict_messages,
)
from kajitori.api.schema.definitions import definitions, go_shapes
from kajitori.api.schema.nodes import node_of


def deployment(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template} | spec,
    }


def pod(**container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c"} | container]},
    }


def refusal(resource: Resource, obj: dict[str, Any]) -> str:
    with pytest.raises(BadRequest) as caught:
        conform(resource, obj)
    prefix = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
    assert caught.value.message.startswith(prefix)
    return caught.value.message.removeprefix(prefix)


def test_unknown_fields_are_pruned_and_told() -> None:
    obj = deployment(bogus=1)
    obj["spec"]["template"]["spec"]["containers"][0]["foo"] = {"x": 1}
    assert conform(DEPLOYMENT, obj) == ["spec.template.spec.containers[0].foo", "spec.bogus"]
    assert "bogus" not in obj["spec"]
    assert obj["spec"]["template"]["spec"]["containers"][0] == {"name": "c", "image": "i", "resources": {}}


@pytest.mark.parametrize(
    ("resource", "obj", "words"),
    [
        (
            DEPLOYMENT,
            deployment(replicas="3"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            deployment(replicas=1.5),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            deployment(replicas=2**31),
            "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            deployment(paused="yes"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (
            DEPLOYMENT,
            deployment(strategy={"rollingUpdate": {"maxSurge": [1]}}),
            "json: cannot unmarshal array into Go struct field "
            "RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32",
        ),
        (
            POD,
            pod(args="x"),
            "json: cannot unmarshal string into Go struct field Container.spec.containers.args of type []string",
        ),
        (
            POD,
            pod(env=[7]),
            "json: cannot unmarshal number into Go struct field Container.spec.containers.env of type v1.EnvVar",
        ),
        (
            POD,
            pod(imagePullPolicy=True),
            "json: cannot unmarshal bool into Go struct field "
            "Container.spec.containers.imagePullPolicy of type v1.PullPolicy",
        ),
        (
            POD,
            pod(livenessProbe={"httpGet": "x"}),
            "json: cannot unmarshal string into Go struct field "
            "Probe.spec.containers.livenessProbe.ProbeHandler.httpGet of type v1.HTTPGetAction",
        ),
        (
            POD,
            pod(resources={"limits": {"cpu": "much"}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (SECRET, {"metadata": {"name": "s"}, "data": {"a": "abc"}}, "illegal base64 data at input byte 0"),
        (SECRET, {"metadata": {"name": "s"}, "data": {"a": "eA==xx"}}, "illegal base64 data at input byte 4"),
        (SECRET, {"metadata": {"name": "s"}, "data": {"a": "eA==\n="}}, "illegal base64 data at input byte 5"),
        (SECRET, {"metadata": {"name": "s"}, "data": {"a": "eA=!"}}, "illegal base64 data at input byte 2"),
        (
            SECRET,
            {"metadata": {"name": "s"}, "data": {"a": 7}},
            "json: cannot unmarshal number into Go struct field Secret.data of type []uint8",
        ),
        (
            SECRET,
            {"metadata": {"name": "s"}, "data": {"a": [1, "x"]}},
            "json: cannot unmarshal string into Go struct field Secret.data of type uint8",
        ),
        (
            DEPLOYMENT,
            deployment(replicas="3", template={"spec": {"containers": [{"resources": {"limits": {"cpu": "x"}}}]}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            SECRET,
            {"metadata": {"name": "s", "labels": {"a": True}}},
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            SECRET,
            {"metadata": {"creationTimestamp": "now"}},
            'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
        ),
        (
            EVENT,
            {"metadata": {"name": "e"}, "eventTime": "2026-01-01T00:00:00Z"},
            'parsing time "2026-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
        ),
        (SECRET, {"metadata": {"creationTimestamp": "2026-13-01T00:00:00Z"}}, "month out of range"),
    ],
)
def test_wrong_types_in_upstreams_words(resource: Resource, obj: dict[str, Any], words: str) -> None:
    assert refusal(resource, obj).endswith(words)


def test_nulls_and_optional_empties_are_dropped() -> None:
    obj = deployment(replicas=0, paused=False, minReadySeconds=0, revisionHistoryLimit=None)
    obj["metadata"] |= {"labels": {}, "annotations": {"a": None}}
    conform(DEPLOYMENT, obj)
    assert obj["metadata"] == {"name": "d", "annotations": {"a": ""}}
    assert obj["spec"]["replicas"] == 0, "a pointer's zero is a value"
    assert "paused" not in obj["spec"] and "minReadySeconds" not in obj["spec"]
    assert "revisionHistoryLimit" not in obj["spec"]


def test_structs_are_always_there() -> None:
    obj = deployment()
    conform(DEPLOYMENT, obj)
    assert obj["status"] == {} and obj["spec"]["strategy"] == {}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    conform(SERVICE, service)
    assert service == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {},
        "status": {"loadBalancer": {}},
    }


def test_canonical_scalars() -> None:
    obj = pod(resources={"requests": {"cpu": 0.5, "memory": "1024Mi"}})
    obj["metadata"]["creationTimestamp"] = "2026-01-01T09:00:00.123+09:00"
    conform(POD, obj)
    assert obj["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert obj["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    secret = {"metadata": {"name": "s"}, "data": {"a": "YWJj\n"}}
    conform(SECRET, secret)
    assert secret["data"] == {"a": "YWJj"}


def test_bytes_one_by_one() -> None:
    secret = {"metadata": {"name": "s"}, "data": {"a": [104, 105, None]}}
    conform(SECRET, secret)
    assert secret["data"] == {"a": "aGkA"}


def test_conforming_twice_changes_nothing() -> None:
    obj = deployment(replicas=1)
    conform(DEPLOYMENT, obj)
    again = copy.deepcopy(obj)
    assert conform(DEPLOYMENT, again) == []
    assert again == obj


def test_every_builtin_kind_has_a_schema() -> None:
    for resource in BUILTIN:
        assert node_of(resource.definition).fields["metadata"], resource.definition
    assert set(go_shapes()) <= set(definitions())


def test_subresource_kinds() -> None:
    name = definition_of("autoscaling", "v1", "Scale")
    scale = {"metadata": {"name": "x"}, "spec": {"replicas": "2"}}
    with pytest.raises(BadRequest, match=r"string into Go struct field ScaleSpec\.spec\.replicas of type int32"):
        conform_definition(name, scale, kind="Scale")


def test_schemas_inside_custom_resource_definitions_recurse() -> None:
    name = definition_of("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "object", "additionalProperties": True}}},
        "x-foo": 1,
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    obj = {"metadata": {"name": "x"}, "spec": {"group": "g", "versions": [version]}}
    assert conform_definition(name, obj) == ["spec.versions[0].schema.openAPIV3Schema.x-foo"]
    assert schema["properties"] == {"a": {"type": "array", "items": {"type": "object", "additionalProperties": True}}}


def test_repeated_keys_are_found() -> None:
    assert duplicate_fields(b'{"a":1,"b":{"c":[{"d":1}]}}\n') == []
    assert duplicate_fields(b'{ "a" : 1, "b" : {"a": "x\\u003c"} }') == []
    assert duplicate_fields(b'{"a": 1, "b": {"c\\\\": "\\":"}, "d": 1e20}') == []
    assert duplicate_fields(b'{"a": 1, "a" : 2, "b": "\\u0022:"}') == ["a"]
    assert duplicate_fields(b'{"a":1,"a":2,"b":1e20}') == ["a"]
    assert duplicate_fields(b"a: 1\n", {"a": 1}) == []
    assert duplicate_fields(b'{"a":1,"b":{"c":[{"d":1,"d":2,"d":3}]},"a":2}') == ["b.c[0].d", "a"]


def test_strict_error() -> None:
    error = strict_error(CONFIG_MAP, strict_messages(["x"], ["data.a"]))
    assert error.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'duplicate field "data.a", unknown field "x"'
    )


def test_complaints_of_a_built_in_kind_stand_in_the_order_of_the_document() -> None:
    body = b'{"x":1,"data":{"a":"1","a":"2","a":"3"},"y":[{"z":1}]}'
    assert strict_messages(["y", "x"], ["data.a"], body) == [
        'unknown field "x"',
        'duplicate field "data.a"',
        'unknown field "y"',
    ]


def test_roles_of_any_shape_survive() -> None:
    role = {"metadata": {"name": "r"}, "rules": []}
    conform(ROLE, role)
    assert role["rules"] == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("0001-01-01T00:00:02.000000Z", "0001-01-01T00:00:02.000000Z"),
        ("0999-12-31T23:30:00.000001-01:00", "1000-01-01T00:30:00.000001Z"),
        ("2026-01-02T03:04:05.600000+00:00", "2026-01-02T03:04:05.600000Z"),
    ],
)
def test_a_time_keeps_the_four_digits_of_its_year(given: str, shown: str) -> None:
    lease: dict[str, Any] = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
    lease["spec"] = {"renewTime": given}
    conform(LEASE, lease)
    assert lease["spec"] == {"renewTime": shown}


def test_a_type_with_a_decoder_of_its_own_is_refused_before_others() -> None:
    """Go's decoder goes on after a wrong type, but not after a decoder that failed."""
    schema = {"items": {"externalDocs": {"description": 1}}}
    spec = {"group": 1, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}
    with pytest.raises(BadRequest) as refused:
        conform(CUSTOM_RESOURCE_DEFINITION, {"metadata": {}, "spec": spec})
    assert refused.value.message.endswith(
        "json: cannot unmarshal number into Go struct field "
        "JSONSchemaProps.spec.versions.schema.openAPIV3Schema.items.externalDocs.description of type string"
    )
    spec["versions"] = []
    with pytest.raises(BadRequest, match=r"CustomResourceDefinitionSpec\.spec\.group of type string"):
        conform(CUSTOM_RESOURCE_DEFINITION, {"metadata": {}, "spec": spec})
