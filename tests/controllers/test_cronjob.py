from datetime import UTC, datetime
from typing import Any

import pytest

from kajitori.api.batch import CRON_JOB, JOB
from kajitori.api.cron import parse_cron
from kajitori.controllers.cronjob.controller import CronJobController
from kajitori.controllers.cronjob.plan import due, plan, surplus_history
from kajitori.controllers.cronjob.schedule import UnknownTimeZone, next_after, zone_of

UTC_ZONE = zone_of(None)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def following(schedule: str, after: str, zone: str | None = None) -> str | None:
    found = next_after(parse_cron(schedule), at(after), zone_of(zone))
    return None if found is None else datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-03-01 10:00:30", "2026-03-01 10:01"),
        ("*/15 * * * *", "2026-03-01 10:46", "2026-03-01 11:00"),
        ("5/20 * * * *", "2026-03-01 10:26", "2026-03-01 10:45"),
        ("0 9-17/4 * * *", "2026-03-01 10:00", "2026-03-01 13:00"),
        ("30 4 1,15 * *", "2026-03-02 00:00", "2026-03-15 04:30"),
        ("0 0 * * MON", "2026-03-01 00:00", "2026-03-02 00:00"),
        ("0 0 13 * FRI", "2026-03-01 00:00", "2026-03-06 00:00"),
        ("0 0 29 feb ?", "2026-03-01 00:00", "2028-02-29 00:00"),
        ("0 0 31 12 *", "2026-12-31 00:00", "2027-12-31 00:00"),
        ("0 0 30 2 *", "2026-03-01 00:00", None),
        ("@hourly", "2026-03-01 10:00", "2026-03-01 11:00"),
        ("@weekly", "2026-03-02 10:00", "2026-03-08 00:00"),
    ],
)
def test_the_next_moment(schedule: str, after: str, expected: str | None) -> None:
    assert following(schedule, after) == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-01-10 00:00", "2026-01-10 01:30"),
        ("2026-07-10 00:00", "2026-07-10 00:30"),
        ("2026-03-28 02:00", "2026-03-30 00:30"),
        ("2026-10-24 23:00", "2026-10-25 00:30"),
        ("2026-10-25 00:31", "2026-10-26 01:30"),
    ],
    ids=["winter", "summer", "an hour that does not exist is left out", "an hour that comes twice", "counts once"],
)
def test_time_zones(after: str, expected: str) -> None:
    assert following("30 2 * * *", after, "Europe/Berlin") == expected


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(UnknownTimeZone):
        zone_of("Moon/Base")


def make_cronjob(schedule: str = "*/10 * * * *", last: str = "", **spec: Any) -> dict[str, Any]:
    status = {"lastScheduleTime": f"{last}Z".replace(" ", "T")} if last else {}
    template = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default", "uid": "c1", "creationTimestamp": "2026-03-01T10:00:00Z"},
        "spec": {
            "schedule": schedule,
            "jobTemplate": template,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
            **spec,
        },
        "status": status,
    }


def decide(cronjob: dict[str, Any], now: str, active: int = 0) -> Any:
    jobs = [{"metadata": {"name": f"j{n}"}} for n in range(active)]
    return plan(cronjob, jobs, parse_cron(cronjob["spec"]["schedule"]), UTC_ZONE, at(now))


def test_a_job_is_due_once_for_each_moment() -> None:
    assert decide(make_cronjob(), "2026-03-01 10:09:59").start_s is None
    todo = decide(make_cronjob(), "2026-03-01 10:10")
    assert (todo.start_s, todo.again_s) == (at("2026-03-01 10:10"), 600.1)
    assert decide(make_cronjob(last="2026-03-01 10:10:00"), "2026-03-01 10:15").start_s is None


def test_after_a_pause_only_the_latest_moment_counts() -> None:
    assert decide(make_cronjob(), "2026-03-01 11:05").start_s == at("2026-03-01 11:00")
    found, missed = due(make_cronjob("* * * * *"), parse_cron("* * * * *"), UTC_ZONE, at("2027-03-01 10:00:30"))
    assert found == at("2027-03-01 10:00") and missed == 101
    assert [e[1] for e in decide(make_cronjob("* * * * *"), "2026-03-02 10:00").events] == ["TooManyMissedTimes"]


