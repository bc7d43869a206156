"""What makes services, storage, RBAC and the other kinds wrong."""

from copy import deepcopy

import pytest

from kajitori.api import (
    admissionregistration,
    apiextensions,
    apiregistration,
    apps,
    autoscaling,
    certificates,
    coordination,
    core,
    discovery,
    dynamic_resources,
    events,
    flowcontrol,
    networking,
    node,
    policy,
    rbac,
    scheduling,
    storage,
)

_LABEL = "a lowercase RFC 1123 label must consist of"
CIDR = "10.97.0.0/24"
_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def made(resource, name="x", **fields):
    obj = {"metadata": {"name": name, "namespace": "default", "uid": "u"}, **deepcopy(fields)}
    if resource.default:
        resource.default(obj)
    if resource.prepare_create:
        resource.prepare_create(obj)
    return obj


def messages(resource, obj):
    return [f"{e.field}: {e.message}" for e in resource.validate(obj)]


def rules(**rule):
    return {"rules": [rule]}


WEBHOOK = {
    "name": "w.example.com",
    "clientConfig": {"service": {"name": "s", "namespace": "n"}},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
INGRESS_PATH = {"pathType": "Prefix", "path": "/", "backend": {"service": {"name": "s", "port": {"number": 80}}}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
TARGET = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
NEW_EVENT = {
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "c",
    "reportingInstance": "i",
    "action": "A",
    "reason": "R",
    "type": "Normal",
}


def ingress(**changes):
    return {"spec": {"rules": [{"http": {"paths": [{**INGRESS_PATH, **changes}]}}]}}


def at_path(path):
    return {"service": {"name": "s", "namespace": "n", "path": path}}


def webhooks(**changes):
    return {"webhooks": [{**WEBHOOK, **changes}]}


@pytest.mark.parametrize(
    ("resource", "fields", "expected"),
    [
        (core.SERVICE, {"spec": {"ports": [{"port": 80}]}}, []),
        (core.SERVICE, {"spec": {}}, ["spec.ports: Required value"]),
        (core.SERVICE, {"spec": {"clusterIP": "None"}}, []),
        (core.SERVICE, {"spec": {"type": "ExternalName"}}, ["spec.externalName: Required value"]),
        (
            core.SERVICE,
            {"spec": {"type": "Cluster", "ports": [{"port": 80}]}},
            ['spec.type: Unsupported value: "Cluster": supported values: "ClusterIP", "ExternalName"'],
        ),
        (
            core.SERVICE,
            {"spec": {"ports": [{"port": 80, "nodePort": 30080}]}},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            core.SERVICE,
            {"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}},
            ['spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,'],
        ),
        (
            core.SERVICE,
            {"spec": {"ports": [{"port": 80}], "externalTrafficPolicy": "Local"}},
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        (
            core.ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": "127.0.0.1"}]}]},
            ['subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range'],
        ),
        (
            discovery.ENDPOINT_SLICE,
            {"addressType": "IPv4", "endpoints": [{"addresses": ["x"]}, {"addresses": ["2001:db8::1"]}]},
            [
                f'endpoints[0].addresses[0]: Invalid value: "x": {_IP}',
                'endpoints[1].addresses: Invalid value: "2001:db8::1": must be an IPv4 address',
            ],
        ),
        (networking.INGRESS, ingress(), []),
        (
            networking.INGRESS,
            {"spec": {}},
            ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        ),
        (
            networking.INGRESS,
            ingress(path="a"),
            ['spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path'],
        ),
        (
            networking.INGRESS,
            ingress(path="/a//b"),
            ["spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'"],
        ),
        (
            networking.INGRESS,
            ingress(backend={}),
            ['spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required'],
        ),
        (
            networking.INGRESS,
            {"spec": {"rules": [{"host": "1.2.3.4"}]}},
            ['spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'],
        ),
        (
            networking.INGRESS_CLASS,
            {"spec": {"controller": "c"}},
            ['spec.controller: Invalid value: "c": must be a domain-prefixed path (such as "acme.io/foo")'],
        ),
        (
            networking.INGRESS_CLASS,
            {"spec": {"controller": "A/b c"}},
            ['spec.controller: Invalid value: "A": a lowercase', 'spec.controller: Invalid value: "b c": Invalid path'],
        ),
        (
            networking.NETWORK_POLICY,
            {"spec": {"ingress": [{"from": [{}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}]}},
            [
                "spec.ingress[0].from[0]: Required value: must specify a peer",
                'spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: "11.0.0.0/9": '
                "must be a strict subset of `cidr`",
            ],
        ),
        (networking.SERVICE_CIDR, {"spec": {}}, ["spec.cidrs: Required value: at least one CIDR required"]),
        (core.PERSISTENT_VOLUME_CLAIM, {"spec": CLAIM}, []),
        (
            core.PERSISTENT_VOLUME_CLAIM,
            {"spec": {}},
            [
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        ),
        (core.PERSISTENT_VOLUME, {"spec": VOLUME}, []),
        (
            core.PERSISTENT_VOLUME,
            {"spec": VOLUME | {"capacity": {"storage": "-1"}}},
            [
                "spec.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
                'spec.capacity[storage]: Invalid value: "-1": must be greater than zero',
            ],
        ),
        (core.CONFIG_MAP, {"data": {"a": "b", ".hidden": "c"}}, []),
        (core.CONFIG_MAP, {"data": {"a/b": ""}}, ['data[a/b]: Invalid value: "a/b": a valid config key must consist']),
        (
            core.CONFIG_MAP,
            {"data": {"a": ""}, "binaryData": {"a": ""}},
            ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
        ),
        (core.CONFIG_MAP, {"data": {"a": "x" * (1 << 20) + "x"}}, ["[]: Too long: may not be more than 1048576 bytes"]),
        (core.SECRET, {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, ["data[tls.key]: Required value"]),
        (
            core.SECRET,
            {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}},
            [],
        ),
        (
            core.RESOURCE_QUOTA,
            {"spec": {"hard": {"pods": "1", "bogus": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}},
            [
                'spec.hard[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified',
                'spec.hard[bogus]: Invalid value: "bogus": must be a standard resource for quota',
                'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes',
            ],
        ),
        (
            core.RESOURCE_QUOTA,
            {"spec": {"hard": {"pods": "1", "cpu": "4"}, "scopes": ["BestEffort"]}},
            ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
        ),
        (core.RESOURCE_QUOTA, {"spec": {"hard": {"cpu": "4"}, "scopes": ["NotTerminating"]}}, []),
        (
            core.LIMIT_RANGE,
            {"spec": {"limits": [{"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}},
            ['spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'],
        ),
        (
            core.NODE,
            {"spec": {"taints": [{"key": "k"}]}},
            ["metadata.taints[0].effect: Required value"],
        ),
        (core.EVENT, {"involvedObject": {"namespace": "default"}}, []),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {"spec": {"scaleTargetRef": TARGET, "minReplicas": 0, "maxReplicas": 1}},
            [
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to",
            ],
        ),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER_V1,
            {"spec": {"scaleTargetRef": TARGET, "maxReplicas": 1, "targetCPUUtilizationPercentage": -1}},
            ["spec.metrics[0].resource.target.averageUtilization: Invalid value: -1: must be greater than 0"],
        ),
        (
            networking.IP_ADDRESS,
            {"spec": {"parentRef": {"group": "A", "resource": "a/b", "namespace": "..", "name": "a%"}}},
            [
                'spec.parentRef.group: Invalid value: "A"',
                "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'",
                "spec.parentRef.name: Invalid value: \"a%\": may not contain '%'",
                "spec.parentRef.namespace: Invalid value: \"..\": may not be '..'",
            ],
        ),
        (events.EVENT, NEW_EVENT, []),
        (events.EVENT, NEW_EVENT | {"action": ""}, ["action: Required value"]),
        (rbac.ROLE, rules(apiGroups=[""], resources=["pods"], verbs=["get"]), []),
        (
            rbac.ROLE,
            rules(verbs=["get"], nonResourceURLs=["/x"]),
            ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs'],
        ),
        (
            rbac.CLUSTER_ROLE,
            rules(apiGroups=[""]),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ],
        ),
        (
            rbac.CLUSTER_ROLE_BINDING,
            {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}]},
            [
                'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
                "subjects[0].namespace: Required value",
            ],
        ),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {"spec": {"scaleTargetRef": TARGET, "minReplicas": 3, "maxReplicas": 2}},
            ["spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"],
        ),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {"spec": {"scaleTargetRef": TARGET, "maxReplicas": 2, "metrics": [{"type": "Resource"}]}},
            ["spec.metrics[0].resource: Required value: must populate information for the given metric source"],
        ),
        (
            policy.POD_DISRUPTION_BUDGET,
            {"spec": {"minAvailable": "x"}},
            ['spec.minAvailable: Invalid value: "x": a valid percent string must be a numeric string'],
        ),
        (
            scheduling.PRIORITY_CLASS,
            {"value": 2_000_000_000},
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
        ),
        (
            coordination.LEASE,
            {"spec": {"leaseDurationSeconds": 0}},
            ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
        ),
        (node.RUNTIME_CLASS, {"handler": "-"}, [f'handler: Invalid value: "-": {_LABEL}']),
        (storage.STORAGE_CLASS, {}, ["provisioner: Required value"]),
        (
            storage.VOLUME_ATTACHMENT,
            {"spec": {"attacher": "a", "nodeName": "n"}},
            ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
        ),
        (admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION, webhooks(), []),
        (admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION, webhooks(clientConfig=at_path("")), []),
        (admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION, webhooks(clientConfig=at_path("/a/b/")), []),
        (
            admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION,
            webhooks(clientConfig=at_path("/a//_")),
            [
                'webhooks[0].clientConfig.service.path: Invalid value: "/a//_": segment[1] may not be empty',
                'webhooks[0].clientConfig.service.path: Invalid value: "/a//_": segment[2]: a lowercase',
            ],
        ),
        (
            admissionregistration.MUTATING_WEBHOOK_CONFIGURATION,
            webhooks(sideEffects=None, timeoutSeconds=31),
            [
                "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
                "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            ],
        ),
        (
            admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION,
            webhooks(clientConfig={"url": "http://example.com"}),
            ["webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme"],
        ),
        (
            admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION,
            webhooks(clientConfig={"url": "https://[::1/x"}),
            ['webhooks[0].clientConfig.url: Required value: url must be a valid URL: parse "https://[::1/x": missing'],
        ),
        (
            apiregistration.API_SERVICE,
            {"spec": {"version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}},
            ['metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1."'],
        ),
        (
            flowcontrol.PRIORITY_LEVEL_CONFIGURATION,
            {"spec": {"type": "Limited"}},
            ["spec.limited: Required value: must not be empty when type is Limited"],
        ),
        (
            certificates.CERTIFICATE_SIGNING_REQUEST,
            {"spec": {"request": "eA==", "usages": ["signing", "signing"], "signerName": "x"}},
            [
                'spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST',
                'spec.usages[1]: Duplicate value: "signing"',
                'spec.signerName: Invalid value: "x": must be a fully qualified domain and path of the form',
            ],
        ),
        (
            dynamic_resources.RESOURCE_SLICE,
            {"spec": {"driver": "d", "pool": {"name": "p", "resourceSliceCount": 1}}},
            ["spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`"],
        ),
        (discovery.ENDPOINT_SLICE, {"addressType": "IPv4", "endpoints": [], "ports": [{"port": 70000}]}, []),
        (
            core.LIMIT_RANGE,
            {"spec": {"limits": [{"type": "Room", "max": {"cpu": "-1"}}]}},
            ['spec.limits[0].type: Invalid value: "Room": must be a standard limit type or fully qualified'],
        ),
        (
            networking.SERVICE_CIDR,
            {"spec": {"cidrs": ["10.0.0.0/24", "10.1.0.1/24"]}},
            [
                'spec.cidrs[1]: Invalid value: "10.1.0.1/24": must not have bits set beyond the prefix length',
                'spec.cidrs: Invalid value: ["10.0.0.0/24","10.1.0.1/24"]: may specify no more than one IP',
            ],
        ),
        (
            networking.SERVICE_CIDR,
            {"spec": {"cidrs": ["010.0.0.0/24"]}},
            ['spec.cidrs[0]: Invalid value: "010.0.0.0/24": must not have leading 0s in IP or prefix length'],
        ),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {"spec": {"scaleTargetRef": TARGET, "maxReplicas": -1, "metrics": [{"type": ""}]}},
            [
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1",
                "spec.maxReplicas: Invalid value: -1: must be greater than or equal to `minReplicas`",
                "spec.metrics[0].type: Required value: must specify a metric source type",
                'spec.metrics[0].type: Unsupported value: "": supported values:',
                'spec.metrics[0].type: Unsupported value: "": supported values:',
            ],
        ),
        (
            networking.INGRESS,
            {"spec": {"rules": [{"http": {"paths": [{}]}}]}},
            ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"],
        ),
        (
            storage.VOLUME_ATTACHMENT,
            {"spec": {"attacher": "x" * 64, "nodeName": "n", "source": {"persistentVolumeName": ""}}},
            [
                "spec.attacher: Too long: may not be more than 63 bytes",
                "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName",
                'spec.source.persistentVolumeName: Invalid value: ""',
            ],
        ),
        (
            apiregistration.API_SERVICE,
            {"spec": {"groupPriorityMinimum": 1, "versionPriority": 1, "version": "v2"}},
            [
                "metadata.name: Invalid value",
                "spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
            ],
        ),
    ],
)
def test_new_object(resource, fields, expected):
    found = messages(resource, made(resource, **fields))
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning), message


@pytest.mark.parametrize(
    ("resource", "old", "new", "expected"),
    [
        (
            core.CONFIG_MAP,
            {"immutable": True, "data": {"a": "b"}},
            {"data": {"a": "c"}},
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ],
        ),
        (core.CONFIG_MAP, {"data": {"a": "b"}}, {"immutable": True, "data": {"a": "c"}}, []),
        (core.SECRET, {}, {"type": "other"}, ['type: Invalid value: "other": field is immutable']),
        (
            networking.IP_ADDRESS,
            {"spec": {"parentRef": {"resource": "services", "name": "a"}}},
            {"spec": {"parentRef": {"resource": "services", "name": "b"}}},
            [
                'spec.parentRef: Invalid value: {"Group":"","Resource":"services","Namespace":"","Name":"b"}: '
                "field is immutable"
            ],
        ),
        (networking.SERVICE_CIDR, {"spec": {"cidrs": [CIDR]}}, {"spec": {"cidrs": [CIDR, "fd00::/64"]}}, []),
        (
            networking.SERVICE_CIDR,
            {"spec": {"cidrs": [CIDR]}},
            {"spec": {"cidrs": ["x"]}},
            ['spec.cidrs[0]: Invalid value: "x": field is immutable'],
        ),
        (
            networking.SERVICE_CIDR,
            {"spec": {"cidrs": [CIDR]}},
            {"spec": {}},
            ["spec.cidrs: Invalid value: null: field is immutable"],
        ),
        (
            apps.CONTROLLER_REVISION,
            {"data": {}, "revision": 1},
            {"data": "x", "revision": -1},
            [
                "revision: Invalid value: -1: must be greater than or equal to 0",
                'data: Invalid value: "x": field is immutable',
            ],
        ),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {"spec": {"scaleTargetRef": TARGET | {"apiVersion": "/"}, "maxReplicas": 1}},
            {"spec": {"scaleTargetRef": TARGET | {"apiVersion": "/"}, "maxReplicas": 2}},
            [],
        ),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {"spec": {"scaleTargetRef": TARGET, "maxReplicas": 1}},
            {"spec": {"scaleTargetRef": TARGET | {"apiVersion": "a/b/c"}, "maxReplicas": 1}},
            ['spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
        ),
        (
            core.SERVICE,
            {"spec": {"clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"]}},
            {"spec": {"clusterIP": "10.96.0.6", "clusterIPs": ["10.96.0.6"]}},
            [
                'spec.clusterIPs[0]: Invalid value: ["10.96.0.6"]: may not change once set',
                "spec.ports: Required value",
            ],
        ),
        (
            core.SERVICE,
            {"spec": {"clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"]}},
            {"spec": {"type": "ExternalName", "externalName": "a.b"}},
            [],
        ),
        (
            core.PERSISTENT_VOLUME_CLAIM,
            {"spec": CLAIM},
            {"spec": CLAIM | {"accessModes": ["ReadWriteMany"]}},
            ["spec: Forbidden: spec is immutable after creation except resources.requests"],
        ),
        (core.PERSISTENT_VOLUME_CLAIM, {"spec": CLAIM}, {"spec": CLAIM | {"volumeName": "v"}}, []),
        (
            core.PERSISTENT_VOLUME,
            {"spec": VOLUME},
            {"spec": VOLUME | {"hostPath": {"path": "/y"}}},
            ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"],
        ),
        (
            storage.STORAGE_CLASS,
            {"provisioner": "p"},
            {"provisioner": "q"},
            ['provisioner: Invalid value: "q": field is immutable'],
        ),
        (
            rbac.ROLE_BINDING,
            {"roleRef": {"kind": "Role", "name": "r"}},
            {"roleRef": {"kind": "Role", "name": "s"}},
            [
                'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"s"}: '
                "cannot change roleRef"
            ],
        ),
        (scheduling.PRIORITY_CLASS, {"value": 1}, {"value": 2}, ["value: Forbidden: may not be changed in an update."]),
        (
            core.NODE,
            {"spec": {"podCIDRs": ["10.244.0.0/24"]}},
            {"spec": {"podCIDRs": ["10.244.1.0/24"]}},
            ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
        ),
    ],
)
def test_change(resource, old, new, expected):
    judge = resource.revalidate or resource.validate_update
    found = [f"{e.field}: {e.message}" for e in judge(made(resource, **new), made(resource, **old))]
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning), message


