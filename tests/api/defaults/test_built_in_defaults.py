"""What each built-in kind gets when its author is brief."""

import pytest

from kajitori.api import apps, autoscaling, batch, core, discovery, networking, rbac, storage
from kajitori.api.apiextensions import CUSTOM_RESOURCE_DEFINITION
from kajitori.api.defaults.pods import default_pod
from kajitori.api.defaults.workloads import default_stateful_set, prepare_stateful_set


def template():
    return {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


def created(resource, **fields):
    """An object as it is after defaulting and preparation for creation."""
    metadata = {"name": "x", "uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"} | fields.pop("metadata", {})
    obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}
    if resource.default:
        resource.default(obj)
    if resource.prepare_create:
        resource.prepare_create(obj)
    return obj


def pod(**spec):
    return created(core.POD, spec={"containers": [{"name": "c", "image": "nginx:1"}], **spec})


def test_a_minimal_pod():
    minimal = pod()
    assert minimal["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "nginx:1",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    assert minimal["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_a_client_cannot_create_a_running_pod():
    claimed = created(core.POD, spec={"containers": []}, status={"phase": "Running", "podIP": "1.2.3.4"})
    assert claimed["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_explicit_zero_is_kept_where_zero_is_a_choice():
    assert pod(terminationGracePeriodSeconds=0)["spec"]["terminationGracePeriodSeconds"] == 0
    assert created(apps.DEPLOYMENT, spec={"replicas": 0, "template": template()})["spec"]["replicas"] == 0


def test_requests_follow_limits_in_a_pod_but_not_in_a_template():
    limited = {"name": "c", "image": "i:1", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    alone = pod(containers=[limited | {"resources": dict(limited["resources"])}])
    assert alone["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert alone["status"]["qosClass"] == "Guaranteed"
    replica_set = created(apps.REPLICA_SET, spec={"template": {"spec": {"containers": [limited]}}})
    assert "requests" not in replica_set["spec"]["template"]["spec"]["containers"][0]["resources"]


def test_host_network_copies_container_ports_to_host_ports():
    ports = pod(hostNetwork=True, containers=[{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}])
    assert ports["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_probes_and_handlers():
    container = {
        "name": "c",
        "image": "i",
        "livenessProbe": {"httpGet": {"port": 80}},
        "readinessProbe": {"grpc": {"port": 1}},
    }
    probed = pod(containers=[container])["spec"]["containers"][0]
    timing = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    assert probed["livenessProbe"] == {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, **timing}
    assert probed["readinessProbe"] == {"grpc": {"port": 1, "service": ""}, **timing}


def test_volumes():
    volumes = pod(
        volumes=[
            {"name": "nothing"},
            {"name": "s", "secret": {"secretName": "s"}},
            {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "h", "hostPath": {"path": "/x"}},
        ]
    )["spec"]["volumes"]
    assert volumes[0]["emptyDir"] == {}
    assert volumes[1]["secret"]["defaultMode"] == 420
    token = {"path": "t", "expirationSeconds": 3600}
    assert volumes[2]["projected"] == {"sources": [{"serviceAccountToken": token}], "defaultMode": 420}
    assert volumes[3]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"
    assert volumes[4]["hostPath"]["type"] == ""


def test_a_gated_pod_says_why_it_is_not_scheduled():
    (condition,) = pod(schedulingGates=[{"name": "example.com/g"}])["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("PodScheduled", "SchedulingGated")


def test_match_label_keys_become_requirements():
    constraint = {"matchLabelKeys": ["v", "absent"], "labelSelector": {"matchLabels": {"a": "b"}}}
    spread = created(
        core.POD,
        metadata={"labels": {"v": "1"}},
        spec={"containers": [], "topologySpreadConstraints": [constraint]},
    )["spec"]["topologySpreadConstraints"][0]
    assert spread["labelSelector"]["matchExpressions"] == [{"key": "v", "operator": "In", "values": ["1"]}]


def test_deployment_strategy():
    spec = created(apps.DEPLOYMENT, spec={"template": template()})["spec"]
    assert spec["replicas"] == 1
    assert spec["progressDeadlineSeconds"] == 600
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    recreated = created(apps.DEPLOYMENT, spec={"strategy": {"type": "Recreate"}, "template": template()})["spec"]
    assert recreated["strategy"] == {"type": "Recreate"}


def test_stateful_set_claims_and_strategy():
    claim = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    spec = created(apps.STATEFUL_SET, spec={"template": template(), "volumeClaimTemplates": [claim]})["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"
    assert spec["volumeClaimTemplates"][0]["status"] == {"phase": "Pending"}


def test_the_template_generation_of_a_daemon_set_counts_changes_of_the_template():
    old = created(apps.DAEMON_SET, spec={"template": template()})
    annotation = "deprecated.daemonset.template.generation"
    assert old["metadata"]["annotations"][annotation] == "1"
    new = created(apps.DAEMON_SET, spec={"template": template()})
    apps.DAEMON_SET.prepare_update(new, old)
    assert new["metadata"]["annotations"][annotation] == "1"
    new["spec"]["template"]["metadata"]["labels"]["a"] = "c"
    apps.DAEMON_SET.prepare_update(new, old)
    assert new["metadata"]["annotations"][annotation] == "2"


def test_a_job_selects_its_pods_by_its_own_uid():
    job = created(batch.JOB, spec={"template": {"spec": {"containers": [], "restartPolicy": "Never"}}})
    labels = {
        "batch.kubernetes.io/controller-uid": "u-1",
        "batch.kubernetes.io/job-name": "x",
        "controller-uid": "u-1",
        "job-name": "x",
    }
    assert job["spec"]["template"]["metadata"]["labels"] == labels
    assert job["metadata"]["labels"] == labels
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert (job["spec"]["completions"], job["spec"]["parallelism"], job["spec"]["backoffLimit"]) == (1, 1, 6)


def test_a_job_with_its_own_selector_is_left_alone():
    spec = {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}, "template": template(), "parallelism": 2}
    job = created(batch.JOB, spec=spec)
    assert job["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert "completions" not in job["spec"]


def test_service_types():
    cluster = created(core.SERVICE, spec={"ports": [{"port": 80}]})["spec"]
    assert cluster["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (cluster["type"], cluster["sessionAffinity"]) == ("ClusterIP", "None")
    assert "externalTrafficPolicy" not in cluster
    balanced = created(core.SERVICE, spec={"type": "LoadBalancer", "sessionAffinity": "ClientIP"})["spec"]
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert balanced["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_secret_text_becomes_data():
    secret = created(core.SECRET, stringData={"a": "b"}, data={"c": "Yw=="})
    assert secret["data"] == {"a": "Yg==", "c": "Yw=="}
    assert secret["type"] == "Opaque"
    assert "stringData" not in secret


def test_a_namespace_is_active_labelled_and_guarded():
    namespace = created(core.NAMESPACE)
    assert namespace["status"] == {"phase": "Active"}
    assert namespace["spec"]["finalizers"] == ["kubernetes"]
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}


def test_an_update_keeps_the_status_and_a_namespaces_finalizers():
    old = created(core.NAMESPACE)
    new = created(core.NAMESPACE, spec={"finalizers": []}, status={"phase": "Terminating"})
    new["spec"]["finalizers"] = []
    core.NAMESPACE.prepare_update(new, old)
    assert new["status"] == {"phase": "Active"}
    assert new["spec"]["finalizers"] == ["kubernetes"]


def test_a_node_may_bring_its_status():
    node = created(core.NODE, status={"capacity": {"cpu": "4"}})
    assert node["status"]["allocatable"] == {"cpu": "4"}


def test_limit_range_fills_requests_from_limits_and_limits_from_the_maximum():
    item = {"type": "Container", "max": {"cpu": "2"}, "default": {"memory": "1Gi"}, "min": {"cpu": "1"}}
    (filled,) = created(core.LIMIT_RANGE, spec={"limits": [item]})["spec"]["limits"]
    assert filled["default"] == {"cpu": "2", "memory": "1Gi"}
    assert filled["defaultRequest"] == {"cpu": "2", "memory": "1Gi"}


def test_autoscaler_metrics_and_behaviour():
    autoscaler = created(
        autoscaling.HORIZONTAL_POD_AUTOSCALER,
        spec={"maxReplicas": 5, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}},
    )["spec"]
    assert autoscaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert autoscaler["behavior"]["scaleDown"]["policies"] == [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    assert autoscaler["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0


def test_other_kinds():
    assert created(storage.STORAGE_CLASS)["volumeBindingMode"] == "Immediate"
    assert created(core.PERSISTENT_VOLUME_CLAIM, spec={})["spec"]["volumeMode"] == "Filesystem"
    assert created(core.PERSISTENT_VOLUME, spec={})["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert created(networking.NETWORK_POLICY, spec={"egress": [{}]})["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert created(discovery.ENDPOINT_SLICE, ports=[{"port": 80}])["ports"] == [
        {"port": 80, "name": "", "protocol": "TCP"}
    ]
    binding = created(
        rbac.ROLE_BINDING, roleRef={"kind": "Role", "name": "r"}, subjects=[{"kind": "User", "name": "u"}]
    )
    assert binding["subjects"][0]["apiGroup"] == binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"


def test_a_custom_resource_definition_names_itself_and_remembers_stored_versions():
    versions = [{"name": "v1", "storage": False}, {"name": "v2", "storage": True}]
    spec = {"names": {"plural": "foos", "kind": "Foo"}, "versions": versions}
    old = created(CUSTOM_RESOURCE_DEFINITION, spec=spec)
    assert old["spec"]["names"] == {"plural": "foos", "kind": "Foo", "singular": "foo", "listKind": "FooList"}
    assert old["status"]["storedVersions"] == ["v2"]
    new = {**old, "spec": {**old["spec"], "versions": [{"name": "v3", "storage": True}]}}
    CUSTOM_RESOURCE_DEFINITION.prepare_update(new, old)
    assert new["status"]["storedVersions"] == ["v2", "v3"]
    new["status"]["storedVersions"] = []
    CUSTOM_RESOURCE_DEFINITION.default(new)
    assert new["status"]["storedVersions"] == ["v3"]


def test_an_address_of_a_load_balancer_is_a_virtual_one_unless_it_says_otherwise():
    points = [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5", "ipMode": "Proxy"}, {"hostname": "a.example"}]
    service = {"metadata": {}, "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": points}}}
    core.SERVICE.default(service)
    assert [point.get("ipMode") for point in points] == ["VIP", "Proxy", None]


@pytest.mark.parametrize(
    ("given", "account"),
    [
        ({"serviceAccount": "a"}, "a"),
        ({"serviceAccount": "a", "serviceAccountName": "b"}, "b"),
        ({"serviceAccountName": "b"}, "b"),
    ],
)
def test_the_older_name_of_a_service_account_says_the_same(given, account):
    pod = {"metadata": {}, "spec": {"containers": [], **given}}
    default_pod(pod)
    assert (pod["spec"]["serviceAccount"], pod["spec"]["serviceAccountName"]) == (account, account)


def test_what_a_stateful_set_may_not_say_is_dropped_after_it_was_said():
    rolling = {"partition": 1, "maxUnavailable": 1}
    stateful_set = {"metadata": {}, "spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}}
    default_stateful_set(stateful_set)
    assert rolling["maxUnavailable"] == 1
    prepare_stateful_set(stateful_set)
    assert rolling == {"partition": 1}


def test_a_namespace_whose_phase_is_not_said_is_active():
    for status in ({}, {"status": {}}, {"status": {"phase": ""}}):
        namespace = {"metadata": {"name": "n"}, **status}
        core.NAMESPACE.default(namespace)
        assert namespace["status"] == {"phase": "Active"}
    ending = {"metadata": {"name": "n"}, "status": {"phase": "Terminating"}}
    core.NAMESPACE.default(ending)
    assert ending["status"] == {"phase": "Terminating"}
