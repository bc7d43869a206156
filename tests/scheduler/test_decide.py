"""What the default profile decides, plugin by plugin, and what it says when nothing fits."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.api.meta import ObjectKey
from kajitori.scheduler.pod_view import PodView

ZONE = "topology.kubernetes.io/zone"


def _term(labels, key="kubernetes.io/hostname", **more):
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": key, **more}


def _spread(labels, key, when="DoNotSchedule", skew=1):
    return {"maxSkew": skew, "whenUnsatisfiable": when, **_term(labels, key)}


def test_no_nodes(world, pod):
    assert world.decide(pod()).message == "no nodes available to schedule pods"


def test_a_pod_that_is_too_large_is_told_what_is_short(world, pod):
    world.node("a", cpu="1", memory="1Gi")
    world.node("b", cpu="8", memory="1Gi")
    decision = world.decide(pod(cpu="2", memory="2Gi"))
    assert decision.message == "0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient memory."
    assert decision.plugins == {"NodeResourcesFit"}


def test_room_is_used_up_and_given_back(world, pod):
    world.node("a", cpu="1")
    first = pod(cpu="600m")
    assert world.place(first) == "a"
    assert world.decide(pod(cpu="600m")).node == ""
    world.nodes.remove_pod(first["metadata"]["uid"])
    assert world.decide(pod(cpu="600m")).node == "a"


def test_the_number_of_pods_is_limited(world, pod):
    world.node("a", pods="2")
    assert [world.place(pod()) for _ in range(3)] == ["a", "a", ""]
    assert world.decide(pod()).message == "0/1 nodes are available: 1 Too many pods."


def test_empty_pods_spread_evenly(world, pod):
    for name in "abc":
        world.node(name)
    assert Counter(world.place(pod()) for _ in range(9)) == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        (None, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "w", "effect": "NoSchedule"}, False),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
    ],
)
def test_taints_need_tolerations(world, pod, toleration, fits):
    world.node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    decision = world.decide(pod(tolerations=[toleration] if toleration else []))
    assert bool(decision.node) is fits
    if not fits:
        assert decision.message == "0/1 nodes are available: 1 node(s) had untolerated taint(s)."


def test_soft_taints_are_avoided_while_there_is_another_node(world, pod):
    world.node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    world.node("b")
    assert {world.place(pod()) for _ in range(5)} == {"b"}


def test_cordoned_nodes_take_no_pods(world, pod):
    world.node("a", unschedulable=True)
    assert world.decide(pod()).message == "0/1 nodes are available: 1 node(s) were unschedulable."


def test_node_selector(world, pod):
    world.node("a", labels={"disk": "ssd"})
    world.node("b", labels={"disk": "hdd"})
    assert world.decide(pod(nodeSelector={"disk": "hdd"})).node == "b"
    refusal = world.decide(pod(nodeSelector={"disk": "tape"}))
    assert refusal.message == "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("In", ["1", "2"], {"a", "b"}),
        ("NotIn", ["1"], {"b", "c", "d"}),
        ("Exists", [], {"a", "b", "c"}),
        ("DoesNotExist", [], {"d"}),
        ("Gt", ["1"], {"b", "c"}),
        ("Lt", ["2"], {"a"}),
    ],
)
def test_operators_of_node_affinity(world, pod, operator, values, expected):
    for name, number in (("a", "1"), ("b", "2"), ("c", "10")):
        world.node(name, labels={"n": number})
    world.node("d")
    term = {"matchExpressions": [{"key": "n", "operator": operator, "values": values}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    asking = pod(affinity={"nodeAffinity": required})
    mask = world.profile.filters[3].filter(PodView(asking), world.cluster)
    assert {world.nodes.names[row] for row in np.flatnonzero(mask)} == expected


def test_preferred_node_affinity_wins_over_room(world, pod):
    world.node("a", cpu="64")
    world.node("b", cpu="2", labels={"near": "yes"})
    preferred = [{"weight": 100, "preference": {"matchExpressions": [{"key": "near", "operator": "Exists"}]}}]
    asking = pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}})
    assert world.decide(asking).node == "b"


def test_host_ports_clash_only_on_the_same_address(world, pod):
    world.node("a")

    def asking(address=None):
        document = pod()
        port = {"containerPort": 80, "hostPort": 80, **({"hostIP": address} if address else {})}
        document["spec"]["containers"][0]["ports"] = [port]
        return document

    assert world.place(asking("127.0.0.1")) == "a"
    assert world.place(asking("127.0.0.2")) == "a"
    assert "free ports" in world.decide(asking("127.0.0.1")).message
    assert "free ports" in world.decide(asking()).message


def test_anti_affinity_keeps_replicas_apart_in_both_directions(world, pod):
    for name in "ab":
        world.node(name)
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term({"app": "x"})]}}
    placed = {world.place(pod(labels={"app": "x"}, affinity=anti)) for _ in range(2)}
    assert placed == {"a", "b"}
    refusal = world.decide(pod(labels={"app": "x"}, affinity=anti))
    assert refusal.message == "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    indifferent = world.decide(pod(labels={"app": "x"}))
    assert indifferent.message == "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."


def test_affinity_follows_the_other_pod_into_its_zone(world, pod):
    for name, zone in (("a", "1"), ("b", "2"), ("c", "2")):
        world.node(name, labels={ZONE: zone})
    world.run(pod(labels={"app": "db"}), "b")
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term({"app": "db"}, ZONE)]}}
    assert world.decide(pod(affinity=affinity)).node in ("b", "c")
    world.namespaces["default"] = {}
    lonely = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term({"app": "none"}, ZONE)]}}
    assert "didn't match pod affinity rules" in world.decide(pod(affinity=lonely)).message


def test_the_first_pod_of_a_group_may_start_anywhere(world, pod):
    world.node("a")
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term({"app": "x"})]}}
    assert world.decide(pod(labels={"app": "x"}, affinity=affinity)).node == "a"


def test_terms_reach_other_namespaces_by_name_and_by_label(world, pod):
    world.node("a")
    elsewhere = pod(labels={"app": "x"})
    elsewhere["metadata"]["namespace"] = "other"
    world.run(elsewhere, "a")
    for reach in ({"namespaces": ["other"]}, {"namespaceSelector": {"matchLabels": {"team": "b"}}}):
        anti = {"requiredDuringSchedulingIgnoredDuringExecution": [_term({"app": "x"}, **reach)]}
        assert world.decide(pod(affinity={"podAntiAffinity": anti})).node == ""
    own = {"requiredDuringSchedulingIgnoredDuringExecution": [_term({"app": "x"})]}
    assert world.decide(pod(affinity={"podAntiAffinity": own})).node == "a"


def test_hard_spread_keeps_the_skew(world, pod):
    for name, zone in (("a", "1"), ("b", "1"), ("c", "2")):
        world.node(name, labels={ZONE: zone})
    world.node("d")
    constraint = [_spread({"app": "x"}, ZONE)]
    where = Counter()
    for _ in range(6):
        node = world.place(pod(labels={"app": "x"}, topologySpreadConstraints=constraint))
        where["1" if node in "ab" else "2"] += 1
    assert where == {"1": 3, "2": 3}
    assert not world.nodes.pods[world.nodes.row("d")]


def test_soft_spread_is_a_preference(world, pod):
    for name in "abc":
        world.node(name)
    constraint = [_spread({"app": "x"}, "kubernetes.io/hostname", "ScheduleAnyway")]
    placed = Counter(world.place(pod(labels={"app": "x"}, topologySpreadConstraints=constraint)) for _ in range(6))
    assert placed == {"a": 2, "b": 2, "c": 2}


def test_claims(world, pod):
    world.node("a")
    world.node("b")
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    asking = pod(volumes=volumes)
    assert 'persistentvolumeclaim "data" not found' in world.decide(asking).message
    claim = {"metadata": {"name": "data", "namespace": "default"}, "spec": {"storageClassName": "slow"}}
    world.cluster.claims[ObjectKey("default", "data")] = claim
    assert "unbound immediate" in world.decide(asking).message
    world.cluster.storage_classes[ObjectKey("", "slow")] = {
        "provisioner": "x",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    assert world.decide(asking).node in ("a", "b")
    claim["spec"]["volumeName"] = "pv"
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["b"]}
    terms = [{"matchExpressions": [expression]}]
    affinity = {"required": {"nodeSelectorTerms": terms}}
    world.cluster.volumes[ObjectKey("", "pv")] = {"metadata": {"name": "pv"}, "spec": {"nodeAffinity": affinity}}
    assert world.decide(asking).node == "b"


def test_rows_grow_and_are_reused(world, pod):
    constraint = [_spread({"app": "x"}, "kubernetes.io/hostname")]
    asking = pod(labels={"app": "x"}, topologySpreadConstraints=constraint)
    for number in range(200):
        world.node(f"n{number}")
    assert world.place(asking)
    for number in range(200):
        world.nodes.remove_node(f"n{number}")
    assert len(world.nodes) == 0
    world.node("again")
    assert world.decide(pod()).node == "again"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_counts_kept_equal_counts_made_anew(new_world, pod, data):
    """Whatever comes and goes, the kept counts are what counting from scratch gives."""
    world, running = new_world(), {}
    for name in "abc":
        world.node(name, labels={ZONE: name})
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term({"app": "x"}, ZONE)]}}
    term = PodView(pod(labels={"app": "x"}, affinity=anti)).required_anti_affinity[0]
    world.cluster.counts.matching(term)
    for _ in range(data.draw(st.integers(1, 20))):
        if running and data.draw(st.booleans()):
            world.nodes.remove_pod(running.popitem()[0])
        else:
            new = pod(labels={"app": data.draw(st.sampled_from("xy"))})
            node = data.draw(st.sampled_from("abc"))
            world.run(new, node)
            running[new["metadata"]["uid"]] = (new, node)
    expected = Counter(node for new, node in running.values() if new["metadata"]["labels"]["app"] == "x")
    counts = world.cluster.counts.matching(term)
    assert {name: int(counts[world.nodes.row(name)]) for name in "abc"} == {n: expected[n] for n in "abc"}


def test_the_same_random_gives_the_same_node(world, pod):
    for number in range(10):
        world.node(f"n{number}")
    asking = PodView(pod())
    choices = {world.profile.decide(asking, world.cluster, random.Random(7)).node for _ in range(5)}
    assert len(choices) == 1


def test_pods_on_their_way_out_do_not_count_for_spreading(world, pod):
    for name in "ab":
        world.node(name, labels={ZONE: name})
    leaving = pod(labels={"app": "x"})
    leaving["metadata"]["deletionTimestamp"] = "2027-01-01T00:00:00Z"
    world.run(leaving, "a")
    world.run(pod(labels={"app": "x"}), "b")
    constraint = [_spread({"app": "x"}, ZONE)]
    assert world.decide(pod(labels={"app": "x"}, topologySpreadConstraints=constraint)).node == "a"


def test_min_domains(world, pod):
    world.node("a", labels={ZONE: "1"})
    constraint = [{**_spread({"app": "x"}, ZONE), "minDomains": 2}]
    assert world.place(pod(labels={"app": "x"}, topologySpreadConstraints=constraint)) == "a"
    refusal = world.decide(pod(labels={"app": "x"}, topologySpreadConstraints=constraint))
    assert refusal.message == "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints."


def test_nodes_that_the_pod_cannot_use_do_not_hold_the_spread_back(world, pod):
    for name, zone in (("a", "1"), ("b", "2")):
        world.node(name, labels={ZONE: zone, "disk": "ssd" if name == "a" else "hdd"})
    constraint = [_spread({"app": "x"}, ZONE)]
    spec = {"topologySpreadConstraints": constraint, "nodeSelector": {"disk": "ssd"}}
    assert [world.place(pod(labels={"app": "x"}, **spec)) for _ in range(3)] == ["a", "a", "a"]
    ignoring = [{**constraint[0], "nodeAffinityPolicy": "Ignore"}]
    spec = {"topologySpreadConstraints": ignoring, "nodeSelector": {"disk": "ssd"}}
    assert not world.decide(pod(labels={"app": "x"}, **spec)).node


def test_company_must_meet_all_terms_at_once(world, pod):
    world.node("a")
    both = [_term({"app": "x"}), _term({"tier": "db"})]
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": both}}
    world.run(pod(labels={"app": "x"}), "a")
    world.run(pod(labels={"tier": "db"}), "a")
    assert not world.decide(pod(affinity=affinity)).node
    world.run(pod(labels={"app": "x", "tier": "db"}), "a")
    assert world.decide(pod(affinity=affinity)).node == "a"


def test_nodes_that_a_daemon_set_did_not_name_are_told_apart(world, pod):
    for name in "abc":
        world.node(name, cpu="1")
    field = {"key": "metadata.name", "operator": "In", "values": ["a"]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}}
    asking = pod(cpu="2", affinity={"nodeAffinity": required})
    assert world.decide(asking).message == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


def test_pods_of_one_service_spread_without_asking(world, pod):
    for name in "abc":
        world.node(name, cpu="64" if name == "a" else "8")
    selector = PodView(pod(affinity={"podAffinity": _one(_term({"app": "x"}))})).required_affinity[0].selector
    world.cluster.default_selector = lambda view: selector if selector.matches(view.labels) else None
    assert Counter(world.place(pod(cpu="100m", labels={"app": "x"})) for _ in range(3)) == {"a": 1, "b": 1, "c": 1}


def _one(term):
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def test_large_images_attract(world, pod):
    for name in "ab":
        world.node(name)
    node = {"metadata": {"name": "c", "labels": {}}, "spec": {}}
    room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    images = [{"names": ["i:1"], "sizeBytes": 2_000_000_000}]
    world.nodes.put_node({**node, "status": {"allocatable": room, "images": images}})
    assert {world.decide(pod()).node for _ in range(5)} == {"c"}


def test_a_vanished_node_leaves_its_pods_counted_until_they_are_gone(world, pod):
    world.node("a", cpu="1")
    running = pod(cpu="1")
    world.run(running, "a")
    world.nodes.remove_node("a")
    assert len(world.nodes) == 0
    world.node("a", cpu="1")
    assert not world.decide(pod(cpu="1")).node
    world.nodes.remove_pod(running["metadata"]["uid"])
    assert world.decide(pod(cpu="1")).node == "a"


def test_a_pod_on_a_node_not_yet_seen_makes_no_node(world, pod):
    world.run(pod(cpu="1"), "later")
    assert world.decide(pod()).message == "no nodes available to schedule pods"
    world.node("later", cpu="1")
    assert not world.decide(pod(cpu="1")).node


def _with_claim(world, pod, name="data", **spec):
    key = ObjectKey("default", name)
    world.cluster.claims[key] = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": name}}])


def test_a_claim_for_one_pod_serves_one_pod(world, pod):
    world.node("a")
    world.node("b")
    world.cluster.volumes[ObjectKey("", "pv")] = {"metadata": {"name": "pv"}, "spec": {}}
    asking = _with_claim(world, pod, volumeName="pv", accessModes=["ReadWriteOncePod"])
    assert world.place(asking)
    asking["metadata"]["uid"] = "another"
    assert world.decide(asking).message == (
        "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and "
        "ReadWriteOncePod access mode."
    )


def test_ephemeral_volumes_wait_for_their_own_claim(world, pod):
    world.node("a")
    asking = pod(volumes=[{"name": "v", "ephemeral": {}}])
    assert world.decide(asking).message == (
        '0/1 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v".'
    )
    key = ObjectKey("default", "p-v")
    world.cluster.volumes[ObjectKey("", "pv")] = {"metadata": {"name": "pv"}, "spec": {}}
    world.cluster.claims[key] = {"metadata": {"name": "p-v", "namespace": "default"}, "spec": {"volumeName": "pv"}}
    assert "(pod is not owner)" in world.decide(asking).message
    world.cluster.claims[key]["metadata"]["ownerReferences"] = [{"uid": asking["metadata"]["uid"]}]
    assert world.decide(asking).node == "a"


def test_a_claim_whose_volume_is_missing(world, pod):
    world.node("a")
    assert world.decide(_with_claim(world, pod, volumeName="gone")).message == (
        "0/1 nodes are available: 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)."
    )


def test_drivers_limit_the_volumes_of_a_node(world, pod):
    world.node("a")
    world.cluster.csi_nodes[ObjectKey("", "a")] = {
        "metadata": {"name": "a"},
        "spec": {"drivers": [{"name": "d", "allocatable": {"count": 1}}]},
    }
    for name in ("one", "two"):
        csi = {"driver": "d", "volumeHandle": name}
        world.cluster.volumes[ObjectKey("", name)] = {"metadata": {"name": name}, "spec": {"csi": csi}}
    first, second = (_with_claim(world, pod, name, volumeName=name) for name in ("one", "two"))
    assert world.place(first) == "a"
    assert world.decide(second).message == "0/1 nodes are available: 1 node(s) exceed max volume count."
    assert world.decide(_with_claim(world, pod, "one", volumeName="one")).node == "a"


def test_a_volume_of_a_zone_wants_a_node_of_it(world, pod):
    world.node("a", labels={ZONE: "1"})
    labels = {ZONE: "2__3"}
    world.cluster.volumes[ObjectKey("", "pv")] = {"metadata": {"name": "pv", "labels": labels}, "spec": {}}
    asking = _with_claim(world, pod, volumeName="pv")
    assert world.decide(asking).message == "0/1 nodes are available: 1 node(s) had no available volume zone."
    world.node("b", labels={ZONE: "3"})
    assert world.decide(asking).node == "b"


def test_labels_that_come_and_go_do_not_pile_up(world):
    world.nodes.label_column("kubernetes.io/hostname")
    for number in range(3000):
        world.node(f"n{number}", taints=[{"key": f"k{number}", "effect": "NoSchedule"}])
        world.nodes.remove_node(f"n{number}")
    assert len(world.nodes._value_ids.get("kubernetes.io/hostname", ())) < 2000
    assert len(world.nodes.taint_classes) < 200
    assert world.nodes.rows == 64
