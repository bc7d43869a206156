"""What a container finds in its environment, in the order and with the references that the API reference gives."""

import base64

import pytest

from kajitori.kubelet.environment import ConfigProblem, container_environment, service_variables
from kajitori.kubelet.expansion import expand
from kajitori.kubelet.field_paths import pod_field, resource_field


def config_map(**data):
    return {"kind": "ConfigMap", "data": data}


def secret(**data):
    return {"kind": "Secret", "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}


OBJECTS = {("ConfigMap", "settings"): config_map(colour="red", size="big"), ("Secret", "key"): secret(password="s3")}


FILES = {"env": "COLOUR='red'\n", "wrong": "COLOUR=red"}


def environment(services=None, **container):
    return container_environment(
        {"name": "main", **container},
        services=services or {},
        lookup=lambda kind, name: OBJECTS.get((kind, name)),
        field=lambda path: f"<{path}>",
        resource=lambda reference: reference["resource"],
        file=lambda reference: FILES[reference["path"]],
        namespace="default",
    )


def test_variables_from_files():
    def of(key, path="env", **more):
        reference = {"volumeName": "v", "path": path, "key": key, **more}
        return environment(env=[{"name": "A", "valueFrom": {"fileKeyRef": reference}}])

    assert of("COLOUR") == {"A": "red"}
    assert of("SIZE", optional=True) == {}
    with pytest.raises(ConfigProblem, match='key "SIZE" not found in file "env"'):
        of("SIZE")
    with pytest.raises(ConfigProblem, match="couldn't parse env file"):
        of("COLOUR", "wrong", optional=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$(A)-$(B)", "1-$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$", "$"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("a$$b", "a$b"),
    ],
)
def test_references_are_expanded(text, expected):
    assert expand(text, {"A": "1"}) == expected


def test_a_variable_may_refer_to_those_before_it_and_to_services():
    found = environment(
        {"DB_SERVICE_HOST": "10.96.0.7"},
        env=[
            {"name": "A", "value": "$(DB_SERVICE_HOST)"},
            {"name": "B", "value": "$(A):$(C)"},
            {"name": "C", "value": "late"},
        ],
    )
    assert (found["A"], found["B"]) == ("10.96.0.7", "10.96.0.7:$(C)")


def test_env_wins_over_env_from_and_both_over_services():
    found = environment(
        {"colour": "service", "size": "service", "other": "service"},
        envFrom=[{"configMapRef": {"name": "settings"}}],
        env=[{"name": "size", "value": "mine"}],
    )
    assert found == {"colour": "red", "size": "mine", "other": "service"}


def test_env_from_prefixes_and_decodes():
    found = environment(envFrom=[{"prefix": "P_", "secretRef": {"name": "key"}}])
    assert found == {"P_password": "s3"}


def test_values_come_from_keys_fields_and_resources():
    found = environment(
        env=[
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "key", "key": "password"}}},
            {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "R", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
        ]
    )
    assert found == {"C": "red", "S": "s3", "F": "<metadata.name>", "R": "limits.cpu"}


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, 'secret "none" not found'),
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "no"}}}]},
            "couldn't find key no in ConfigMap default/settings",
        ),
    ],
)
def test_what_is_missing_is_named(container, message):
    with pytest.raises(ConfigProblem, match=message):
        environment(**container)


def service(name, namespace="default", ip="10.96.0.5", ports=((80, "http"), (443, "https"))):
    listed = [{"port": port, "name": label, "protocol": "TCP"} for port, label in ports]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": listed}}


def test_services_of_the_namespace_and_the_api_are_announced():
    services = [
        service("my-db"),
        service("kubernetes", ip="10.96.0.1"),
        service("far", "other"),
        service("h", ip="None"),
    ]
    found = service_variables(services, "default", links=True)
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.5"
    assert found["MY_DB_SERVICE_PORT_HTTPS"] == "443"
    assert found["MY_DB_PORT_443_TCP"] == "tcp://10.96.0.5:443"
    assert found["KUBERNETES_PORT"] == "tcp://10.96.0.1:80"
    assert not [name for name in found if name.startswith(("FAR", "H_"))]


def test_without_links_only_the_api_is_announced():
    found = service_variables([service("my-db"), service("kubernetes")], "default", links=False)
    assert {name.split("_")[0] for name in found} == {"KUBERNETES"}


POD = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "labels": {"b": "2", "a": 'say "hi"'}},
    "spec": {"nodeName": "node-1", "serviceAccountName": "robot"},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web"),
        ("metadata.labels", 'a="say \\"hi\\""\nb="2"'),
        ("metadata.labels['b']", "2"),
        ("metadata.annotations['none']", ""),
        ("spec.serviceAccountName", "robot"),
        ("status.podIPs", "10.0.0.1,fd00::1"),
        ("status.hostIP", "192.0.2.1"),
    ],
)
def test_fields_of_the_pod(path, expected):
    assert pod_field(POD, path, host_ips=("192.0.2.1",), pod_ips=("10.0.0.1", "fd00::1")) == expected


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [
        ("limits.cpu", "1", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.memory", "1Mi", "64"),
        ("requests.memory", "", str(64 * 1024**2)),
        ("limits.memory", "1Gi", "8"),
        ("requests.cpu", "1", "0"),
    ],
)
def test_resources_are_rounded_up_in_their_unit(resource, divisor, expected):
    container = {"resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}}
    assert resource_field(container, resource, divisor, {"memory": "8Gi", "cpu": "4"}) == expected
