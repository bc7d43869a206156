"""Whatever the cluster and the pods: the arrays decide what the plain reference decides, and say the same."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.scheduler.decide import availability
from kajitori.scheduler.pod_view import PodView

_spec = spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
_module = module_from_spec(_spec)
_spec.loader.exec_module(_module)
Reference, ZONE, HOSTNAME = _module.Reference, _module.ZONE, _module.HOSTNAME

KEYS = st.sampled_from([ZONE, HOSTNAME, "rack"])
APPS = st.sampled_from(["x", "y"])
TERM = st.builds(lambda app, key: {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}, APPS, KEYS)
PREFERRED = st.builds(lambda weight, term: {"weight": weight, "podAffinityTerm": term}, st.integers(1, 100), TERM)


SOME_PREFERRED = st.lists(PREFERRED, max_size=2)


def _affinity(required, preferred):
    return st.fixed_dictionaries(
        {
            "requiredDuringSchedulingIgnoredDuringExecution": required,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    )


def _distinct(constraints):
    hard, soft = constraints
    return hard + [c for c in soft if c["topologyKey"] not in [h["topologyKey"] for h in hard]]


@st.composite
def nodes(draw):
    found = {}
    for number in range(draw(st.integers(1, 7))):
        name = f"n{number}"
        labels = {HOSTNAME: name}
        labels |= draw(
            st.fixed_dictionaries({}, optional={ZONE: st.sampled_from("abc"), "rack": st.sampled_from("rs")})
        )
        taint = st.builds(
            lambda key, effect: {"key": key, "effect": effect},
            st.sampled_from(["k", "l"]),
            st.sampled_from(["NoSchedule", "PreferNoSchedule"]),
        )
        spec = draw(st.fixed_dictionaries({}, optional={"taints": st.lists(taint, max_size=2)}))
        if draw(st.integers(0, 9)) == 0:
            spec["unschedulable"] = True
        room = {
            "cpu": draw(st.sampled_from(["1", "4", "4"])),
            "memory": draw(st.sampled_from(["1Gi", "3Gi"])),
            "pods": draw(st.sampled_from(["3", "110", "110"])),
        }
        found[name] = {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": room}}
    return found


def _spreads(when):
    one = st.builds(lambda skew, term: {"maxSkew": skew, "whenUnsatisfiable": when, **term}, st.integers(1, 3), TERM)
    return st.lists(one, min_size=1, max_size=2, unique_by=lambda c: c["topologyKey"])


SOFT = {
    "tolerations": st.just([{"key": "k", "operator": "Exists"}]),
    "topologySpreadConstraints": _spreads("ScheduleAnyway"),
    "affinity": st.fixed_dictionaries(
        {}, optional={kind: _affinity(st.just([]), SOME_PREFERRED) for kind in ("podAffinity", "podAntiAffinity")}
    ),
}
HARD = {
    "nodeSelector": st.fixed_dictionaries({ZONE: st.sampled_from("ab")}),
    "topologySpreadConstraints": st.tuples(_spreads("DoNotSchedule"), _spreads("ScheduleAnyway")).map(_distinct),
    "affinity": st.fixed_dictionaries(
        {},
        optional={
            kind: _affinity(st.lists(TERM, min_size=1, max_size=2), SOME_PREFERRED)
            for kind in ("podAffinity", "podAntiAffinity")
        },
    ),
}
SPEC = st.one_of(st.just({}), st.fixed_dictionaries({}, optional=SOFT), st.fixed_dictionaries({}, optional=HARD))
REQUESTS = st.fixed_dictionaries(
    {}, optional={"cpu": st.sampled_from(["100m", "700m"]), "memory": st.sampled_from(["64Mi", "512Mi"])}
)


@st.composite
def pods(draw):
    found = []
    for number in range(draw(st.integers(1, 14))):
        spec = draw(SPEC)
        container = {"name": "c", "image": "i:1", "resources": {"requests": draw(REQUESTS)}}
        metadata = {
            "name": f"p{number}",
            "uid": f"u{number}",
            "namespace": draw(st.sampled_from(["default", "default", "default", "other"])),
            "labels": {"app": draw(APPS)},
        }
        found.append({"metadata": metadata, "spec": {"containers": [container], **spec}})
    return found


class Choice:
    """A random that tells how many equals it chose from."""

    def randrange(self, count):
        self.count = count
        return count - 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(nodes=nodes(), pods=pods(), leaving=st.sets(st.integers(0, 13), max_size=4))
def test_decisions_are_those_of_the_reference(new_world, nodes, pods, leaving):
    world, running = new_world(), {name: [] for name in nodes}
    for node in nodes.values():
        world.nodes.put_node(node)
    reference = Reference(nodes, running)
    for number, pod in enumerate(pods):
        best, reasons = reference.decide(pod)
        choice = Choice()
        decision = world.profile.decide(PodView(pod), world.cluster, choice)
        if best:
            assert decision.node in best
            assert choice.count == len(best)
            world.nodes.put_pod(PodView(pod), decision.node)
            running[decision.node].append(pod)
        else:
            assert decision.message == availability(len(nodes), reasons)
        if number in leaving:
            gone = pods[number // 2]
            world.nodes.remove_pod(gone["metadata"]["uid"])
            for there in running.values():
                there[:] = [p for p in there if p is not gone]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(nodes=nodes(), pods=pods())
def test_kept_answers_are_what_a_fresh_table_gives(new_world, nodes, pods):
    """The same placements, once with everything remembered and once told all at once to a new table."""
    world, placed = new_world(), []
    for node in nodes.values():
        world.nodes.put_node(node)
    for pod in pods:
        fresh = new_world()
        for node in nodes.values():
            fresh.nodes.put_node(node)
        for there, where in placed:
            fresh.run(there, where)
        decision = world.decide(pod)
        assert decision == fresh.decide(pod)
        if decision.node:
            world.run(pod, decision.node)
            placed.append((pod, decision.node))
