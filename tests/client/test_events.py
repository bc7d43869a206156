"""Events as a user reads them: repeats counted, floods combined and cut, nothing waited for."""

import asyncio

import pytest

from kajitori.api.errors import Forbidden, ServiceUnavailable
from kajitori.client.event_series import BURST, Correlator, Occurrence
from kajitori.client.events import QUEUE_MAX, EventRecorder
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import VirtualClock

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "namespace": "web", "uid": "u1"}}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "u2"}}


def record(server, story):
    async def main():
        clock = VirtualClock()
        recorder = EventRecorder(server, clock, "kubelet", "node-1")
        await story(recorder, clock)
        await clock.settle()
        await recorder.close()

    asyncio.run(main())
    return list(server.objects.values())


def test_an_event_says_what_happened_to_what(server):
    async def story(recorder, clock):
        recorder.event(POD, "Normal", "Pulled", "Image present", field_path="spec.containers{web}")
        await recorder.flush()

    (event,) = record(server, story)
    name = event["metadata"].pop("name")
    assert name.startswith("web-1.") and int(name.removeprefix("web-1."), 16)
    event["metadata"] = {"namespace": event["metadata"]["namespace"]}
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "web"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": "web-1",
            "namespace": "web",
            "uid": "u1",
            "fieldPath": "spec.containers{web}",
        },
        "type": "Normal",
        "reason": "Pulled",
        "message": "Image present",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2027-01-15T08:00:00Z",
        "lastTimestamp": "2027-01-15T08:00:00Z",
        "count": 1,
        "eventTime": None,
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    }


def test_events_of_cluster_scoped_objects_are_in_default(server):
    async def story(recorder, clock):
        recorder.event(NODE, "Normal", "NodeReady", "ready")

    (event,) = record(server, story)
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


def test_a_repeat_counts_up(server):
    async def story(recorder, clock):
        for _ in range(3):
            recorder.event(POD, "Warning", "BackOff", "restarting failed container")
            await clock.advance(30)

    (event,) = record(server, story)
    assert event["count"] == 3
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z")
    assert server.calls == ["create", "patch", "patch"]


def test_different_events_at_one_moment_are_all_kept(server):
    async def story(recorder, clock):
        for reason in ("Scheduled", "Pulled", "Created", "Started"):
            recorder.event(POD, "Normal", reason, "done")

    assert [e["reason"] for e in record(server, story)] == ["Scheduled", "Pulled", "Created", "Started"]


def test_a_series_goes_on_after_its_object_expired(server):
    async def story(recorder, clock):
        recorder.event(POD, "Warning", "BackOff", "again")
        await recorder.flush()
        server.objects.clear()
        recorder.event(POD, "Warning", "BackOff", "again")

    (event,) = record(server, story)
    assert event["count"] == 2


def test_passing_trouble_is_waited_out(server):
    async def story(recorder, clock):
        server.fail = [Disconnected("reset"), ServiceUnavailable("starting")]
        recorder.event(POD, "Normal", "Pulled", "x")
        await clock.advance(10)

    assert len(record(server, story)) == 1


def test_a_refusal_is_final(server):
    async def story(recorder, clock):
        server.fail = [Forbidden("namespace web is being terminated")]
        recorder.event(POD, "Normal", "Killing", "x")
        recorder.event(POD, "Normal", "Killed", "y")
        await clock.advance(60)

    assert [e["reason"] for e in record(server, story)] == ["Killed"]


def test_a_try_whose_answer_got_lost_is_not_doubled(server):
    async def story(recorder, clock):
        create = server.create

        async def lose_the_answer(*args, **options):
            await create(*args, **options)
            server.create = create
            raise Disconnected("reset")

        server.create = lose_the_answer
        recorder.event(POD, "Normal", "Pulled", "x")
        await clock.advance(10)
        recorder.event(POD, "Normal", "Pulled", "x")

    (event,) = record(server, story)
    assert event["count"] == 2


def test_recording_never_waits_and_the_queue_is_bounded(server, caplog):
    async def story(recorder, clock):
        server.fail = [Disconnected("down")]
        recorder.event(POD, "Normal", "First", "x")
        await clock.settle()
        for n in range(QUEUE_MAX + 5):
            named = {**POD, "metadata": {**POD["metadata"], "name": f"p{n}"}}
            recorder.event(named, "Normal", "Pulled", "x")
        await clock.advance(100)
        await recorder.flush()

    kept = record(server, story)
    assert len(kept) == QUEUE_MAX + 1
    assert "5 events dropped" in caplog.text


def occurrence(message="m", at_s=0.0, reason="R", name="a"):
    return Occurrence({"kind": "Pod", "name": name, "uid": "u"}, "Normal", reason, message, at_s)


def test_many_that_differ_in_words_only_are_combined():
    correlator = Correlator()
    series = [correlator.take(occurrence(f"attempt {n}")) for n in range(15)]
    assert len({id(s) for s in series}) == 10
    assert series[-1].message == "(combined from similar events): attempt 14"
    assert series[-1].count == 6


def test_similar_events_far_apart_are_not_combined():
    correlator = Correlator()
    series = [correlator.take(occurrence(f"attempt {n}", at_s=n * 700.0)) for n in range(15)]
    assert len({id(s) for s in series}) == 15


@pytest.mark.parametrize(("pause_s", "expected"), [(0.0, int(BURST)), (300.0, 100)])
def test_a_chatterer_is_silenced(pause_s, expected):
    correlator = Correlator()
    said = [correlator.take(occurrence(reason=f"R{n}", at_s=n * pause_s)) for n in range(100)]
    assert sum(s is not None for s in said) == expected
    assert correlator.take(occurrence(name="b")) is not None