def test_a_bound_claim_may_ask_for_more():
    old = made(core.PERSISTENT_VOLUME_CLAIM, spec=CLAIM) | {
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    }
    more = made(core.PERSISTENT_VOLUME_CLAIM, spec=CLAIM | {"resources": {"requests": {"storage": "2Gi"}}})
    assert core.PERSISTENT_VOLUME_CLAIM.validate_update(more, old) == []
    less = made(core.PERSISTENT_VOLUME_CLAIM, spec=CLAIM | {"resources": {"requests": {"storage": "1"}}})
    (error,) = core.PERSISTENT_VOLUME_CLAIM.validate_update(less, old)
    assert str(error) == "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"


def definition(schema=None, **spec):
    version = {"name": "v1", "served": True, "storage": True}
    version["schema"] = {"openAPIV3Schema": {"type": "object"} if schema is None else schema}
    fields = {"group": "example.com", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"}}
    return made(
        apiextensions.CUSTOM_RESOURCE_DEFINITION, "foos.example.com", spec={**fields, "versions": [version], **spec}
    )


_ROOT = "spec.validation.openAPIV3Schema"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, []),
        ({"type": "array", "items": {"type": "string"}}, [f'{_ROOT}.type: Invalid value: "array": must be object']),
        (
            {"type": "object", "properties": {"a": {}}},
            [f"{_ROOT}.properties[a].type: Required value: must not be empty for specified object fields"],
        ),
        ({"type": "object", "properties": {"a": {"x-kubernetes-int-or-string": True}}}, []),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}},
            [f"{_ROOT}.properties[a].items: Required value: must be specified"],
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}},
            },
            [f"{_ROOT}.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty"],
        ),
    ],
)
def test_structural_schema(schema, expected):
    found = messages(apiextensions.CUSTOM_RESOURCE_DEFINITION, definition(schema))
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning), message


