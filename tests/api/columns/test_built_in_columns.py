"""A row of each kind, as kubectl shows it."""

import orjson
import pytest

from kajitori.api import (
    admissionregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    core,
    discovery,
    events,
    networking,
    policy,
    rbac,
    scheduling,
    storage,
)
from kajitori.api.registry import BUILTIN

_NOW_S = 300.0
_BORN = "1970-01-01T00:00:00Z"
_TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}
_SELECTOR = {"matchLabels": {"a": "b"}}


def row(resource, metadata=(), **fields):
    obj = {"metadata": {"name": "x", "creationTimestamp": _BORN, **dict(metadata)}, **fields}
    return [column.cell(obj, _NOW_S) for column in resource.columns]


@pytest.mark.parametrize("resource", BUILTIN, ids=lambda r: f"{r.plural}.{r.group}/{r.version}")
def test_every_cell_of_every_kind_survives_an_empty_object(resource):
    for column in resource.columns:
        empty = {"metadata": {}, "spec": {}}
        column.cell(empty, _NOW_S)


def port(number, **more):
    return {"port": number, "protocol": "TCP", **more}


@pytest.mark.parametrize(
    ("resource", "fields", "cells"),
    [
        (core.CONFIG_MAP, {"data": {"a": "b"}, "binaryData": {"c": ""}}, ["x", 2, "5m"]),
        (core.SECRET, {"type": "Opaque", "data": {"a": "b"}}, ["x", "Opaque", 1, "5m"]),
        (core.NAMESPACE, {"status": {"phase": "Active"}}, ["x", "Active", "5m"]),
        (
            core.SERVICE,
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIP": "10.96.0.5",
                    "clusterIPs": ["10.96.0.5"],
                    "ports": [port(80, nodePort=30080), port(443)],
                    "selector": {"b": "c", "a": "b"},
                }
            },
            ["x", "NodePort", "10.96.0.5", "<none>", "80:30080/TCP,443/TCP", "5m", "a=b,b=c"],
        ),
        (
            core.SERVICE,
            {"spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.5"]}},
            ["x", "LoadBalancer", "10.96.0.5", "<pending>", "<none>", "5m", "<none>"],
        ),
        (
            core.SERVICE,
            {"spec": {"type": "ExternalName", "externalName": "db.example.com"}},
            ["x", "ExternalName", "<none>", "db.example.com", "<none>", "5m", "<none>"],
        ),
        (
            core.ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": f"1.1.1.{i}"} for i in range(5)], "ports": [port(80)]}]},
            ["x", "1.1.1.0:80,1.1.1.1:80,1.1.1.2:80 + 2 more...", "5m"],
        ),
        (core.ENDPOINTS, {}, ["x", "<none>", "5m"]),
        (
            discovery.ENDPOINT_SLICE,
            {"addressType": "IPv4", "ports": [port(80)], "endpoints": [{"addresses": ["1.2.3.4"]}]},
            ["x", "IPv4", "80", "1.2.3.4", "5m"],
        ),
        (
            core.PERSISTENT_VOLUME_CLAIM,
            {
                "spec": {"volumeName": "v", "storageClassName": "s", "volumeMode": "Filesystem"},
                "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}},
            },
            ["x", "Bound", "v", "1Gi", "RWO", "s", "<unset>", "5m", "Filesystem"],
        ),
        (
            core.PERSISTENT_VOLUME_CLAIM,
            {"spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Pending"}},
            ["x", "Pending", "", "", "", "", "<unset>", "5m", "<unset>"],
        ),
        (
            core.PERSISTENT_VOLUME,
            {
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "claimRef": {"namespace": "n", "name": "c"},
                },
                "status": {"phase": "Bound"},
            },
            ["x", "1Gi", "RWO,RWX", "Retain", "Bound", "n/c", "", "<unset>", "", "5m", "<unset>"],
        ),
        (
            core.RESOURCE_QUOTA,
            {"status": {"hard": {"pods": "10", "limits.cpu": "4", "cpu": "2"}, "used": {"pods": "3"}}},
            ["x", "cpu: 0/2, pods: 3/10", "limits.cpu: 0/4", "5m"],
        ),
        (
            apps.DEPLOYMENT,
            {
                "spec": {"replicas": 3, "selector": _SELECTOR, "template": _TEMPLATE},
                "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
            },
            ["x", "2/3", 3, 1, "5m", "c,d", "i,j", "a=b"],
        ),
        (
            apps.REPLICA_SET,
            {"spec": {"replicas": 3, "selector": _SELECTOR, "template": _TEMPLATE}, "status": {"replicas": 2}},
            ["x", 3, 2, 0, "5m", "c,d", "i,j", "a=b"],
        ),
        (apps.STATEFUL_SET, {"spec": {"replicas": 1, "template": _TEMPLATE}}, ["x", "0/1", "5m", "c,d", "i,j"]),
        (
            batch.JOB,
            {
                "spec": {"completions": 3, "template": _TEMPLATE, "selector": _SELECTOR},
                "status": {
                    "succeeded": 3,
                    "startTime": _BORN,
                    "completionTime": "1970-01-01T00:00:07Z",
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            },
            ["x", "Complete", "3/3", "7s", "5m", "c,d", "i,j", "a=b"],
        ),
        (
            batch.CRON_JOB,
            {"spec": {"schedule": "* * * * *", "suspend": False, "jobTemplate": {"spec": {"template": _TEMPLATE}}}},
            ["x", "* * * * *", "<none>", "False", 0, "<none>", "5m", "c,d", "i,j", "<none>"],
        ),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                    "minReplicas": 1,
                    "maxReplicas": 5,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                        }
                    ],
                },
                "status": {"currentReplicas": 2},
            },
            ["x", "Deployment/d", "cpu: <unknown>/80%", "1", 5, 2, "5m"],
        ),
        (policy.POD_DISRUPTION_BUDGET, {"spec": {"minAvailable": "50%"}}, ["x", "50%", "N/A", 0, "5m"]),
        (
            networking.INGRESS,
            {
                "spec": {"ingressClassName": "k", "rules": [{"host": "a.b"}, {}], "tls": [{}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "10.89.0.1"}]}},
            },
            ["x", "k", "a.b", "10.89.0.1", "80, 443", "5m"],
        ),
        (networking.INGRESS, {"spec": {}}, ["x", "<none>", "*", "", "80", "5m"]),
        (networking.NETWORK_POLICY, {"spec": {"podSelector": {}}}, ["x", "<none>", "5m"]),
        (storage.STORAGE_CLASS, {"provisioner": "p"}, ["x", "p", "Delete", "Immediate", False, "5m"]),
        (scheduling.PRIORITY_CLASS, {"value": 7}, ["x", 7, False, "5m", ""]),
        (rbac.ROLE, {}, ["x", _BORN]),
        (
            rbac.ROLE_BINDING,
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "name": "u"},
                    {"kind": "Group", "name": "g"},
                    {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
                ],
            },
            ["x", "Role/r", "5m", "u", "g", "n/s"],
        ),
        (
            certificates.CERTIFICATE_SIGNING_REQUEST,
            {
                "spec": {"signerName": "s", "username": "u", "expirationSeconds": 3600},
                "status": {"conditions": [{"type": "Approved"}], "certificate": "Y2VydA=="},
            },
            ["x", "5m", "s", "u", "60m", "Approved,Issued"],
        ),
    ],
)
def test_row(resource, fields, cells):
    assert row(resource, **fields) == cells


