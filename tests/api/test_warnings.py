"""What is accepted with a warning, in upstream's words (seen on a live v1.36 API server)."""

from typing import Any

import pytest

from kajitori.api.warnings import extensions, networks, placement, volumes, workloads
from kajitori.api.warnings.addresses import address_warnings, cidr_warnings
from kajitori.api.warnings.pod_specs import pod_warnings

Object = dict[str, Any]

AT = (
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
    "recommended: "
)
HERE, FIRST = "spec.containers[0].ports[1]", "spec.containers[0].ports[0]"
AMBIGUOUS = 'f: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)'
LARGE = 'f: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")'
NULL = "a null labelSelector results in matching no pod"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pod(spec: Object | None = None, *, name: str = "p", annotations: Object | None = None) -> Object:
    metadata: Object = {"name": name}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec or {}}


def container(**fields: Any) -> Object:
    return {"containers": [{"name": "c", **fields}]}


def test_a_plain_pod_and_a_change_of_one_warn_of_nothing() -> None:
    assert pod_warnings(pod(container()), None) == []
    assert pod_warnings(pod(name="a.b"), pod(name="a.b")) == []


def test_a_pods_name_that_is_no_label() -> None:
    assert pod_warnings(pod(name="a.b"), None) == [AT + "[must not contain dots]"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"nodeSelector": {"beta.kubernetes.io/arch": "x"}},
            'spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead',
        ),
        (
            {"affinity": {"nodeAffinity": {PREFERRED: [{"preference": {"matchExpressions": [
                {"key": "app.kubernetes.io/created-by", "values": ["a"]}]}}]}}},
            f"spec.affinity.nodeAffinity.{PREFERRED}[0].preference.matchExpressions[0].key: "
            "app.kubernetes.io/created-by is deprecated since v1.9",
        ),
        (
            {"topologySpreadConstraints": [{"topologyKey": "z"}]},
            f"spec.topologySpreadConstraints[0].labelSelector: {NULL}",
        ),
        (
            {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "z"}]}}},
            f"spec.affinity.podAffinity.{REQUIRED}[0].labelSelector: {NULL}",
        ),
        (
            {"affinity": {"podAntiAffinity": {PREFERRED: [{"podAffinityTerm": {"topologyKey": "z"}}]}}},
            f"spec.affinity.podAntiAffinity.{PREFERRED}[0].podAffinityTerm.labelSelector: {NULL}",
        ),
        (
            {"volumes": [{"name": "v", "cephfs": {}}]},
            "spec.volumes[0].cephfs: deprecated in v1.28, non-functional in v1.31+",
        ),
        (
            {"volumes": [{"name": "v", "storageos": {}}]},
            "spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+",
        ),
        (
            {"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {
                "resources": {"requests": {"storage": "1.5"}}}}}}]},
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]: fractional byte value "
            '"1500m" is invalid, must be an integer',
        ),
        (
            {"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]},
            'spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
        ),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, 'spec.imagePullSecrets[1].name: duplicate name "a"'),
        ({"imagePullSecrets": [{}]}, 'spec.imagePullSecrets[0].name: invalid empty name ""'),
        (
            {"terminationGracePeriodSeconds": -1},
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ),
        (
            {"dnsConfig": {"nameservers": ["FE80::1"]}},
            'spec.dnsConfig.nameservers[0]: IPv6 address "FE80::1" should be in RFC 5952 canonical format ("fe80::1")',
        ),
        (
            container(resources={"limits": {"memory": "100m"}}),
            'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
        ),
        (
            container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
            'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        ),
        (
            container(ports=[{"containerPort": 1, "protocol": "TCP", "hostIP": "1.1.1.1"}]),
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:1 Protocol:TCP "
            "HostIP:1.1.1.1}",
        ),
        (
            container(ports=[{"containerPort": 1}, {"containerPort": 1}]),
            "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        ),
        (
            container(ports=[{"containerPort": 1}, {"containerPort": 1, "hostPort": 2}]),
            "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
        ),
        (
            container(ports=[{"hostPort": 2, "hostIP": "1.1.1.1"}, {"hostPort": 2}]),
            f"{HERE}: dangerously ambiguous port definition with {FIRST}",
        ),
        (
            container(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
            f'{HERE}: duplicate port name "a" with {FIRST}, services and probes that select ports by name '
            f"will use {FIRST}",
        ),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "x", "items": [{"path": "p"}, {"path": "p/q/"}]}}]},
            'volume "v" (ConfigMap "x"): overlapping paths: "p/q" with "p"',
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [
                {"secret": {"name": "y", "items": [{"path": "p"}]}}, {"serviceAccountToken": {"path": "p/x"}}]}}]},
            'volume "v" (Projected): overlapping paths: "p/x" (ServiceAccountToken) with "p" (Secret "y")',
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{}]}}]},
            'volume "v" (Projected) has no sources provided',
        ),
    ],
)  # fmt: skip
def test_a_pods_spec(spec: Object, expected: str) -> None:
    assert pod_warnings(pod(spec), None) == [expected]


