"""Overload in virtual time: every request holds its seat for a while, and more come than there are seats."""

import asyncio
from collections import Counter

import pytest

from kajitori.api.core import POD
from kajitori.api.errors import TooManyRequests
from kajitori.api.flowcontrol import FLOW_SCHEMA, PRIORITY_LEVEL_CONFIGURATION
from kajitori.apiserver.bootstrap.flowcontrol import flow_control
from kajitori.apiserver.flow.control import WAIT_S_MAX, FlowControl
from kajitori.apiserver.http_types import Query
from kajitori.apiserver.interfaces import Attributes, User
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

AUTHENTICATED = "system:authenticated"
NODE = User("system:node:n1", ("system:nodes", AUTHENTICATED))
ADMIN = User("admin", ("system:masters", AUTHENTICATED))
SCHEDULER = User("system:kube-scheduler", (AUTHENTICATED,))


def tenant(name):
    return User(name, (AUTHENTICATED,))


def creating(user, namespace="default"):
    return Attributes(user, "create", "", "v1", "configmaps", "", namespace)


def lease(user, namespace="kube-node-lease"):
    return Attributes(user, "update", "coordination.k8s.io", "v1", "leases", "", namespace)


class QuicklySettled(VirtualClock):
    """Between two timers only a few tasks here have something to do, and there are tens of thousands of timers."""

    SETTLE_TURNS = 8


class World:
    def __init__(self, total=60, defaults=True):
        self.clock = QuicklySettled()
        self.objects = FakeObjects()
        if defaults:
            for resource, obj in flow_control():
                self.objects.put(
                    resource, {**obj, "metadata": {**obj["metadata"], "uid": f"uid-{obj['metadata']['name']}"}}
                )
        self.flow = FlowControl(self.clock, total)
        self.flow.start(self.objects)
        self.done = Counter()
        self.refused = Counter()
        self.latest_s = {}

    async def request(self, asked, takes_s=0.1, width=1, label=""):
        label = label or asked.user.name
        began_s = self.clock.monotonic()
        flow = self.flow.flow_of(asked)
        try:
            waited = None if self.flow.enter(flow, width, True) else await self.flow.wait(flow, width, True)
        except TooManyRequests:
            self.refused[label] += 1
            return
        try:
            await self.clock.sleep(takes_s)
        finally:
            self.flow.leave(flow, width, True, waited)
        self.done[label] += 1
        self.latest_s[label] = max(self.latest_s.get(label, 0.0), self.clock.monotonic() - began_s)

    async def client(self, asked, takes_s=0.1):
        """Asks again as soon as it is answered or refused, whatever it is told."""
        while True:
            await self.request(asked, takes_s)
            await self.clock.sleep(0.05)


def run(scenario, **options):
    async def main():
        world = World(**options)
        started = []
        world.spawn = lambda coroutine: started.append(asyncio.create_task(coroutine))
        try:
            await scenario(world)
        finally:
            for task in started:
                task.cancel()
            await asyncio.gather(*started, return_exceptions=True)
        levels = world.flow.configuration.levels.values()
        assert all(level.in_use == 0 and level.queues.waiting == 0 for level in levels)
        assert world.flow.mutating == 0

    asyncio.run(main())


def test_with_seats_to_spare_nobody_waits():
    async def scenario(world):
        flow = world.flow.flow_of(creating(tenant("a")))
        assert flow.headers[0][1] == "uid-global-default" and b"PriorityLevel-UID: uid-global-default\r\n" in flow.lines
        assert world.flow.enter(flow, 1, True) and world.flow.mutating == 1
        world.flow.leave(flow, 1, True, None)
        assert world.flow.flow_of(creating(tenant("a"))) is flow

    run(scenario)