def test_a_node_shows_its_roles_state_and_versions():
    node = {
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.89.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "osImage": "Debian"},
        },
    }
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}
    assert row(core.NODE, metadata={"labels": labels}, **node) == [
        "x",
        "Ready,SchedulingDisabled",
        "control-plane,worker",
        "5m",
        "v1.36.2",
        "10.89.0.1",
        "<none>",
        "Debian",
        "<unknown>",
        "<unknown>",
    ]


def test_a_node_that_never_reported_is_unknown():
    assert row(core.NODE)[1:3] == ["Unknown", "<none>"]


def test_a_default_storage_class_says_so():
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    assert row(storage.STORAGE_CLASS, metadata={"annotations": annotations})[0] == "x (default)"


def test_both_groups_show_an_event_alike():
    involved = {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"}
    old = row(
        core.EVENT,
        involvedObject=involved,
        type="Normal",
        reason="Pulled",
        message="done\n",
        firstTimestamp=_BORN,
        lastTimestamp="1970-01-01T00:04:00Z",
        count=3,
        source={"component": "kubelet", "host": "n"},
    )
    shown = ["60s", "Normal", "Pulled", "pod/p", "spec.containers{c}", "kubelet, n", "done", "5m", 3, "x"]
    assert old == shown
    new = row(
        events.EVENT,
        regarding=involved,
        type="Normal",
        reason="Pulled",
        note="done",
        eventTime="1970-01-01T00:00:00.000000Z",
        series={"count": 3, "lastObservedTime": "1970-01-01T00:04:00.000000Z"},
        reportingController="kubelet",
        reportingInstance="n",
    )
    assert new == shown


def test_the_last_ready_condition_of_a_node_counts():
    conditions = [{"type": "Ready", "status": "True"}, {"type": "Ready", "status": "False"}]
    assert row(core.NODE, status={"conditions": conditions})[1] == "NotReady"


def test_metrics_that_version_1_cannot_say_are_shown_all_the_same():
    metric = {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "200Mi"}}
    metadata = {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": orjson.dumps([metric]).decode()}}
    shown = row(autoscaling.HORIZONTAL_POD_AUTOSCALER_V1, metadata, spec={"maxReplicas": 3})
    assert shown[2] == "memory: <unknown>/200Mi"


def test_a_default_class_of_ingresses_says_so():
    metadata = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    assert row(networking.INGRESS_CLASS, metadata, spec={"controller": "a/b"})[0] == "x (default)"


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        (None, "<unset>"),
        ({"name": "a"}, "*/a"),
        ({"name": "a", "namespace": "n"}, "n/a"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "a=b"),
    ],
)
def test_a_binding_of_a_policy_shows_what_it_is_bound_with(reference, shown):
    spec = {"policyName": "p", "paramRef": reference}
    assert row(admissionregistration.VALIDATING_ADMISSION_POLICY_BINDING, spec=spec)[2] == shown


def test_the_kernel_of_a_node_names_its_architecture():
    info = {"kernelVersion": "6.1", "architecture": "amd64"}
    assert row(core.NODE, status={"nodeInfo": info})[-2] == "6.1 (amd64)"
    assert row(core.NODE, status={"nodeInfo": {"architecture": "amd64"}})[-2] == "<unknown> (amd64)"
    assert row(core.NODE)[-2] == "<unknown>"