def test_a_variable_that_builds_on_the_one_before_is_right() -> None:
    env = [{"name": "A", "value": "x"}, {"name": "A", "value": "$(A)y"}]
    assert pod_warnings(pod(container(env=env)), None) == []
    assert len(pod_warnings(pod(container(env=[env[0], {"name": "A", "value": "$(A)"}])), None)) == 1


def test_annotations_that_became_fields() -> None:
    annotations = {
        "seccomp.security.alpha.kubernetes.io/pod": "x",
        "container.seccomp.security.alpha.kubernetes.io/c": "y",
        "scheduler.alpha.kubernetes.io/critical-pod": "",
    }
    found = pod_warnings(pod(container(), annotations=annotations), None)
    assert [text.partition(": ")[0] for text in found] == [
        "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]",
        "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]",
        "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/c]",
    ]


def workload(generation: int = 1, *, name: str = "w") -> Object:
    template = {"metadata": {}, "spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}, "containers": []}}
    return {"metadata": {"name": name, "generation": generation}, "spec": {"template": template}}


def test_a_template_is_looked_at_when_the_spec_has_changed() -> None:
    expected = [
        'spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    ]
    assert workloads.workload_warnings(workload(), None) == expected
    assert workloads.workload_warnings(workload(2), workload(1)) == expected
    assert workloads.workload_warnings(workload(2), workload(2)) == []


def test_a_workloads_name_becomes_part_of_hostnames() -> None:
    found = workloads.named_workload_warnings(workload(name="a.b"), None)
    assert found[0].startswith("metadata.name: this is used in Pod names and hostnames")
    assert not workloads.named_workload_warnings(workload(name="a.b"), workload(name="a.b"))


def test_claims_of_a_stateful_set() -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "1500m"}}}}
    new = {"metadata": {"generation": 1}, "spec": {"revisionHistoryLimit": -1, "volumeClaimTemplates": [claim]}}
    assert [text.partition(":")[0] for text in workloads.stateful_set_warnings(new, new)] == [
        "spec.volumeClaimTemplates[0].Spec.resources.requests[storage]",
        "spec.revisionHistoryLimit",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", []),
        ("fe80::1", []),
        ("nonsense", []),
        ("010.0.0.1", ['f: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"']),
        ("::ffff:1.2.3.4", ['f: non-standard IP address "::ffff:1.2.3.4" is invalid: use "1.2.3.4"']),
        ("FE80::1", ['f: IPv6 address "FE80::1" should be in RFC 5952 canonical format ("fe80::1")']),
    ],
)
def test_addresses(text: str, expected: list[str]) -> None:
    assert list(address_warnings("f", text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", []),
        ("10.0.0.1/8", [AMBIGUOUS]),
        ("010.0.0.0/8", ['f: non-standard CIDR value "010.0.0.0/8" is invalid: use "10.0.0.0/8"']),
        ("2001:DB8::/32", [LARGE]),
        ("nonsense", []),
    ],
)  # fmt: skip
def test_ranges(text: str, expected: list[str]) -> None:
    assert list(cidr_warnings("f", text)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"type": "ClusterIP", "clusterIP": "None", "externalIPs": ["1.2.3.4"], "sessionAffinity": "ClientIP"},
            [f"spec.{field} is ignored for headless services" for field in ("externalIPs", "SessionAffinity")],
        ),
        (
            {"type": "ClusterIP", "externalIPs": ["1.2.3.4"]},
            ["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
        ),
        (
            {"type": "ExternalName", "externalName": "a.b", "externalIPs": ["1.2.3.4"]},
            ['spec.externalIPs is ignored when spec.type is "ExternalName"'],
        ),
        (
            {"type": "NodePort", "externalName": "a"},
            ['spec.externalName is ignored when spec.type is not "ExternalName"'],
        ),
        (
            {"trafficDistribution": "PreferClose"},
            ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        ),
        ({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}, []),
    ],
)  # fmt: skip
def test_services(spec: Object, expected: list[str]) -> None:
    assert networks.service_warnings({"metadata": {}, "spec": spec}, None) == expected


