"""Leader election: never two, soon another one."""

import asyncio
import random

import pytest

from kajitori.api.meta import ObjectKey
from kajitori.client.interface import Disconnected
from kajitori.client.leader import LeaderElection, LeadershipLost, LeaseTiming
from kajitori.kit.clock import VirtualClock

LEASE = ObjectKey("kube-system", "controllers")


class Candidate:
    def __init__(self, server, clock, identity):
        self.election = LeaderElection(
            server, clock, name="controllers", identity=identity, rng=random.Random(identity)
        )
        self.acting = False
        self.finish = asyncio.Event()
        self.task = asyncio.ensure_future(self.election.run(self.act))

    async def act(self):
        self.acting = True
        try:
            await self.finish.wait()
        finally:
            self.acting = False

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def play(server, story):
    async def main():
        clock = VirtualClock()
        candidates = []

        def candidate(identity):
            candidates.append(Candidate(server, clock, identity))
            return candidates[-1]

        await story(candidate, clock)
        for one in candidates:
            await one.stop()

    asyncio.run(main())


def test_the_first_leads_and_renews(server):
    async def story(candidate, clock):
        one = candidate("one")
        await clock.advance(60)
        assert one.acting and one.election.leading
        spec = server.objects[LEASE]["spec"]
        assert spec["holderIdentity"] == "one"
        assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (15, 0)
        assert spec["acquireTime"] == "2027-01-15T08:00:00.000000Z"
        assert spec["renewTime"] == "2027-01-15T08:01:00.000000Z"

    play(server, story)


def test_the_second_stands_by(server):
    async def story(candidate, clock):
        candidate("one")
        await clock.settle()
        two = candidate("two")
        await clock.advance(300)
        assert not two.acting

    play(server, story)


def test_a_lease_given_back_is_taken_at_once(server):
    async def story(candidate, clock):
        one = candidate("one")
        await clock.settle()
        two = candidate("two")
        await clock.advance(10)
        await one.stop()
        assert not one.acting
        assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
        await clock.advance(5)
        assert two.acting
        assert server.objects[LEASE]["spec"]["leaseTransitions"] == 1

    play(server, story)


def test_a_holder_that_died_is_replaced_after_the_lease_ran_out(server):
    async def story(candidate, clock):
        one = candidate("one")
        await clock.advance(10)
        one.election._client = None  # so that it cannot give the lease back
        one.task.cancel()
        two = candidate("two")
        await clock.advance(14)
        assert not two.acting
        await clock.advance(6)
        assert two.acting

    play(server, story)


def test_who_cannot_renew_stops_before_another_starts(server):
    async def story(candidate, clock):
        one = candidate("one")
        await clock.advance(10)
        two = candidate("two")
        cut = CutOff()
        one.election._client = cut
        both = False
        for _ in range(60):
            await clock.advance(0.5)
            both = both or (one.acting and two.acting)
        assert not both
        assert two.acting
        with pytest.raises(LeadershipLost, match="kube-system/controllers"):
            await one.task

    play(server, story)


class CutOff:
    async def get(self, *_, **__):
        raise Disconnected("no route")

    create = update = get


def test_a_server_that_hangs_costs_the_lead_too(server):
    async def story(candidate, clock):
        one = candidate("one")
        await clock.advance(10)

        async def hang(*_, **__):
            await asyncio.get_running_loop().create_future()

        server.get = hang
        await clock.advance(9)
        assert one.acting
        await clock.advance(3)
        assert not one.acting
        with pytest.raises(LeadershipLost):
            await one.task

    play(server, story)


def test_a_short_outage_changes_nothing(server):
    async def story(candidate, clock):
        one = candidate("one")
        await clock.advance(10)
        server.fail = [Disconnected("restarting")] * 3
        await clock.advance(30)
        assert one.acting

    play(server, story)


def test_work_that_ends_gives_the_lease_back(server):
    async def story(candidate, clock):
        one = candidate("one")
        await clock.settle()
        one.finish.set()
        await clock.settle()
        assert one.task.done() and one.task.result() is None
        assert server.objects[LEASE]["spec"]["holderIdentity"] == ""

    play(server, story)


def test_of_two_that_start_together_one_leads(server):
    async def story(candidate, clock):
        one, two = candidate("one"), candidate("two")
        await clock.advance(30)
        assert one.acting != two.acting

    play(server, story)


@pytest.mark.parametrize("timing", [(10, 10.0, 2.0), (15, 2.0, 2.0), (15, 10.0, 0.0)])
def test_timing_that_would_allow_two_is_refused(timing):
    with pytest.raises(ValueError, match="duration > renew > retry"):
        LeaseTiming(*timing)
