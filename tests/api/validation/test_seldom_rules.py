"""Rules that few objects meet: ratios of limits, selectors of access reviews, annotations of old autoscalers."""

import pytest

from kajitori.api import apiextensions, apps, autoscaling, core, discovery, networking, scheduling, storage
from kajitori.api.conversions.autoscaling import to_v2
from kajitori.api.schema import conform
from kajitori.api.validation.authorization import validate_self_access_review

CONTAINERS = [{"name": "c", "image": "i"}]


def messages(resource, name="x", **fields):
    obj = {"metadata": {"name": name, "namespace": "default"}, **fields}
    if resource.default:
        resource.default(obj)
    return [str(error) for error in resource.validate(obj)]


def of_limit(**item):
    found = messages(core.LIMIT_RANGE, spec={"limits": [{"type": "Container", **item}]})
    return [message.removeprefix("spec.limits[0].") for message in found]


@pytest.mark.parametrize(
    ("item", "wrong"),
    [
        ({"min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "2"}}, []),
        (
            {"min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}},
            ['maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'],
        ),
        (
            {"max": {"cpu": "2"}, "default": {"cpu": "3"}, "defaultRequest": {"cpu": "1"}},
            ['default[cpu]: Invalid value: "2": default value 3 is greater than max value 2'],
        ),
        (
            {"type": "Pod", "max": {"services": "1"}},
            ['max[services]: Invalid value: "services": must be a standard resource for containers'],
        ),
    ],
)
def test_limits(item, wrong):
    assert of_limit(**item) == wrong


def test_finalizers_of_a_namespaces_content():
    found = messages(core.NAMESPACE, spec={"finalizers": ["kubernetes", "e.x/f", "x"]})
    assert found == [
        'spec.finalizers: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified'
    ]


def test_a_scope_of_a_quota_without_values():
    expressions = [{"scopeName": "NotTerminating", "operator": "In", "values": ["a"]}]
    found = messages(core.RESOURCE_QUOTA, spec={"hard": {}, "scopeSelector": {"matchExpressions": expressions}})
    assert [message.partition(" when ")[0] for message in found] == [
        "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists'"
    ]


def test_choices_stand_in_upstreams_order():
    found = messages(scheduling.PRIORITY_CLASS, value=1, preemptionPolicy="x")
    assert found == ['preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", "Never"']


UTILIZATION = {"type": "Utilization", "averageUtilization": 5}


@pytest.mark.parametrize(
    ("metric", "wrong"),
    [
        (
            {"type": "ContainerResource", "containerResource": {"name": "x", "container": "C", "target": UTILIZATION}},
            ["containerResource.name", "containerResource.name", "containerResource.container"],
        ),
        ({"type": "x", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}, [
            "type", "resource.target.averageUtilization", "type",
        ]),
        ({"type": "Pods", "resource": {"name": "cpu", "target": UTILIZATION}}, ["pods"]),
        (
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": UTILIZATION},
                "containerResource": {"name": "cpu", "container": "c", "target": UTILIZATION},
            },
            ["containerResource"],
        ),
    ],
)  # fmt: skip
def test_a_metric_has_the_source_of_its_type(metric, wrong):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [metric]}
    found = messages(autoscaling.HORIZONTAL_POD_AUTOSCALER, spec=spec)
    assert [message.partition(": ")[0].removeprefix("spec.metrics[0].") for message in found] == wrong


@pytest.mark.parametrize("text", ["-1", "x", '"s"', "[1]", "null", "{}"])
def test_annotations_of_an_old_autoscaler_that_say_nothing_are_ignored(text):
    prefix = "autoscaling.alpha.kubernetes.io/"
    annotations = {f"{prefix}{name}": text for name in ("metrics", "behavior", "conditions", "current-metrics")}
    old = {"metadata": {"name": "h", "annotations": annotations}, "spec": {"maxReplicas": 1}}
    converted = to_v2(old)
    assert converted["spec"] == {"maxReplicas": 1} and converted["status"] == {}


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({}, []),
        ({"fieldSelector": {"rawSelector": "a=b"}}, []),
        ({"fieldSelector": {}}, ["fieldSelector.requirements"]),
        ({"fieldSelector": {"rawSelector": "a", "requirements": [{"key": "a"}]}}, ["fieldSelector.rawSelector"]),
        ({"fieldSelector": {"requirements": [{"operator": "In"}]}}, [
            "fieldSelector.requirements[0].key", "fieldSelector.requirements[0].values",
        ]),
        ({"labelSelector": {"requirements": [{"key": "-", "operator": "Exists", "values": ["a"]}]}}, [
            "labelSelector.requirements[0].values", "labelSelector.requirements[0].key",
        ]),
        ({"labelSelector": {"requirements": [{"key": "a", "operator": "Newer", "values": ["-"]}]}}, [
            "labelSelector.requirements[0].values[0]",
        ]),
    ],
)  # fmt: skip
def test_selectors_of_an_access_review(asked, wrong):
    found = validate_self_access_review({"spec": {"resourceAttributes": asked}})
    assert [error.field.removeprefix("spec.resourceAttributes.") for error in found] == wrong


