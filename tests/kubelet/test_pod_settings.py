"""DNS, hosts files, cgroups, security and sandbox settings of a pod."""

import json
from pathlib import Path

import pytest

from kajitori.kubelet.admission import refusal
from kajitori.kubelet.cgroup_files import cpu_weight, make_pod_cgroup
from kajitori.kubelet.cgroups import container_resources, cpu_shares, pod_cgroup, pod_level_resources
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.containerd_config import ContainerdConfig, HostTraits, config_toml, filesystem_of
from kajitori.kubelet.dns import parse_resolv_conf, pod_dns
from kajitori.kubelet.environment import ConfigProblem
from kajitori.kubelet.hosts_file import hosts_text, kernel_hostname, pod_hostname
from kajitori.kubelet.images import normalise
from kajitori.kubelet.labels import POD_MANIFEST, POD_UID
from kajitori.kubelet.runtime import DnsConfig, ImageRecord, NamespaceMode, Resources, SeccompKind
from kajitori.kubelet.sandbox_spec import sandbox_config
from kajitori.kubelet.security import container_security, pod_namespaces

HOST_DNS = parse_resolv_conf("nameserver 192.0.2.53 # ours\nsearch example.org corp\noptions edns0 ndots:2\n")
SUFFIXES = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")


def pod(containers=None, **spec):
    metadata = {"name": "web-0", "namespace": "shop", "uid": "u-1"}
    return {"metadata": metadata, "spec": {"containers": containers or [{"name": "main"}], **spec}}


def dns(**spec):
    return pod_dns(pod(**spec), HOST_DNS, ("10.96.0.10",), "cluster.local")


@pytest.mark.parametrize(
    ("spec", "servers", "searches", "options"),
    [
        ({}, ("10.96.0.10",), (*SUFFIXES, "example.org", "corp"), ("ndots:5",)),
        ({"dnsPolicy": "Default"}, ("192.0.2.53",), ("example.org", "corp"), ("edns0", "ndots:2")),
        ({"hostNetwork": True}, ("192.0.2.53",), ("example.org", "corp"), ("edns0", "ndots:2")),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            ("10.96.0.10",),
            (*SUFFIXES, "example.org", "corp"),
            ("ndots:5",),
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["x"]}},
            ("1.1.1.1",),
            ("x",),
            (),
        ),
        (
            {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}},
            ("10.96.0.10",),
            (*SUFFIXES, "example.org", "corp"),
            ("ndots:2", "edns0"),
        ),
    ],
)
def test_resolver_settings_follow_the_policy(spec, servers, searches, options):
    assert dns(**spec) == DnsConfig(servers, searches, options)


def test_hosts_file_has_the_pod_and_its_aliases():
    aliases = [{"ip": "192.0.2.9", "hostnames": ["a", "b"]}]
    text = hosts_text(pod(hostAliases=aliases), ("10.244.0.5",), "web-0", "db.shop.svc.cluster.local", "ignored")
    assert text.startswith("# Kubernetes-managed hosts file.\n")
    assert "10.244.0.5\tweb-0.db.shop.svc.cluster.local\tweb-0\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n192.0.2.9\ta\tb\n")


def test_hosts_file_of_a_host_network_pod_is_the_hosts_own():
    text = hosts_text(pod(hostNetwork=True), (), "node", "", "127.0.0.1 localhost\n")
    assert text == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n"


def test_host_names():
    assert pod_hostname(pod(), "cluster.local") == ("web-0", "")
    assert pod_hostname(pod(subdomain="db"), "cluster.local") == ("web-0", "db.shop.svc.cluster.local")
    assert kernel_hostname(pod(subdomain="db", setHostnameAsFQDN=True), "c.l") == "web-0.db.shop.svc.c.l"
    assert kernel_hostname(pod(hostname="other"), "c.l") == "other"


GIB = 1024**3


def resources(requests=None, limits=None):
    return {"name": "main", "resources": {"requests": requests or {}, "limits": limits or {}}}


def test_requests_and_limits_become_shares_quota_and_bytes():
    container = resources({"cpu": "500m", "memory": "1Gi"}, {"cpu": "1", "memory": "2Gi"})
    found = container_resources(pod([container]), container, 4 * GIB)
    assert (found.cpu_shares, found.cpu_quota, found.cpu_period) == (512, 100_000, 100_000)
    assert found.memory_limit_bytes == 2 * GIB
    assert found.oom_score_adj == 750