def test_a_definition_is_named_for_what_it_defines():
    wrong = definition()
    wrong["metadata"]["name"] = "bars.example.com"
    assert messages(apiextensions.CUSTOM_RESOURCE_DEFINITION, wrong) == [
        'metadata.name: Invalid value: "bars.example.com": must be spec.names.plural+"."+spec.group'
    ]


def test_a_definition_stores_one_version_and_each_has_a_schema():
    wrong = definition()
    wrong["spec"]["versions"][0] |= {"storage": False, "schema": {}}
    found = "\n".join(messages(apiextensions.CUSTOM_RESOURCE_DEFINITION, wrong))
    assert "spec.versions[0].schema.openAPIV3Schema: Required value" in found
    assert "must have exactly one version marked as storage version" in found


def test_groups_of_the_project_need_its_approval():
    wrong = definition(group="apps.k8s.io")
    wrong["metadata"]["name"] = "foos.apps.k8s.io"
    (found,) = messages(apiextensions.CUSTOM_RESOURCE_DEFINITION, wrong)
    assert found.startswith("metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must")
    wrong["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, for a test"}
    assert messages(apiextensions.CUSTOM_RESOURCE_DEFINITION, wrong) == []


def test_an_established_definition_keeps_its_scope_and_kind():
    old = definition()
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    new = definition(scope="Cluster", names={"plural": "foos", "kind": "Bar"})
    found = apiextensions.CUSTOM_RESOURCE_DEFINITION.validate_update(new, old)
    assert [e.field for e in found] == ["spec.scope", "spec.names.kind"]


