"""Fields that few objects have: remote volumes, flow schemas, device claims, topologies, hints."""

from copy import deepcopy

import pytest

from kajitori.api import apps, batch, core, discovery, dynamic_resources, flowcontrol, networking, node, rbac, storage
from kajitori.api.defaults.volumes import default_volume, prepare_claim

CONTAINERS = [{"name": "c", "image": "i"}]


def messages(resource, name="x", **fields):
    obj = {"metadata": {"name": name, "namespace": "default", "uid": "u"}, **deepcopy(fields)}
    if resource.default:
        resource.default(obj)
    return [str(error) for error in resource.validate(obj)]


def of_volume(**source):
    found = messages(core.POD, spec={"containers": CONTAINERS, "volumes": [{"name": "v", **source}]})
    return [message.removeprefix("spec.volumes[0].") for message in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"azureDisk": {"diskName": "d", "diskURI": "x", "kind": "Managed"}}, ["azureDisk.diskURI: Unsupported value"]),
        ({"azureDisk": {"diskName": "d", "diskURI": "https://a/b", "kind": "Shared"}}, []),
        ({"storageos": {"volumeName": "-"}}, ["storageos.volumeName: Invalid value"]),
        ({"fc": {}}, ["fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"]),
        ({"fc": {"targetWWNs": ["a"], "lun": 256}}, ["fc.lun: Invalid value: 256: must be between 0 and 255"]),
        ({"fc": {"targetWWNs": ["a"]}}, ["fc.lun: Required value: lun is required if targetWWNs is specified"]),
        ({"flocker": {}}, ["flocker: Required value: one of datasetName and datasetUUID is required"]),
        ({"gcePersistentDisk": {"pdName": "p", "partition": -1}}, ["persistentDisk.partition: Invalid value: -1"]),
        (
            {"iscsi": {"targetPortal": "p", "iqn": "iqn.x", "lun": 0, "chapAuthSession": True}},
            ['iscsi.iqn: Invalid value: "iqn.x": must be valid format', "iscsi.secretRef: Required value"],
        ),
        ({"quobyte": {"registry": "a", "volume": "v"}}, ['quobyte.registry: Invalid value: "a": must be a host:port']),
        ({"gitRepo": {"repository": "r", "directory": "/d"}}, ['gitRepo.directory: Invalid value: "/d"']),
        ({"cinder": {"volumeID": "v", "secretRef": {}}}, ["cinder.secretRef.name: Required value"]),
        ({"projected": {"sources": [{}]}}, []),
    ],
)
def test_a_pods_volume(source, expected):
    found = of_volume(**source)
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning), message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"azureFile": {"secretName": "s", "shareName": "n", "secretNamespace": ""}},
            ["spec.azureFile.secretNamespace"],
        ),
        (
            {"csi": {"driver": "d", "volumeHandle": "h", "nodeStageSecretRef": {}, "nodePublishSecretRef": {}}},
            ["spec.csi.nodePublishSecretRef.name", "spec.csi.nodePublishSecretRef.namespace"],
        ),
        (
            {"hostPath": {"path": "/p"}, "nodeAffinity": {"required": {"nodeSelectorTerms": []}}},
            ["spec.nodeAffinity.required.nodeSelectorTerms"],
        ),
    ],
)
def test_a_persistent_volume(source, expected):
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **source}
    assert [m.partition(":")[0] for m in messages(core.PERSISTENT_VOLUME, spec=spec)] == expected