def test_no_requests_means_least_shares_and_first_to_be_killed():
    found = container_resources(pod([{"name": "main"}]), {"name": "main"}, 4 * GIB)
    assert (found.cpu_shares, found.cpu_quota, found.memory_limit_bytes, found.oom_score_adj) == (2, 0, 0, 1000)


def test_guaranteed_pods_are_spared():
    container = resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"})
    assert container_resources(pod([container]), container, 4 * GIB).oom_score_adj == -997
    assert pod_cgroup("/n", pod([container])) == "/n/kubepods/podu-1"
    assert pod_cgroup("/n", pod()) == "/n/kubepods/besteffort/podu-1"


def test_a_pod_is_limited_where_each_of_its_containers_is():
    whole = pod([resources({}, {"cpu": "1", "memory": "1Gi"}), resources({}, {"cpu": "500m"})])
    found = pod_level_resources(whole)
    assert (found.cpu_quota, found.memory_limit_bytes) == (150_000, 0)
    assert cpu_shares(0) == 2


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("notes:1", "docker.io/library/notes:1"),
        ("notes", "docker.io/library/notes:latest"),
        ("team/notes:1", "docker.io/team/notes:1"),
        ("localhost/notes:1", "localhost/notes:1"),
        ("registry.test:5000/a/b:2", "registry.test:5000/a/b:2"),
        ("a@sha256:" + "0" * 64, "docker.io/library/a@sha256:" + "0" * 64),
    ],
)
def test_image_names_are_completed(name, full):
    assert normalise(name) == full


@pytest.mark.parametrize("name", ["UPPER", "a b", "", ":1"])
def test_what_is_no_image_name_is_refused(name):
    with pytest.raises(ValueError):
        normalise(name)


IMAGE = ImageRecord(id="i", tags=(), digests=(), size_bytes=1)