def test_the_name_of_a_definition_is_not_judged_again_and_its_status_alone():
    kind, old = apiextensions.CUSTOM_RESOURCE_DEFINITION, definition()
    found = kind.validate_update(definition(group="other.example"), old)
    assert [e.field for e in found] == ["spec.group"]
    new = deepcopy(old)
    new["spec"]["versions"][0]["schema"] = {}
    new["status"] |= {"storedVersions": [], "acceptedNames": {"plural": "UP", "kind": "Same", "listKind": "Same"}}
    found = kind.validate_update_of("status")(new, old)
    assert [e.field for e in found] == ["status.acceptedNames.plural", "status.acceptedNames.listKind"]
    assert kind.revalidate(new, old) == []


def test_a_version_that_was_stored_may_not_disappear():
    old = definition()
    renamed = [{**old["spec"]["versions"][0], "name": "v2"}]
    new = deepcopy(old) | {"spec": {**old["spec"], "versions": renamed}}
    apiextensions.CUSTOM_RESOURCE_DEFINITION.prepare_update(new, old)
    (found,) = messages(apiextensions.CUSTOM_RESOURCE_DEFINITION, new)
    assert found.startswith('status.storedVersions[0]: Invalid value: "v1": missing from spec.versions')


@pytest.mark.parametrize(
    ("resources", "wrong"),
    [
        (["*", "*/scale", "pods/log"], []),
        (["*", "pods"], ["if '*' is present, must not specify other resources without subresources"]),
        (["pods", "*"], []),
        (["pods/log", "pods/*", "pods/exec"], ["if 'pods/*' is present, must not specify pods/exec"]),
        (["*/scale", "pods/scale"], ["if '*/scale' is present, must not specify pods/scale"]),
        (["pods", "*/*"], ["if '*/*' is present, must not specify other resources"]),
    ],
)
def test_wildcards_among_the_resources_of_a_rule_rule_out_what_they_already_say(resources, wrong):
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources}
    found = messages(admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION, webhooks(rules=[rule]))
    assert [message.rpartition(": ")[2] for message in found] == wrong