def test_other_networks() -> None:
    ingress = {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}, "spec": {}}
    assert len(networks.ingress_warnings(ingress, None)) == 1
    assert networks.ingress_warnings(ingress, ingress) == []
    sliced = {"metadata": {}, "addressType": "FQDN", "endpoints": [{"addresses": ["a.b"]}]}
    assert networks.endpoint_slice_warnings(sliced, None) == ["spec.addressType: FQDN endpoints are deprecated"]
    policy = {"metadata": {}, "spec": {"egress": [{"to": [{"ipBlock": {"cidr": "2001:DB8::/32"}}]}]}}
    assert networks.network_policy_warnings(policy, None)[0].startswith("spec.egress[0].to[0].ipBlock.cidr: ")
    assert networks.node_warnings({"metadata": {}, "spec": {"externalID": "x", "podCIDRs": ["10.0.0.0/8"]}}, None) == [
        "spec.externalID: this field is deprecated, and is unused by Kubernetes"
    ]


def test_what_our_own_controllers_write_is_not_looked_at() -> None:
    labels = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    endpoints = [{"addresses": ["FE80::1"]}]
    assert not networks.endpoint_slice_warnings({"metadata": {"labels": labels}, "endpoints": endpoints}, None)
    assert networks.endpoint_slice_warnings({"metadata": {}, "endpoints": endpoints}, None)


def test_volumes_and_their_classes() -> None:
    volume = {
        "metadata": {"annotations": {"volume.beta.kubernetes.io/mount-options": "x"}},
        "spec": {"persistentVolumeReclaimPolicy": "Recycle", "rbd": {}},
    }
    assert [text.partition(":")[0] for text in volumes.volume_warnings(volume, None)] == [
        "metadata.annotations[volume.beta.kubernetes.io/mount-options]",
        "spec.persistentVolumeReclaimPolicy",
        "spec.rbd",
    ]
    expression = {"key": "failure-domain.beta.kubernetes.io/zone"}
    topologies = {"allowedTopologies": [{"matchLabelExpressions": [expression]}]}
    assert volumes.storage_class_warnings(topologies, None) == [
        "allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.17; use "
        '"topology.kubernetes.io/zone" instead'
    ]
    capacity = {"nodeTopology": {"matchLabels": {"beta.kubernetes.io/os": "x"}}}
    assert volumes.capacity_warnings(capacity, None)[0].startswith("nodeTopology.matchLabels.beta.kubernetes.io/os: ")
    classes = {"scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "x"}}}
    assert placement.runtime_class_warnings(classes, None)[0].startswith("scheduling.nodeSelector: deprecated")


def test_a_driver_is_warned_of_tokens_when_it_begins_to_ask_for_them() -> None:
    driver = {"spec": {"tokenRequests": [{"audience": "a"}]}}
    assert len(volumes.driver_warnings(driver, None)) == 1
    assert volumes.driver_warnings(driver, driver) == []
    asked = {"spec": {**driver["spec"], "serviceAccountTokenInSecrets": False}}
    assert volumes.driver_warnings(asked, None) == []


def test_a_definition_warns_of_formats_that_are_new_and_mean_nothing() -> None:
    def definition(*formats: str) -> Object:
        properties = {f"p{i}": {"type": "string", "format": form} for i, form in enumerate(formats)}
        return {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}}]}}

    assert extensions.definition_warnings(definition("date-time", "nope"), None) == ['unrecognized format "nope"']
    assert extensions.definition_warnings(definition("nope", "new"), definition("nope")) == [
        'unrecognized format "new"'
    ]


def test_finalizers_of_custom_objects() -> None:
    def custom(*names: str) -> Object:
        return {"metadata": {"finalizers": list(names)}}

    found = extensions.custom_object_warnings(custom("orphan", "foo", "example.com", "a.b/c"), custom("foo"))
    assert found == [
        'metadata.finalizers: "example.com": prefer a domain-qualified finalizer name including a path (/) to avoid '
        "accidental conflicts with other finalizer writers"
    ]
    assert len(extensions.custom_object_warnings(custom("foo"), None)) == 1


def test_other_extensions() -> None:
    assert extensions.static_name_warnings({"metadata": {"name": "x.static.k8s.io"}}, None)
    assert extensions.resource_slice_warnings({"spec": {"driver": "A.b"}}, None)
    account = {"metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}}
    assert extensions.service_account_warnings(account, {"metadata": {}})
    assert extensions.service_account_warnings(account, account) == []


def test_a_tls_secret_whose_parts_are_none() -> None:
    secret = {"metadata": {}, "type": "kubernetes.io/tls", "data": {"tls.crt": "YQ==", "tls.key": "Yg=="}}
    assert extensions.secret_warnings(secret, None) == ["tls: failed to find any PEM data in certificate input"]
    assert extensions.secret_warnings({**secret, "type": "Opaque"}, None) == []
