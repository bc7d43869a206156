"""A plugin in ten lines, and profiles put together from what there is."""

import numpy as np
import pytest

from kajitori.scheduler.configuration import ConfigurationError, profiles_of
from kajitori.scheduler.decide import Profile
from kajitori.scheduler.framework import Change, Filter, Score


class OnlyGreen(Filter):
    name = "OnlyGreen"
    refusal = "node(s) weren't green"

    def filter(self, pod, cluster):
        nodes = cluster.nodes
        return nodes.label_column("colour") == nodes.value_id("colour", "green")


class LastInTheAlphabet(Score):
    name = "LastInTheAlphabet"
    weight = 1000

    def score(self, pod, cluster, feasible):
        return np.array([float(ord(name[0]) - ord("a")) if name else 0.0 for name in cluster.nodes.names])


def test_a_filter_of_ones_own(world, pod):
    world.profile = Profile().with_plugins(OnlyGreen())
    world.node("a", labels={"colour": "red"})
    refusal = world.decide(pod())
    assert refusal.message == "0/1 nodes are available: 1 node(s) weren't green."
    assert refusal.wakes_on == Change.ANY
    world.node("b", labels={"colour": "green"})
    assert world.decide(pod()).node == "b"


def test_a_score_of_ones_own(world, pod):
    world.profile = Profile().with_plugins(LastInTheAlphabet())
    for name in ("a", "z", "m"):
        world.node(name, cpu="4" if name == "z" else "64")
    assert world.decide(pod(cpu="1")).node == "z"


def test_a_plugin_left_out_has_no_say(world, pod):
    world.node("a", unschedulable=True)
    assert not world.decide(pod()).node
    world.profile = world.profile.without("NodeUnschedulable")
    assert world.decide(pod()).node == "a"


def test_weights_decide_between_preferences(world, pod):
    world.node("roomy", cpu="64")
    world.node("near", cpu="2", labels={"near": "yes"})
    preferred = [{"weight": 1, "preference": {"matchExpressions": [{"key": "near", "operator": "Exists"}]}}]
    asking = pod(cpu="1", affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}})
    assert world.decide(asking).node == "near"
    world.profile = world.profile.with_weights(NodeAffinity=0)
    assert world.decide(asking).node == "roomy"


def test_an_unknown_plugin_is_named(world):
    with pytest.raises(ValueError, match=r"no such scheduler plugin: Nope; there are .*NodeResourcesFit"):
        Profile().without("Nope")


def _configuration(**points):
    return {"profiles": [{"schedulerName": "mine", "plugins": points}]}


def test_a_configuration_document_names_what_to_leave_out_add_and_weigh(world, pod):
    points = {
        "disabled": [{"name": "NodeUnschedulable"}],
        "enabled": [{"name": f"{__name__}:OnlyGreen"}, {"name": "NodeAffinity", "weight": 7}],
    }
    world.profile = profiles_of(_configuration(multiPoint=points))["mine"]
    world.node("a", unschedulable=True, labels={"colour": "green"})
    world.node("b")
    assert world.decide(pod()).node == "a"


def test_everything_may_be_left_out_and_some_taken_back(world, pod):
    points = {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit"}]}
    profile = profiles_of(_configuration(multiPoint=points))["mine"]
    assert [plugin.name for plugin in (*profile.filters, *profile.scores)] == ["NodeResourcesFit"] * 2
    scoreless = profiles_of(_configuration(score={"disabled": [{"name": "*"}]}))["mine"]
    assert scoreless.filters and not scoreless.scores


def test_no_profiles_means_the_default_one():
    assert list(profiles_of({})) == ["default-scheduler"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (_configuration(multiPoint={"disabled": [{"name": "Nope"}]}), "no such scheduler plugin: Nope"),
        (_configuration(multiPoint={"enabled": [{"name": "Nope"}]}), "no such scheduler plugin: Nope"),
        (_configuration(multiPoint={"enabled": [{"name": "no.such:Plugin"}]}), "was not found"),
        (_configuration(reserve={}), "no such extension point: reserve"),
        ({"profiles": [{}, {}]}, "two profiles named"),
    ],
)
def test_a_configuration_that_makes_no_sense_says_what_is_wrong(document, message):
    with pytest.raises(ConfigurationError, match=message):
        profiles_of(document)
