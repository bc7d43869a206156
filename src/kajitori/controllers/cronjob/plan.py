"""Whether a CronJob must start a Job now, and when to look again. Pure."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from kajitori.api.cron import CronSchedule
from kajitori.api.meta import Object, condition_is, name_of, namespace_of, owner_reference
from kajitori.api.times import parse_timestamp
from kajitori.controllers.cronjob.schedule import next_after

SCHEDULED_ANNOTATION = "batch.kubernetes.io/cronjob-scheduled-timestamp"
# Upstream counts no further: a clock that jumped by years must not be replayed minute by minute.
MISSED_MAX = 100
# Looking a moment late is better than a moment early.
SLACK_S = 0.1
NEVER = "time difference between two schedules is less than 1 second"


@dataclass(slots=True)
class Plan:
    start_s: float | None = None
    """The scheduled moment for which a Job is to be made."""
    stop: list[Object] = field(default_factory=list)
    """Running Jobs that give way to the new one."""
    again_s: float | None = None
    events: list[tuple[str, str, str]] = field(default_factory=list)


def plan(cronjob: Object, active: Sequence[Object], schedule: CronSchedule, zone: ZoneInfo, now_s: float) -> Plan:
    """`active` are the Jobs of this CronJob that still run."""
    result = Plan()
    upcoming_s = next_after(schedule, now_s, zone)
    if upcoming_s is None:
        # The 31st of February: well formed, but it never comes.
        message = f"invalid schedule: {cronjob['spec']['schedule']} : {NEVER}"
        result.events.append(("Warning", "InvalidSchedule", message))
        return result
    result.again_s = upcoming_s - now_s + SLACK_S
    scheduled_s, missed = due(cronjob, schedule, zone, now_s)
    if missed > MISSED_MAX:
        message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        result.events.append(("Warning", "TooManyMissedTimes", message))
    if scheduled_s is None:
        return result
    deadline_s = cronjob["spec"].get("startingDeadlineSeconds")
    if deadline_s is not None and scheduled_s + deadline_s < now_s:
        when = datetime.fromtimestamp(scheduled_s, zone).strftime("%a, %d %b %Y %H:%M:%S %z")
        result.events.append(("Warning", "MissSchedule", f"Missed scheduled time to start a job: {when}"))
        return result
    policy = cronjob["spec"].get("concurrencyPolicy") or "Allow"
    if active and policy == "Forbid":
        message = "Not starting job because prior execution is running and concurrency policy is Forbid"
        result.events.append(("Normal", "JobAlreadyActive", message))
        return result
    if policy == "Replace":
        result.stop = list(active)
    result.start_s = scheduled_s
    return result


def due(cronjob: Object, schedule: CronSchedule, zone: ZoneInfo, now_s: float) -> tuple[float | None, int]:
    """The latest moment that has come without a Job, and how many have (counted to just beyond MISSED_MAX)."""
    last = (cronjob.get("status") or {}).get("lastScheduleTime")
    since_s = parse_timestamp(last or cronjob["metadata"]["creationTimestamp"])
    deadline_s = cronjob["spec"].get("startingDeadlineSeconds")
    if deadline_s is not None:
        since_s = max(since_s, now_s - deadline_s)
    found, missed = None, 0
    moment_s = next_after(schedule, since_s, zone)
    while moment_s is not None and moment_s <= now_s:
        found, missed = moment_s, missed + 1
        if missed > MISSED_MAX:
            # Far behind: step from shortly before now instead.
            found = _latest_before(schedule, zone, found, now_s)
            break
        moment_s = next_after(schedule, moment_s, zone)
    return found, missed


def _latest_before(schedule: CronSchedule, zone: ZoneInfo, known_s: float, now_s: float) -> float:
    """Look back over ever longer spans until one holds a scheduled moment; `known_s` is one for certain."""
    span_s = 120.0
    while now_s - span_s > known_s:
        moment_s = next_after(schedule, now_s - span_s, zone)
        if moment_s is not None and moment_s <= now_s:
            return _last_from(schedule, zone, moment_s, now_s)
        span_s *= 2
    return _last_from(schedule, zone, known_s, now_s)


def _last_from(schedule: CronSchedule, zone: ZoneInfo, moment_s: float, now_s: float) -> float:
    following_s = next_after(schedule, moment_s, zone)
    while following_s is not None and following_s <= now_s:
        moment_s, following_s = following_s, next_after(schedule, following_s, zone)
    return moment_s


def job_name(cronjob: Object, scheduled_s: float) -> str:
    """Made from the scheduled minute, so that the same moment can never start two Jobs."""
    return f"{name_of(cronjob)}-{int(scheduled_s) // 60}"


def make_job(cronjob: Object, scheduled_s: float, zone: ZoneInfo) -> Object:
    template = cronjob["spec"]["jobTemplate"]
    meta = template.get("metadata") or {}
    at = datetime.fromtimestamp(scheduled_s, zone).isoformat().replace("+00:00", "Z")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(cronjob, scheduled_s),
            "namespace": namespace_of(cronjob),
            "labels": dict(meta.get("labels") or {}),
            "annotations": {**(meta.get("annotations") or {}), SCHEDULED_ANNOTATION: at},
            "ownerReferences": [owner_reference(cronjob)],
        },
        "spec": copy.deepcopy(template["spec"]),
    }


def surplus_history(cronjob: Object, jobs: Iterable[Object]) -> list[Object]:
    """Finished Jobs beyond the limits, the oldest first."""
    surplus: list[Object] = []
    finished = list(jobs)
    for condition, limit_name in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        limit = cronjob["spec"].get(limit_name)
        mine = sorted((j for j in finished if condition_is(j, condition)), key=_started)
        if limit is not None and len(mine) > limit:
            surplus += mine[: len(mine) - limit]
    return surplus


def _started(job: Object) -> tuple[str, str]:
    status = job.get("status") or {}
    return status.get("startTime") or job["metadata"].get("creationTimestamp") or "", name_of(job)