def test_what_is_later_than_the_deadline_is_not_started() -> None:
    assert decide(make_cronjob(startingDeadlineSeconds=60), "2026-03-01 10:10:30").start_s == at("2026-03-01 10:10")
    assert decide(make_cronjob(startingDeadlineSeconds=60), "2026-03-01 10:12").start_s is None


def test_concurrency_policies() -> None:
    assert decide(make_cronjob(), "2026-03-01 10:10", active=1).start_s is not None
    forbidden = decide(make_cronjob(concurrencyPolicy="Forbid"), "2026-03-01 10:10", active=1)
    assert forbidden.start_s is None and forbidden.events[0][1] == "JobAlreadyActive"
    replaced = decide(make_cronjob(concurrencyPolicy="Replace"), "2026-03-01 10:10", active=2)
    assert replaced.start_s is not None and len(replaced.stop) == 2


def job(name: str, kind: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": name},
        "status": {"conditions": [{"type": kind, "status": "True"}]},
    }


def test_history_keeps_the_newest() -> None:
    jobs = [job(str(n), "Complete") for n in range(5)] + [job("f1", "Failed"), job("f2", "Failed")]
    assert [j["metadata"]["name"] for j in surplus_history(make_cronjob(), jobs)] == ["0", "1", "f1"]


def finish(loops: Any, name: str) -> None:
    done = {"conditions": [{"type": "Complete", "status": "True"}], "completionTime": loops.now()}
    loops.api.edit(JOB, name, lambda j: j.update(status=done))


def test_a_day_passes(loops: Any) -> None:
    async def scenario() -> None:
        cronjob = make_cronjob("0 */6 * * *")
        cronjob["metadata"]["creationTimestamp"] = loops.now()
        loops.api.put(CRON_JOB, cronjob)
        for _ in range(24):
            await loops.settle(3600)
            for running in loops.api.all(JOB):
                if not running.get("status"):
                    finish(loops, running["metadata"]["name"])
            await loops.settle(0)
        created = [c for c in loops.api.calls if c[:2] == ("create", "jobs")]
        assert len(created) == 4
        jobs = loops.api.all(JOB)
        assert len(jobs) == 3
        assert jobs[0]["metadata"]["ownerReferences"][0]["name"] == "tick"
        assert "batch.kubernetes.io/cronjob-scheduled-timestamp" in jobs[0]["metadata"]["annotations"]
        status = loops.api.one(CRON_JOB, "tick")["status"]
        assert "active" not in status
        assert status["lastSuccessfulTime"] and status["lastScheduleTime"]

    loops.run([CronJobController], scenario)
    assert any(e.startswith("SawCompletedJob: Saw completed job: tick-") for e in loops.api.events())


def test_a_suspended_cronjob_sleeps_and_a_bad_time_zone_is_told(loops: Any) -> None:
    async def scenario() -> None:
        suspended = make_cronjob("* * * * *", suspend=True)
        suspended["metadata"]["creationTimestamp"] = loops.now()
        loops.api.put(CRON_JOB, suspended)
        await loops.settle(7200)
        assert loops.api.all(JOB) == []
        loops.api.edit(CRON_JOB, "tick", lambda c: c["spec"].update(suspend=False, timeZone="Moon/Base"))
        await loops.settle(120)
        assert loops.api.all(JOB) == []

    loops.run([CronJobController], scenario)
    assert "UnknownTimeZone: invalid timeZone: unknown time zone Moon/Base" in loops.api.events()


def test_a_schedule_that_never_comes_is_told() -> None:
    decision = decide(make_cronjob("59 23 31 2 *"), "2024-01-01T00:05:00")
    told = "invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second"
    assert decision.events == [("Warning", "InvalidSchedule", told)]
    assert (decision.start_s, decision.again_s) == (None, None)