def test_what_is_switched_off_is_dropped():
    volume = {"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"name": "b", "path": "p"}}]}}
    default_volume(volume)
    assert volume["projected"]["sources"] == [{}]


@pytest.mark.parametrize(
    ("said", "source", "reference"),
    [
        ({"dataSource": {"kind": "X", "name": "n"}}, None, None),
        (
            {"dataSource": {"kind": "PersistentVolumeClaim", "name": "n"}},
            "PersistentVolumeClaim",
            "PersistentVolumeClaim",
        ),
        ({"dataSourceRef": {"apiGroup": "g", "kind": "X", "name": "n"}}, "X", "X"),
        ({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "n", "namespace": "o"}}, None, None),
    ],
)
def test_where_a_claims_data_comes_from_is_said_twice_or_not_at_all(said, source, reference):
    claim = {"metadata": {"name": "c"}, "spec": said}
    prepare_claim(claim)
    found = claim["spec"].get("dataSource"), claim["spec"].get("dataSourceRef")
    assert [each and each["kind"] for each in found] == [source, reference]


def test_labels_of_a_job_that_are_its_templates_stay_the_same():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS, "restartPolicy": "Never"}}
    job = {"metadata": {"name": "j", "uid": "u"}, "spec": {"template": template}}
    batch.JOB.default(job)
    batch.JOB.prepare_create(job)
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"] and len(template["metadata"]) == 1
    assert job["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] == "u"


FLOW = {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 1000}
GOOD = {"subjects": [{"kind": "User", "user": {"name": "u"}}]}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"subjects": [{"kind": "User"}]}, ["subjects[0].user: Required value: user is required when subject kind is"]),
        ({"subjects": [{"kind": "Group", "group": {}}]}, ["subjects[0].group.name: Required value"]),
        (
            {"subjects": [{"kind": "User", "user": {"name": "u"}, "group": {"name": "g"}}]},
            ["subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'"],
        ),
        (
            {"subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}]},
            ["subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account"],
        ),
        (
            GOOD | {"nonResourceRules": [{"verbs": ["*", "get"], "nonResourceURLs": ["/"]}]},
            ["nonResourceRules[0].verbs: Inv"],
        ),
        (
            GOOD | {"nonResourceRules": [{"verbs": ["fly"], "nonResourceURLs": ["a", "/a*", "/a//b", "/x/*"]}]},
            [
                'nonResourceRules[0].verbs: Unsupported value: ["fly"]',
                'nonResourceRules[0].nonResourceURLs[0]: Invalid value: "a": must start with slash',
                'nonResourceRules[0].nonResourceURLs[1]: Invalid value: "/a*": wildcard can only do suffix matching',
                'nonResourceRules[0].nonResourceURLs[2]: Invalid value: "/a//b": must not contain double slash',
            ],
        ),
    ],
)
def test_a_flow_schemas_rule(rule, expected):
    whole = {"nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], **rule}
    found = messages(flowcontrol.FLOW_SCHEMA, spec={**FLOW, "rules": [whole]})
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.removeprefix("spec.rules[0].").startswith(beginning), message


@pytest.mark.parametrize(
    ("said", "settled"),
    [
        ({"podCIDR": "10.1.0.0/24", "podCIDRs": ["x"]}, ("10.1.0.0/24", ["10.1.0.0/24"])),
        ({"podCIDRs": ["10.1.0.0/24"]}, ("10.1.0.0/24", ["10.1.0.0/24"])),
        ({}, (None, None)),
    ],
)
def test_both_fields_of_a_nodes_pod_blocks_agree(said, settled):
    obj = {"metadata": {"name": "n"}, "spec": said}
    core.NODE.default(obj)
    assert (obj["spec"].get("podCIDR"), obj["spec"].get("podCIDRs")) == settled


def test_a_selector_is_shown_in_the_order_of_its_fields():
    requirement = {"key": "a", "operator": "x"}
    selector = {"matchExpressions": [requirement], "matchLabels": {"a": "b"}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": CONTAINERS}}
    found = messages(apps.DEPLOYMENT, spec={"selector": selector, "template": template})
    shown = '{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"x"}]}'
    assert found[-1] == f"spec.selector: Invalid value: {shown}: invalid label selector"


def test_search_paths_may_begin_with_underscores():
    def found(search):
        spec = {"containers": CONTAINERS, "dnsPolicy": "None"}
        return messages(core.POD, spec={**spec, "dnsConfig": {"nameservers": ["1.2.3.4"], "searches": [search]}})

    assert found("_tcp.example.com") == [] and "consist of lower case alphanumeric characters, '_'" in found("A")[0]


def test_only_the_exempt_level_is_exempt():
    found = messages(flowcontrol.PRIORITY_LEVEL_CONFIGURATION, spec={"type": "Exempt"})
    assert found == ["spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'"]


REQUEST = {"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}}


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({"constraints": [{"requests": ["r"], "matchAttribute": "e.x/a"}]}, []),
        ({"constraints": [{"requests": ["q"], "matchAttribute": "e.x/a"}]}, ["constraints[0].requests[0]"]),
        ({"constraints": [{"matchAttribute": "a"}]}, ["constraints[0].matchAttribute"]),
        ({"constraints": [{"matchAttribute": "/1"}]}, ["constraints[0].matchAttribute"] * 2),
        ({"constraints": [{}]}, ["constraints[0]"]),
        ({"config": [{"opaque": {"driver": "-d"}}]}, ["config[0].opaque.driver", "config[0].opaque.parameters"]),
        (
            {
                "requests": [
                    {"name": "r", "exactly": {**REQUEST["exactly"], "tolerations": [{"operator": "x", "effect": "y"}]}}
                ]
            },
            ["requests[0].exactly.tolerations[0].operator", "requests[0].exactly.tolerations[0].effect"],
        ),
    ],
)
def test_a_device_claim(devices, expected):
    found = messages(dynamic_resources.RESOURCE_CLAIM, spec={"devices": {"requests": [REQUEST], **devices}})
    assert [m.partition(": ")[0].removeprefix("spec.devices.") for m in found] == expected


@pytest.mark.parametrize(
    ("resource", "fields", "expected"),
    [
        (
            storage.STORAGE_CLASS,
            {
                "provisioner": "p",
                "allowedTopologies": [{"matchLabelExpressions": [{"key": "k", "values": ["a", "a"]}]}, {}],
            },
            [
                'allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "a"',
                'allowedTopologies[1].matchLabelExpressions: Duplicate value: ""',
            ],
        ),
        (
            discovery.ENDPOINT_SLICE,
            {
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["1.2.3.4"], "hints": {"forZones": [{"name": "a b"}]}}],
            },
            ['endpoints[0].hints.forZones[0].name: Invalid value: "a b": a valid label'],
        ),
        (
            core.NODE,
            {"spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}},
            ['spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR'],
        ),
        (
            rbac.CLUSTER_ROLE,
            {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b c"}}]}},
            [
                'aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid value: "b c"',
                "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
            ],
        ),
        (
            node.RUNTIME_CLASS,
            {"handler": "h", "scheduling": {"tolerations": [{"key": "k"}, {"key": "k"}]}},
            ['scheduling.tolerations[1]: Duplicate value: {"Key":"k","Operator":""'],
        ),
    ],
)
def test_others(resource, fields, expected):
    found = messages(resource, **fields)
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning), message


def test_a_limit_that_is_too_wide_shows_what_it_exceeds():
    limits = [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}]
    found = messages(core.LIMIT_RANGE, spec={"limits": limits})
    assert found == [
        'spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than max value 1',
    ]


def test_a_request_is_named_once_by_a_configuration():
    config = [{"requests": ["r", "r"], "opaque": {"driver": "d.x", "parameters": {}}}]
    found = messages(dynamic_resources.RESOURCE_CLAIM, spec={"devices": {"requests": [REQUEST], "config": config}})
    assert found == ['spec.devices.config[0].requests[1]: Duplicate value: "r"']


def test_the_group_of_a_backend_is_a_domain():
    backend = {"resource": {"apiGroup": "-", "kind": "K", "name": "n"}}
    found = messages(networking.INGRESS, spec={"defaultBackend": backend})
    assert [message.partition(":")[0] for message in found] == ["spec.defaultBackend.resource.apiGroup"]
