"""Who must leave for a more important pod, and what is said when nobody can."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.scheduler.decide import Profile
from kajitori.scheduler.framework import Nomination
from kajitori.scheduler.pod_view import PodView
from kajitori.scheduler.preemption import preempt

ZONE = "topology.kubernetes.io/zone"


@pytest.fixture
def attempt(world):
    def attempt(document, budgets=()):
        view = PodView(document)
        decision = world.decide(document)
        assert not decision.node
        return preempt(view, decision, world.cluster, Profile(), budgets, random.Random(1))

    return attempt


def _budget(labels, allowed):
    selector = {"matchLabels": labels}
    metadata = {"name": "b", "namespace": "default"}
    return {"metadata": metadata, "spec": {"selector": selector}, "status": {"disruptionsAllowed": allowed}}


def _names(preemption):
    return [victim.name for victim in preemption.victims]


def test_equals_stay(world, pod, attempt):
    world.node("a", cpu="1")
    world.run(pod("there", cpu="1", priority=5), "a")
    assert attempt(pod(cpu="1", priority=5)).message == (
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_a_node_that_is_too_small_is_not_helped(world, pod, attempt):
    world.node("small", cpu="1")
    world.node("full", cpu="4", labels={"disk": "ssd"})
    world.node("tainted", cpu="4", taints=[{"key": "k", "effect": "NoSchedule"}])
    world.run(pod("there", cpu="4", priority=9), "full")
    assert attempt(pod(cpu="3", priority=5)).message == (
        "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_nodes_where_leaving_is_not_enough_say_what_is_missing(world, pod, attempt):
    world.node("a", cpu="4")
    world.run(pod("vip", cpu="3", priority=9), "a")
    world.run(pod("low", cpu="1"), "a")
    assert attempt(pod(cpu="2", priority=5)).message == "preemption: 0/1 nodes are available: 1 Insufficient cpu."


def test_a_policy_of_never(world, pod, attempt):
    world.node("a", cpu="1")
    world.run(pod("low", cpu="1"), "a")
    polite = attempt(pod(cpu="1", priority=5, preemptionPolicy="Never"))
    assert polite.message == "preemption: not eligible due to preemptionPolicy=Never."


def test_as_few_and_as_unimportant_as_possible(world, pod, attempt):
    world.node("a", cpu="4")
    for name, priority in (("one", 1), ("two", 2), ("three", 3), ("zero", 0)):
        world.run(pod(name, cpu="1", priority=priority), "a")
    preemption = attempt(pod(cpu="2", priority=5))
    assert (preemption.node, _names(preemption), preemption.message) == ("a", ["one", "zero"], "")


def test_what_was_tried_is_taken_back(world, pod, attempt):
    world.node("a", cpu="4")
    running = [pod(f"p{n}", cpu="1", priority=n) for n in range(4)]
    for document in running:
        world.run(document, "a")
    attempt(pod(cpu="3", priority=9))
    row = world.nodes.row("a")
    assert world.nodes.requested["cpu"][row] == 4000
    assert {p.name for p in world.nodes.pods[row].values()} == {"p0", "p1", "p2", "p3"}


def test_the_later_started_of_equals_leaves(world, pod, attempt):
    world.node("a", cpu="2")
    for name, started in (("young", "2027-01-02T00:00:00Z"), ("old", "2027-01-01T00:00:00Z")):
        world.run({**pod(name, cpu="1"), "status": {"startTime": started}}, "a")
    assert _names(attempt(pod(cpu="1", priority=5))) == ["young"]


def test_budgets_are_broken_last(world, pod, attempt):
    world.node("a", cpu="1")
    world.node("b", cpu="1")
    world.run(pod("guarded", cpu="1", labels={"app": "x"}), "a")
    world.run(pod("important", cpu="1", priority=4), "b")
    assert _names(attempt(pod(cpu="1", priority=5))) == ["guarded"]
    assert _names(attempt(pod(cpu="1", priority=5), [_budget({"app": "x"}, 0)])) == ["important"]
    assert _names(attempt(pod(cpu="1", priority=5), [_budget({"app": "x"}, 1)])) == ["guarded"]


def test_within_a_node_guarded_pods_are_spared_first(world, pod, attempt):
    world.node("a", cpu="2")
    world.run(pod("guarded", cpu="1", labels={"app": "x"}), "a")
    world.run(pod("important", cpu="1", priority=4), "a")
    assert _names(attempt(pod(cpu="1", priority=5), [_budget({"app": "x"}, 0)])) == ["important"]


@pytest.mark.parametrize(
    ("on_a", "on_b", "expected"),
    [
        ([3], [2, 2], "b"),  # the lowest highest priority
        ([2, 2], [2, 1], "b"),  # then the smallest sum
        ([1, 1], [1], "b"),  # then the fewest
    ],
)
def test_the_node_that_loses_least(world, pod, attempt, on_a, on_b, expected):
    for node, priorities in (("a", on_a), ("b", on_b)):
        world.node(node, cpu="4")
        for number, priority in enumerate(priorities):
            world.run(pod(f"{node}{number}", cpu=f"{4000 // len(priorities)}m", priority=priority), node)
    assert attempt(pod(cpu="4", priority=5)).node == expected


def test_anti_affinity_is_a_reason_to_make_someone_leave(world, pod, attempt):
    world.node("a")
    term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "kubernetes.io/hostname"}
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    world.run(pod("x", labels={"app": "x"}), "a")
    world.run(pod("y", labels={"app": "y"}), "a")
    assert _names(attempt(pod(priority=5, affinity=anti))) == ["x"]


def test_the_room_made_is_kept_for_whom_it_was_made(world, pod):
    world.node("a", cpu="2")
    high = PodView(pod("high", cpu="2", priority=9))
    world.cluster.nominated[high.uid] = Nomination(high, "a")
    refusal = world.decide(pod("low", cpu="1"))
    assert refusal.message == "0/1 nodes are available: 1 Insufficient cpu."
    assert world.decide(pod("higher", cpu="1", priority=10)).node == "a"
    assert world.profile.decide(high, world.cluster, random.Random(1)).node == "a"
    assert world.nodes.requested["cpu"][world.nodes.row("a")] == 0


def test_a_nominated_pod_takes_its_node_even_if_another_is_better(world, pod):
    world.node("a", cpu="2")
    world.node("b", cpu="64")
    high = PodView(pod("high", cpu="2", priority=9))
    world.cluster.nominated[high.uid] = Nomination(high, "a")
    assert world.profile.decide(high, world.cluster, random.Random(1)).node == "a"


def test_while_victims_leave_nobody_else_must(world, pod, attempt):
    world.node("a", cpu="1")
    world.node("b", cpu="1")
    leaving = pod("leaving", cpu="1")
    leaving["metadata"]["deletionTimestamp"] = "2027-01-01T00:00:00Z"
    world.run(leaving, "a")
    world.run(pod("other", cpu="1"), "b")
    high = pod("high", cpu="1", priority=9)
    world.cluster.nominated[high["metadata"]["uid"]] = Nomination(PodView(high), "a")
    preemption = attempt(high)
    assert preemption.message == "preemption: not eligible due to a terminating pod on the nominated node."
    assert not preemption.node


def test_the_least_priority_of_a_node_follows_its_pods(world, pod):
    world.node("a")
    row = world.nodes.row("a")
    running = [pod(priority=priority) for priority in (5, 3, 3, 7)]
    for document in running:
        world.run(document, "a")
    seen = []
    for document in (*running[1:3], running[0], running[3]):
        world.nodes.remove_pod(document["metadata"]["uid"])
        seen.append(int(world.nodes.least_priority[row]))
    assert seen == [3, 5, 7, 2**31]


RUNNING = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.integers(0, 9)), max_size=12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(running=RUNNING, cpu=st.integers(1, 4), priority=st.integers(1, 9), allowed=st.integers(0, 2))
def test_those_who_leave_are_less_important_enough_and_not_one_too_many(
    new_world, pod, running, cpu, priority, allowed
):
    world = new_world()
    for name in "abc":
        world.node(name, cpu="4")
    for node, size, rank in running:
        document = pod(cpu=str(size), priority=rank, labels={"app": "x" if rank % 2 else "y"})
        decision = world.decide({**document, "spec": {**document["spec"], "nodeName": node}})
        if decision.node:
            world.run(document, node)
    asking = pod(cpu=str(cpu), priority=priority)
    decision, before = world.decide(asking), _placement(world)
    if decision.node:
        return
    budgets = [_budget({"app": "x"}, allowed)]
    preemption = preempt(PodView(asking), decision, world.cluster, Profile(), budgets, random.Random(1))
    assert _placement(world) == before
    candidates = [n for n in "abc" if 4 - sum(s for m, s, r in _sizes(world) if m == n and r >= priority) >= cpu]
    assert bool(preemption.node) is bool(candidates)
    for victim in preemption.victims:
        assert victim.priority < priority
        world.nodes.remove_pod(victim.uid)
    if preemption.node:
        bound = {**asking, "spec": {**asking["spec"], "nodeName": preemption.node}}
        assert world.decide(bound).node == preemption.node
        for victim in preemption.victims:
            world.nodes.put_pod(victim, preemption.node)
            assert not world.decide(bound).node
            world.nodes.remove_pod(victim.uid)


def _placement(world):
    return {p.uid: world.nodes.node_of_pod(p.uid) for pods in world.nodes.pods for p in pods.values()}


def _sizes(world):
    return [
        (world.nodes.names[row], p.requests["cpu"] // 1000, p.priority)
        for row, pods in enumerate(world.nodes.pods)
        for p in pods.values()
    ]
