"""What makes a pod wrong, and what of a running one may change."""

from copy import deepcopy

import pytest

from kajitori.api import core

_SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of"
_LABEL = "a lowercase RFC 1123 label must consist of"


def pod(container=None, **spec):
    first = {"name": "c", "image": "i:1", **(container or {})}
    made = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [first], **deepcopy(spec)}}
    core.POD.default(made)
    return made


def errors(given):
    return [f"{e.field}: {e.message}" for e in core.POD.validate(given)]


def test_a_plain_pod_is_fine():
    assert errors(pod()) == []


PORT_RANGE = "must be between 1 and 65535, inclusive"
SPREAD = {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"name": ""}, ["spec.containers[0].name: Required value"]),
        ({"name": "Big"}, [f'spec.containers[0].name: Invalid value: "Big": {_LABEL}']),
        ({"image": ""}, ["spec.containers[0].image: Required value"]),
        (
            {"image": " i"},
            ['spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace'],
        ),
        (
            {"imagePullPolicy": "Sometimes"},
            [
                'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": '
                'supported values: "Always", "IfNotPresent", "Never"'
            ],
        ),
        ({"ports": [{}]}, ["spec.containers[0].ports[0].containerPort: Required value"]),
        (
            {"ports": [{"containerPort": 70000}]},
            [f"spec.containers[0].ports[0].containerPort: Invalid value: 70000: {PORT_RANGE}"],
        ),
        (
            {"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
            ['spec.containers[0].ports[1].name: Duplicate value: "a"'],
        ),
        (
            {"ports": [{"containerPort": 1, "hostPort": 8}, {"containerPort": 2, "hostPort": 8}]},
            ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//8"'],
        ),
        ({"env": [{"name": ""}]}, ["spec.containers[0].env[0].name: Required value"]),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]},
            ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase"'],
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v2", "fieldPath": "metadata.name"}}}]},
            [
                'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.name": '
                "error converting fieldPath: unsupported pod version: v2"
            ],
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]},
            [],
        ),
        (
            {"env": [{"name": "A", "value": "v", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
        ),
        (
            {"envFrom": [{}]},
            ['spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
        ),
        ({"livenessProbe": {}}, ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]),
        (
            {"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}},
            ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        ({"readinessProbe": {"exec": {}}}, ["spec.containers[0].readinessProbe.exec.command: Required value"]),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
        ),
        (
            {"resources": {"requests": {"gpu": "1"}}},
            [
                'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": '
                "must be a standard resource type or fully qualified",
                'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": '
                "must be a standard resource for containers",
            ],
        ),
        (
            {"resources": {"requests": {"a.b/gpu": "1"}}},
            ["spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"],
        ),
        (
            {"securityContext": {"runAsUser": -1}},
            ["spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647"],
        ),
        (
            {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
            [
                "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: "
                "must be non-negative and less than terminationGracePeriodSeconds (30)"
            ],
        ),
    ],
)
def test_container(container, expected):
    found = errors(pod(container))
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": []}, ["spec.containers: Required value"]),
        (
            {
                "securityContext": {
                    "sysctls": [{"name": n, "value": "1"} for n in ("foo-", "kernel.shmmax", "a_1", "b..")]
                }
            },
            [
                'spec.securityContext.sysctls[0].name: Invalid value: "foo-": must have at most 253 characters',
                'spec.securityContext.sysctls[3].name: Invalid value: "b..": must have at most 253 characters',
            ],
        ),
        (
            {
                "hostNetwork": True,
                "hostIPC": True,
                "securityContext": {
                    "sysctls": [{"name": n, "value": "1"} for n in ("net/ipv4/a", "fs.mqueue.b", "vm.c")]
                },
            },
            [
                'spec.securityContext.sysctls[0].name: Invalid value: "net/ipv4/a": may not be specified when',
                'spec.securityContext.sysctls[1].name: Invalid value: "fs.mqueue.b": may not be specified when',
            ],
        ),
        (
            {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]},
            ['spec.containers[1].name: Duplicate value: "c"'],
        ),
        (
            {"initContainers": [{"name": "c", "image": "i"}]},
            ['spec.initContainers[0].name: Duplicate value: "c"'],
        ),
        (
            {"initContainers": [{"name": "i", "image": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}]},
            [
                "spec.initContainers[0].readinessProbe: Forbidden: "
                "may not be set for init containers without restartPolicy=Always"
            ],
        ),
        (
            {"restartPolicy": "Now"},
            ['spec.restartPolicy: Unsupported value: "Now": supported values: "Always", "OnFailure", "Never"'],
        ),
        ({"nodeName": "Big"}, [f'spec.nodeName: Invalid value: "Big": {_SUBDOMAIN}']),
        ({"nodeSelector": {"a": "-"}}, ['spec.nodeSelector: Invalid value: "-": a valid label']),
        (
            {"activeDeadlineSeconds": 0},
            ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647"],
        ),
        (
            {"dnsPolicy": "None"},
            ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        (
            {"tolerations": [{"operator": "Equal", "value": "v"}]},
            ['spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty'],
        ),
        (
            {"tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 3}]},
            [
                'spec.tolerations[0].effect: Invalid value: "": '
                "effect must be 'NoExecute' when `tolerationSeconds` is set"
            ],
        ),
        (
            {"topologySpreadConstraints": [SPREAD | {"maxSkew": 0}]},
            ["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"],
        ),
        (
            {"topologySpreadConstraints": [SPREAD, SPREAD]},
            [
                "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: "
                'Duplicate value: "{z, DoNotSchedule}"'
            ],
        ),
        (
            {"schedulingGates": [{"name": "a.b/g"}, {"name": "a.b/g"}]},
            ['spec.schedulingGates[1]: Duplicate value: "a.b/g"'],
        ),
        (
            {"volumes": [{"name": "v", "secret": {}}]},
            ["spec.volumes[0].secret.secretName: Required value"],
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]},
            ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]},
            ["spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"],
        ),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "m", "items": [{"key": "k", "path": "/p"}]}}]},
            ['spec.volumes[0].configMap.items[0].path: Invalid value: "/p": must be a relative path'],
        ),
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 512}}]},
            ["spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal)"],
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            [
                "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: "
                "must not be specified when serviceAccountName is not set"
            ],
        ),
        ({"hostNetwork": True, "hostUsers": False}, ["spec.hostNetwork: Forbidden: when `hostUsers` is false"]),
        ({"hostnameOverride": "a.b"}, []),
        (
            {"hostnameOverride": "a", "setHostnameAsFQDN": True, "hostNetwork": True},
            [
                "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
                "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
            ],
        ),
        (
            {"hostnameOverride": "a" * 65},
            ["spec.hostnameOverride: Too long: may not be more than 64 bytes"],
        ),
    ],
)
def test_spec(spec, expected):
    found = errors(pod(**spec))
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning)


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"name": "v", "emptyDir": {}}, []),
        ({"name": "other", "emptyDir": {}}, ['Not found: "v"']),
        (
            {"name": "v", "configMap": {"name": "c"}},
            ['Invalid value: "v": referenced volume must be of type emptyDir'],
        ),
    ],
)
def test_files_of_variables_lie_in_an_empty_dir(volume, expected):
    reference = {"volumeName": "v", "path": "env", "key": "A"}
    given = pod(volumes=[volume])
    given["spec"]["containers"][0]["env"] = [{"name": "A", "valueFrom": {"fileKeyRef": reference}}]
    place = "spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: "
    assert errors(given) == [place + message for message in expected]