def test_one_tenants_flood_leaves_nodes_leaders_and_administrators_alone():
    async def scenario(world):
        for _ in range(400):
            world.spawn(world.client(creating(tenant("elephant"))))
        await world.clock.advance(2)
        for _ in range(5):
            for asked in (lease(NODE), lease(SCHEDULER, "kube-system"), creating(ADMIN)):
                world.spawn(world.request(asked))
            await world.clock.advance(0.5)
        for user in (NODE, SCHEDULER, ADMIN):
            assert world.done[user.name] == 5 and not world.refused[user.name]
            assert world.latest_s[user.name] <= 0.2 + 1e-6
        assert world.done["elephant"] > 200

    run(scenario)


def test_another_tenant_gets_its_share_of_an_overloaded_level():
    async def scenario(world):
        for _ in range(300):
            world.spawn(world.client(creating(tenant("elephant"))))
        await world.clock.advance(2)
        world.done.clear()
        for _ in range(20):
            world.spawn(world.client(creating(tenant("mouse"))))
        await world.clock.advance(8)
        # By number of clients it would be a sixteenth.
        share = world.done["mouse"] / (world.done["mouse"] + world.done["elephant"])
        assert share > 0.25 and not world.refused["mouse"]

    run(scenario)


def test_idle_levels_lend_seats_and_get_them_back():
    async def scenario(world):
        level = world.flow.configuration.levels["workload-low"]
        account = User("system:serviceaccount:shop:web", ("system:serviceaccounts", AUTHENTICATED))
        for _ in range(200):
            world.spawn(world.client(creating(tenant("elephant"))))
        await world.clock.advance(3)
        busy = world.flow.configuration.levels["global-default"]
        assert busy.in_use > 2 * busy.seats.nominal and level.limit < level.seats.nominal
        for _ in range(60):
            world.spawn(world.client(creating(account)))
        await world.clock.advance(3)
        assert level.in_use >= level.seats.nominal

    run(scenario)


def test_who_waits_too_long_is_refused():
    async def scenario(world):
        for _ in range(60):
            world.spawn(world.request(creating(tenant("slow")), takes_s=60))
        await world.clock.advance(1)
        world.spawn(world.request(creating(tenant("mouse"))))
        await world.clock.advance(WAIT_S_MAX - 0.1)
        assert not world.refused["mouse"]
        await world.clock.advance(0.2)
        assert world.refused["mouse"] == 1
        tally = world.flow.tallies["global-default", "global-default"]
        assert (
            tally.rejected["time-out"] >= 1
            and tally.waiting == world.flow.configuration.levels["global-default"].queues.waiting
        )
        await world.clock.advance(60)

    run(scenario)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back():
    async def scenario(world):
        for _ in range(400):
            world.spawn(world.request(creating(tenant("flood")), takes_s=1))
        await world.clock.advance(0)
        flow = world.flow.flow_of(creating(tenant("flood")))
        assert flow.level.queues.waiting == 6 * 50 and flow.level.in_use == 400 - 300 - world.refused["flood"]
        assert flow.tally.rejected == {"queue-full": world.refused["flood"]}
        with pytest.raises(TooManyRequests) as caught:
            await world.flow.wait(flow, 1, True)
        assert caught.value.message == "Too many requests, please try again later."
        assert caught.value.details == {"retryAfterSeconds": 1}
        await world.clock.advance(60)

    run(scenario)


def test_a_level_without_queues_refuses_what_it_cannot_run():
    async def scenario(world):
        stranger = Attributes(User("odd"), "create", "", "v1", "configmaps", "", "default")
        limit = world.flow.configuration.levels["catch-all"].seats.nominal
        for _ in range(70):
            world.spawn(world.request(stranger, takes_s=1))
        await world.clock.advance(5)
        assert world.flow.flow_of(stranger).level.name == "catch-all"
        assert limit <= world.done["odd"] < 70 and world.done["odd"] + world.refused["odd"] == 70
        assert world.flow.flow_of(stranger).tally.rejected == {"concurrency-limit": world.refused["odd"]}

    run(scenario)


def test_a_client_that_hangs_up_while_it_waits_leaves_its_place():
    async def scenario(world):
        for _ in range(60):
            world.spawn(world.request(creating(tenant("slow")), takes_s=5))
        task = asyncio.create_task(world.request(creating(tenant("gone"))))
        await world.clock.advance(0.1)
        task.cancel()
        await world.clock.advance(12)
        assert world.done["gone"] == 0 and world.done["slow"] == 60

    run(scenario)