def test_container_settings_win_over_the_pods():
    container = {
        "name": "main",
        "securityContext": {
            "runAsUser": 5,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    context = {"runAsUser": 1, "runAsGroup": 2, "fsGroup": 7, "supplementalGroups": [8]}
    found = container_security(pod([container], securityContext=context), container, IMAGE)
    assert (found.run_as_user, found.run_as_group, found.supplemental_groups) == (5, 2, (8, 7))
    assert (found.add_capabilities, found.drop_capabilities) == (("NET_ADMIN",), ("ALL",))
    assert found.no_new_privileges
    assert found.read_only_root
    assert found.seccomp.kind is SeccompKind.RUNTIME_DEFAULT


def test_privileged_containers_see_everything():
    container = {"name": "main", "securityContext": {"privileged": True}}
    found = container_security(pod([container]), container, IMAGE)
    assert (found.privileged, found.masked_paths) == (True, ())


@pytest.mark.parametrize(
    ("context", "image", "message"),
    [
        ({"runAsNonRoot": True}, {"uid": 0}, "image will run as root"),
        ({"runAsNonRoot": True, "runAsUser": 0}, {}, "breaks non-root policy"),
        ({"runAsNonRoot": True}, {"username": "app"}, "non-numeric user"),
    ],
)
def test_non_root_is_enforced(context, image, message):
    container = {"name": "main", "securityContext": context}
    record = ImageRecord(id="i", tags=(), digests=(), size_bytes=1, **image)
    with pytest.raises(ConfigProblem, match=message):
        container_security(pod([container]), container, record)


def test_namespaces_are_shared_as_asked():
    assert pod_namespaces(pod()).pid is NamespaceMode.CONTAINER
    assert pod_namespaces(pod(shareProcessNamespace=True)).pid is NamespaceMode.POD
    assert pod_namespaces(pod(hostPID=True)).pid is NamespaceMode.NODE
    assert pod_namespaces(pod(hostNetwork=True)).network is NamespaceMode.NODE
    assert pod_namespaces(pod(), "c-1").pid is NamespaceMode.TARGET


CONTAINERD = ContainerdConfig(root=Path("/r"), state=Path("/s"), cni_conf_dir=Path("/n"))


def test_a_sandbox_carries_what_is_needed_to_find_and_end_it():
    config = KubeletConfig(node_name="n", node_ip="192.0.2.1", root_dir=Path("/k"), containerd=CONTAINERD)
    ports = [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}, {"containerPort": 81}]
    found = sandbox_config(pod([{"name": "main", "ports": ports}]), 2, config, HOST_DNS)
    assert (found.attempt, found.labels[POD_UID], found.cgroup_parent) == (
        2,
        "u-1",
        f"{config.cgroup}/kubepods/besteffort/podu-1",
    )
    assert [(p.host_port, p.container_port) for p in found.port_mappings] == [(8080, 80)]
    assert json.loads(found.annotations[POD_MANIFEST])["spec"]["containers"] == [{"name": "main"}]
    assert found.log_directory == "/k/logs/shop_web-0_u-1"


def test_containerd_is_told_of_this_host():
    text = config_toml(CONTAINERD, HostTraits(may_lower_oom_score=False, snapshotter="native"))
    assert "restrict_oom_score_adj = true" in text
    assert 'snapshotter = "native"' in text
    assert 'sandbox_image = "docker.io/kajitori/pause:1"' in text


def test_the_file_system_of_a_path_is_the_nearest_mount():
    mountinfo = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /var/lib rw - overlay overlay rw\n"
    assert filesystem_of(Path("/var/lib/x"), mountinfo) == "overlay"
    assert filesystem_of(Path("/var/library"), mountinfo) == "ext4"


def test_a_node_refuses_what_it_cannot_hold():
    allocatable = {"cpu": "2", "memory": "4Gi", "pods": "2"}
    one = pod([resources({"cpu": "1500m"})])
    assert refusal(one, [], allocatable, None) is None
    reason, message = refusal(one, [one], allocatable, None)
    assert reason == "OutOfcpu"
    assert message == "Node didn't have enough resource: cpu, requested: 1500, used: 1500, capacity: 2000"
    assert refusal(pod(), [pod(), pod()], allocatable, None)[0] == "OutOfpods"
    wants = pod([resources({"example.com/gpu": "2"})])
    assert refusal(wants, [wants], allocatable, None) is None
    assert refusal(wants, [wants], {**allocatable, "example.com/gpu": "3"}, None)[0] == "OutOfexample.com/gpu"
    here, there = (pod([{"name": "c", "ports": [{"hostPort": 80, "hostIP": ip}]}]) for ip in ("10.0.0.1", "10.0.0.2"))
    assert refusal(here, [there], allocatable, None) is None
    anywhere = pod([{"name": "c", "ports": [{"hostPort": 80}]}])
    assert refusal(anywhere, [there], allocatable, None)[0] == "NodePorts"


def node_object(*taints, **labels):
    return {"metadata": {"name": "node-a", "labels": labels}, "spec": {"taints": list(taints)}}


def test_a_node_refuses_pods_that_want_another_kind_of_node():
    def affinity(**requirement):
        required = {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}

    fast = affinity(key="disk", operator="In", values=["ssd"])
    for wants in (pod(nodeSelector={"disk": "ssd"}), pod(affinity=fast)):
        assert refusal(wants, [], {}, node_object(disk="ssd")) is None
        assert refusal(wants, [], {}, None) is None
        reason, message = refusal(wants, [], {}, node_object(disk="tape"))
        assert reason == "NodeAffinity"
        assert message == "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"


def test_a_node_refuses_pods_that_do_not_tolerate_what_ends_pods_there():
    ends, keeps_off = ({"key": "maintenance", "effect": effect} for effect in ("NoExecute", "NoSchedule"))
    assert refusal(pod(), [], {}, node_object(keeps_off)) is None
    reason, message = refusal(pod(), [], {}, node_object(ends))
    assert reason == "TaintToleration"
    assert message == "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert refusal(pod(tolerations=[{"operator": "Exists"}]), [], {}, node_object(ends)) is None


WHOLE = Resources(cpu_shares=1024, cpu_quota=50_000, cpu_period=100_000, memory_limit_bytes=GIB)


def test_a_pods_cgroup_is_written_in_each_hierarchy_of_version_one(tmp_path):
    for controller in ("cpu", "memory"):
        (tmp_path / controller).mkdir()
    make_pod_cgroup("/n/pod", WHOLE, tmp_path)
    assert (tmp_path / "cpu/n/pod/cpu.shares").read_text() == "1024"
    assert (tmp_path / "cpu/n/pod/cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "memory/n/pod/memory.limit_in_bytes").read_text() == str(GIB)


def test_a_pods_cgroup_is_written_once_in_version_two(tmp_path):
    (tmp_path / "cgroup.controllers").touch()
    make_pod_cgroup("/n/pod", Resources(cpu_shares=2), tmp_path)
    assert (tmp_path / "n/pod/cpu.weight").read_text() == "1"
    assert (tmp_path / "n/pod/cpu.max").read_text() == "max 100000"
    assert (tmp_path / "n/pod/memory.max").read_text() == "max"
    assert (tmp_path / "n/cgroup.subtree_control").exists()
    assert (cpu_weight(1024), cpu_weight(262144)) == (39, 10000)