def test_node_affinity():
    requirement = {"key": "k", "operator": "Gt", "values": ["1", "2"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [requirement, {"key": "k", "operator": "Exists"}]}]}
    given = pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}})
    where = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
    assert errors(given) == [
        f"{where}.matchExpressions[0].values: Required value: "
        "must be specified single value when `operator` is 'Lt' or 'Gt'"
    ]


def changed(**fields):
    old = pod(volumes=[{"name": "v", "emptyDir": {}}], tolerations=[{"key": "k", "operator": "Exists"}])
    new = deepcopy(old)
    new["spec"].update(fields)
    return [e.field for e in core.POD.validate_update(new, old)]


def test_an_image_a_deadline_and_more_tolerations_may_change():
    containers = pod({"image": "other:2"})["spec"]["containers"]
    more = [{"key": "k", "operator": "Exists"}, {"key": "l", "operator": "Exists"}]
    assert changed(containers=containers, activeDeadlineSeconds=5, tolerations=more) == []


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"nodeSelector": {"a": "b"}}, ["spec"]),
        ({"containers": pod({"command": ["x"]})["spec"]["containers"]}, ["spec"]),
        ({"tolerations": []}, ["spec.tolerations"]),
        ({"containers": []}, ["spec.containers"]),
        ({"schedulingGates": [{"name": "a.b/g"}]}, ["spec.schedulingGates[0].name"]),
    ],
)
def test_nothing_else_may_change(fields, where):
    assert changed(**fields) == where