def test_refusals_that_go_on_double_the_time_to_come_back():
    async def scenario(world):
        world.objects.put(
            PRIORITY_LEVEL_CONFIGURATION,
            {
                "metadata": {"name": "none"},
                "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0}},
            },
        )
        rule = {
            "subjects": [{"kind": "User", "user": {"name": "x"}}],
            "resourceRules": [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
            ],
        }
        spec = {"matchingPrecedence": 5, "priorityLevelConfiguration": {"name": "none"}, "rules": [rule]}
        world.objects.put(FLOW_SCHEMA, {"metadata": {"name": "x", "uid": "x"}, "spec": spec})
        asked, waits = creating(tenant("x")), []
        world.spawn(world.request(asked, takes_s=100))  # alone, it may run: nothing is refused for ever
        await world.clock.advance(0.5)
        flow = world.flow.flow_of(asked)
        for _ in range(20):
            for _ in range(10):
                with pytest.raises(TooManyRequests) as caught:
                    await world.flow.wait(flow, 1, True)
            waits.append(caught.value.details["retryAfterSeconds"])
            await world.clock.advance(1)
        assert waits[:4] == [1, 2, 2, 4] and max(waits) == 16
        await world.clock.advance(100)

    run(scenario)


def test_changed_objects_take_effect_at_once():
    async def scenario(world):
        asked = creating(tenant("a"))
        assert world.flow.flow_of(asked).level.name == "global-default"
        spec = {
            "matchingPrecedence": 10,
            "priorityLevelConfiguration": {"name": "workload-high"},
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": "a"}}],
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}],
            }],
        }  # fmt: skip
        world.objects.put(FLOW_SCHEMA, {"metadata": {"name": "mine", "uid": "1"}, "spec": spec})
        assert world.flow.flow_of(asked).level.name == "workload-high"
        dangling = {**spec, "priorityLevelConfiguration": {"name": "nowhere"}}
        world.objects.put(FLOW_SCHEMA, {"metadata": {"name": "mine", "uid": "1"}, "spec": dangling})
        assert world.flow.flow_of(asked).level.name == "global-default"

    run(scenario)


def test_without_any_objects_the_mandatory_ones_hold():
    async def scenario(world):
        assert world.flow.flow_of(creating(ADMIN)).level.exempt
        level = world.flow.flow_of(creating(tenant("a"))).level
        assert (level.name, level.limit) == ("catch-all", 60)

    run(scenario, defaults=False)


@pytest.mark.parametrize(
    ("objects", "query", "expected"),
    [
        (0, "", 1),
        (100, "", 1),
        (101, "", 2),
        (10_000, "", 8),
        (10_000, "limit=500", 5),
        (10_000, "limit=999999999999999", 8),
        (10_000, "limit=%C2%B2", 8),
        (10_000, "watch=1&resourceVersion=0", 8),
        (10_000, "watch=1&resourceVersion=77", 1),
        (10_000, "watch=1&resourceVersion=77&sendInitialEvents=true", 8),
    ],
)
def test_wide_lists_take_more_seats_but_never_a_whole_level(objects, query, expected):
    flow = FlowControl(VirtualClock(), 600, count_of=lambda resource: objects)
    shop = FakeObjects()
    for resource, obj in flow_control():
        shop.put(resource, obj)
    flow.start(shop)
    assert flow.width_of(flow.flow_of(creating(tenant("a"))), POD, Query(query)) == expected


def test_the_seats_of_a_list_are_returned_in_the_next_turn():
    later = []
    control = FlowControl(VirtualClock(), 10, next_turn=later.append)
    flow = control.flow_of(creating(tenant("a")))
    assert control.enter(flow, 4, False) and control.enter(flow, 6, False)
    control.leave(flow, 4, False, None)
    assert not control.enter(flow, 1, False)
    [give_back] = later
    give_back()
    assert control.enter(flow, 4, False) and not control.enter(flow, 1, False)