def test_labels_of_a_stateful_sets_template_are_looked_at_twice():
    template = {"metadata": {"labels": {"a": "-"}}, "spec": {"containers": CONTAINERS}}
    selector = {"matchLabels": {"a": "b"}}
    spec = {"selector": selector, "template": template, "revisionHistoryLimit": -1}
    found = messages(apps.STATEFUL_SET, spec=spec)
    assert [message.partition(": ")[0] for message in found] == [
        "spec.template.metadata.labels",
        "spec.template.labels",
        "spec.template.labels",
    ]


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("a.b", []),
        ("a.b.", []),
        ("", ["endpoints[0].addresses[0]: Required value"]),
        (
            "a",
            [
                'endpoints[0].addresses[0]: Invalid value: "a": should be a domain with at least two segments '
                "separated by dots"
            ],
        ),
    ],
)
def test_full_names_of_a_slice(address, wrong):
    found = messages(discovery.ENDPOINT_SLICE, addressType="FQDN", endpoints=[{"addresses": [address]}], ports=[])
    assert found == wrong


def test_a_policys_last_port_is_told_by_its_first():
    ports = [{"port": 80, "endPort": 70}]
    found = messages(networking.NETWORK_POLICY, spec={"podSelector": {}, "ingress": [{"ports": ports}]})
    assert found == ["spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`"]


def test_an_ingress_class_may_not_name_an_empty_namespace():
    parameters = {"kind": "K", "name": "n", "scope": "Namespace"}

    def found(**more):
        spec = {"controller": "e.x/c", "parameters": {**parameters, **more}}
        return [message[:60] for message in messages(networking.INGRESS_CLASS, spec=spec)]

    assert found(namespace="a") == []
    assert found() == ["spec.parameters.namespace: Required value: `parameters.scope"]
    assert found(namespace="") == ['spec.parameters.namespace: Invalid value: "": a lowercase RF']


def test_a_driver_is_not_asked_too_often():
    found = messages(storage.CSI_DRIVER, name="d.x", spec={"nodeAllocatableUpdatePeriodSeconds": 9})
    assert found == [
        "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds"
    ]


def test_a_schema_that_says_nothing_is_a_schema():
    properties = {"a": {"items": {}}, "b": {"items": "x"}, "c": {"additionalProperties": {}}}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": properties}}}]
    definition = {"metadata": {}, "spec": {"versions": versions}}
    conform(apiextensions.CUSTOM_RESOURCE_DEFINITION, definition)
    assert properties == {"a": {"items": {}}, "b": {}, "c": {"additionalProperties": {}}}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"type": "NodePort"}, ["spec.ports[1].nodePort", "spec.ports[1]"]),
        ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, ["spec.ports[1]"]),
        ({"type": "ClusterIP"}, ["spec.ports[1]"]),
    ],
)
def test_equal_ports_would_have_one_node_port(spec, wrong):
    ports = [{"name": name, "port": 80} for name in "ab"]
    found = messages(core.SERVICE, spec={"ports": ports, **spec})
    assert [message.partition(": ")[0] for message in found if "Duplicate" in message] == wrong