def test_a_gated_pod_may_lose_its_gate():
    old = pod(schedulingGates=[{"name": "a.b/g"}])
    new = deepcopy(old)
    del new["spec"]["schedulingGates"]
    assert core.POD.validate_update(new, old) == []


def test_a_deadline_may_only_come_closer():
    old, new = pod(activeDeadlineSeconds=5), pod(activeDeadlineSeconds=6)
    assert [e.field for e in core.POD.validate_update(new, old)] == ["spec.activeDeadlineSeconds"]


def test_resize_changes_resources_but_neither_images_nor_the_qos_class():
    rule = core.POD.validate_update_of("resize")
    old = pod({"resources": {"requests": {"cpu": "1"}}})
    assert rule(pod({"resources": {"requests": {"cpu": "2"}}}), old) == []
    limits = {"cpu": "1", "memory": "1"}
    guaranteed = pod({"resources": {"limits": limits, "requests": limits}})
    assert [e.field for e in rule(guaranteed, old)] == ["spec"]
    assert [e.field for e in rule(pod({"image": "x", "resources": {"requests": {"cpu": "2"}}}), old)] == ["spec"]


def test_ephemeral_containers_can_only_be_added():
    rule = core.POD.validate_update_of("ephemeralcontainers")
    one, two = {"name": "a", "image": "i"}, {"name": "b", "image": "i"}
    assert rule(pod(ephemeralContainers=[one, two]), pod(ephemeralContainers=[one])) == []
    assert len(rule(pod(ephemeralContainers=[two]), pod(ephemeralContainers=[one]))) == 1


def test_what_only_a_later_request_may_say():
    """Debug containers are added to a pod that runs, and a node is chosen when nothing holds the pod back."""
    debugged = {"ephemeralContainers": [{"name": "debug", "image": "i"}]}
    assert errors(pod(**debugged))[-1] == "spec.ephemeralContainers: Forbidden: cannot be set on create"
    gated = {"nodeName": "n", "schedulingGates": [{"name": "e.x/g"}]}
    rule = "cannot be set until all schedulingGates have been cleared"
    assert errors(pod(**gated)) == [f"spec.nodeName: Forbidden: {rule}"]
    running = pod(**debugged)
    assert core.POD.revalidate(running, running) == []


def test_only_volumes_that_are_right_can_be_mounted():
    mounting = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    wrong = [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]
    assert errors(pod(mounting, volumes=wrong)) == [
        "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ]
    twice = [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]
    assert errors(pod(mounting, volumes=twice)) == ['spec.volumes[1].name: Duplicate value: "v"']
