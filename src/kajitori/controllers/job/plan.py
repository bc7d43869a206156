"""What a Job does next. Pure: the Job and its pods in; pods to create, delete and release, and a status out.

The order of the parts: count what has ended, judge failure and success, then run as many pods as are still wanted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kajitori.api.meta import Object, condition_is, condition_of, is_deleting, uid_of
from kajitori.api.pods import is_ready, is_terminal, phase
from kajitori.api.times import parse_timestamp, timestamp
from kajitori.controllers.job import indexes
from kajitori.controllers.job.pods import (
    finished_at_s,
    has_failed,
    index_failures_of,
    index_of,
    is_active,
    is_indexed,
    is_tracked,
    replaces_failed_only,
    restarts,
)
from kajitori.controllers.job.policies import FAIL_INDEX, FAIL_JOB, IGNORE, early_success, judge_failure
from kajitori.controllers.pods import deletion_order
from kajitori.kit.backoff import Backoff

# A pod that fails is replaced after 10 s, 20 s, 40 s ... ten minutes at most.
FAILURE_BACKOFF = Backoff(initial_s=10.0, max_s=600.0)
WRITES_PER_ROUND_MAX = 500


@dataclass(slots=True)
class Plan:
    """`release`: take the finalizer off; `drop`: do so and delete, for pods that are not to be counted; `delete`."""

    status: Object
    create: list[tuple[int | None, int]] = field(default_factory=list)
    """(index, failures of that index so far)"""
    delete: list[Object] = field(default_factory=list)
    drop: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)
    again_s: float | None = None
    events: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Count:
    """What has ended so far. `succeeded` and `failed` include pods whose finalizer still stands."""

    succeeded: int
    failed: int
    done: set[int]
    failed_indexes: set[int]
    fatal: str = ""
    """The message of a pod failure policy that ends the Job."""


def plan(job: Object, pods: Sequence[Object], now_s: float) -> Plan:
    status = dict(job.get("status") or {})
    result = Plan(status)
    if is_finished(job):
        result.release = [pod for pod in pods if is_tracked(pod)]
        return result
    if is_deleting(job):
        return result
    _keep_start_time(job, status, now_s, result)
    count = _count(job, pods, status, result)
    active = [pod for pod in pods if is_active(pod)]
    terminating = [pod for pod in pods if is_deleting(pod) and not is_terminal(pod)]
    failure = _failure(job, status, count, active, now_s)
    success = "" if failure else _success(job, status, count, active)
    if failure or success:
        result.delete = active
        _end(status, failure, success, settled=not active and not terminating, now_s=now_s, result=result)
    elif job["spec"].get("suspend"):
        result.drop = active
    else:
        _run(job, pods, active, terminating, count, now_s, result)
    _fill_counters(job, status, active, terminating, count)
    _wait_for_deadline(job, status, now_s, result)
    return result


def is_finished(job: Object) -> bool:
    return condition_is(job, "Complete") or condition_is(job, "Failed")


def _keep_start_time(job: Object, status: Object, now_s: float, result: Plan) -> None:
    """The deadline counts from the start, and starts anew after a suspension."""
    suspended = bool(job["spec"].get("suspend"))
    was = condition_of(job, "Suspended")
    if suspended:
        status.pop("startTime", None)
        if was is None or was["status"] != "True":
            _set(status, "Suspended", "True", "JobSuspended", "Job suspended", now_s)
            result.events.append(("Normal", "Suspended", "Job suspended"))
        return
    if was is not None and was["status"] == "True":
        _set(status, "Suspended", "False", "JobResumed", "Job resumed", now_s)
        result.events.append(("Normal", "Resumed", "Job resumed"))
    status.setdefault("startTime", timestamp(now_s))


def _count(job: Object, pods: Sequence[Object], status: Object, result: Plan) -> Count:
    """Move pods that ended one step further: into `uncounted`, without finalizer, into the counters."""
    uncounted = status.get("uncountedTerminatedPods") or {}
    tracked = {uid_of(pod): pod for pod in pods if is_tracked(pod)}
    indexed = is_indexed(job)
    count = Count(
        status.get("succeeded") or 0,
        status.get("failed") or 0,
        indexes.parse(status.get("completedIndexes") or ""),
        indexes.parse(status.get("failedIndexes") or ""),
    )
    counted = {"succeeded": 0, "failed": 0}
    waiting: dict[str, list[str]] = {"succeeded": [], "failed": []}
    for outcome, kept in waiting.items():
        for uid in uncounted.get(outcome) or ():
            if uid in tracked:
                kept.append(uid)
                result.release.append(tracked[uid])
            else:
                counted[outcome] += 1
    known = set(waiting["succeeded"]) | set(waiting["failed"])
    for uid, pod in tracked.items():
        if uid in known:
            continue
        if phase(pod) == "Succeeded":
            waiting["succeeded"].append(uid)
            result.release.append(pod)
        elif has_failed(job, pod):
            _count_failure(job, pod, count, waiting["failed"])
            result.release.append(pod)
    if indexed:
        total = completions_of(job) or 0
        ended = [pod for pod in pods if phase(pod) == "Succeeded" and uid_of(pod) in tracked]
        count.done |= {i for pod in ended if (i := index_of(pod)) is not None and i < total}
        count.done -= {i for i in count.done if i >= total}
        count.succeeded = len(count.done)
        status["succeeded"] = len(count.done)
    else:
        status["succeeded"] = count.succeeded + counted["succeeded"]
        count.succeeded = status["succeeded"] + len(waiting["succeeded"])
    status["failed"] = count.failed + counted["failed"]
    count.failed = status["failed"] + len(waiting["failed"])
    status["uncountedTerminatedPods"] = {outcome: uids for outcome, uids in waiting.items() if uids}
    return count


def _count_failure(job: Object, pod: Object, count: Count, failed: list[str]) -> None:
    verdict = judge_failure(job, pod) if phase(pod) == "Failed" else None
    if verdict is not None and verdict.action == FAIL_JOB:
        count.fatal = count.fatal or verdict.message
    if verdict is None or verdict.action != IGNORE:
        failed.append(uid_of(pod))
    limit, index = job["spec"].get("backoffLimitPerIndex"), index_of(pod)
    if limit is not None and index is not None and index not in count.done:
        ignored = verdict is not None and verdict.action == IGNORE
        if (verdict is not None and verdict.action == FAIL_INDEX) or (not ignored and index_failures_of(pod) >= limit):
            count.failed_indexes.add(index)


def completions_of(job: Object) -> int | None:
    completions = job["spec"].get("completions")
    return None if completions is None else int(completions)


def parallelism_of(job: Object) -> int:
    parallelism = job["spec"].get("parallelism")
    return 1 if parallelism is None else int(parallelism)


def _failure(job: Object, status: Object, count: Count, active: list[Object], now_s: float) -> tuple[str, str] | None:
    """Reason and message, None while the Job has not failed."""
    target = condition_of({"status": status}, "FailureTarget")
    if target is not None and target["status"] == "True":
        return target["reason"], target["message"]
    if condition_is({"status": status}, "SuccessCriteriaMet"):
        return None
    if count.fatal:
        return "PodFailurePolicy", count.fatal
    limit = job["spec"].get("backoffLimit", 6)
    in_place = job["spec"]["template"]["spec"].get("restartPolicy") == "OnFailure"
    restarted = restarts(p for p in active if phase(p) == "Running") if in_place else 0
    if count.failed > limit or (restarted > 0 and restarted >= limit):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = job["spec"].get("activeDeadlineSeconds")
    start = status.get("startTime")
    if deadline is not None and start and now_s >= parse_timestamp(start) + deadline:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    most = job["spec"].get("maxFailedIndexes")
    if most is not None and len(count.failed_indexes) > most:
        return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
    if count.failed_indexes and len(count.failed_indexes | count.done) >= (completions_of(job) or 0):
        return "FailedIndexes", "Job has failed indexes"
    return None


def _success(job: Object, status: Object, count: Count, active: list[Object]) -> str:
    """The message of success, "" while there is none."""
    met = condition_of({"status": status}, "SuccessCriteriaMet")
    if met is not None and met["status"] == "True":
        return str(met["message"])
    if is_indexed(job) and (early := early_success(job, count.done)):
        return early
    completions = completions_of(job)
    enough = (count.succeeded > 0 and not active) if completions is None else count.succeeded >= completions
    return "Reached expected number of succeeded pods" if enough else ""


def _end(
    status: Object, failure: tuple[str, str] | None, success: str, *, settled: bool, now_s: float, result: Plan
) -> None:
    """First the target condition, then, when no pod runs and all are counted, the final one."""
    settled = settled and not status["uncountedTerminatedPods"]
    if failure is not None:
        reason, message = failure
        _set(status, "FailureTarget", "True", reason, message, now_s)
        if settled:
            _set(status, "Failed", "True", reason, message, now_s)
            result.events.append(("Warning", reason, message))
        return
    reason = "SuccessPolicy" if success.startswith("Matched") else "CompletionsReached"
    _set(status, "SuccessCriteriaMet", "True", reason, success, now_s)
    if settled:
        _set(status, "Complete", "True", reason, success, now_s)
        status["completionTime"] = timestamp(now_s)
        result.events.append(("Normal", "Completed", "Job completed"))


def _run(
    job: Object,
    pods: Sequence[Object],
    active: list[Object],
    terminating: list[Object],
    count: Count,
    now_s: float,
    result: Plan,
) -> None:
    completions, parallelism = completions_of(job), parallelism_of(job)
    if completions is None:
        wanted = len(active) if count.succeeded else parallelism
    else:
        wanted = min(parallelism, completions - count.succeeded)
    if is_indexed(job):
        active = _one_per_index(active, count, result)
    surplus = len(active) - max(0, wanted)
    if surplus > 0:
        result.drop += deletion_order(active, active, now_s)[:surplus]
        return
    missing = wanted - len(active) - (len(terminating) if replaces_failed_only(job) else 0)
    missing = min(missing, WRITES_PER_ROUND_MAX)
    if missing <= 0:
        return
    if is_indexed(job):
        held = [*active, *(terminating if replaces_failed_only(job) else [])]
        _create_indexes(job, pods, held, count, missing, now_s, result)
        return
    wait_s = backoff_s(pods, now_s)
    if wait_s > 0:
        result.again_s = wait_s
    else:
        result.create = [(None, 0)] * missing


def _one_per_index(active: list[Object], count: Count, result: Plan) -> list[Object]:
    """Pods of indexes that are done, or twice there, go."""
    kept: dict[int, Object] = {}
    for pod in active:
        index = index_of(pod)
        if index is None or index in kept or index in count.done or index in count.failed_indexes:
            result.drop.append(pod)
        else:
            kept[index] = pod
    return list(kept.values())


def _create_indexes(
    job: Object,
    pods: Sequence[Object],
    held: list[Object],
    count: Count,
    missing: int,
    now_s: float,
    result: Plan,
) -> None:
    taken = {index_of(pod) for pod in held} | count.done | count.failed_indexes
    free = [i for i in range(completions_of(job) or 0) if i not in taken]
    per_index = job["spec"].get("backoffLimitPerIndex") is not None
    if not per_index and (wait_s := backoff_s(pods, now_s)) > 0:
        result.again_s = wait_s
        return
    for index in free:
        if len(result.create) == missing:
            return
        failures = 0
        if per_index:
            mine = [pod for pod in pods if index_of(pod) == index]
            wait_s = backoff_s(mine, now_s)
            if wait_s > 0:
                result.again_s = min(wait_s, result.again_s or wait_s)
                continue
            failures = max((_failures_after(job, pod) for pod in mine), default=0)
        result.create.append((index, failures))


def _failures_after(job: Object, pod: Object) -> int:
    """How often an index has failed once this pod has; ignored failures do not count."""
    ignored = phase(pod) == "Failed" and judge_failure(job, pod).action == IGNORE
    return index_failures_of(pod) + (0 if ignored else 1)


def backoff_s(pods: Iterable[Object], now_s: float) -> float:
    """How long to wait before another pod: grows with the failures since the last success."""
    ended = sorted((p for p in pods if is_terminal(p)), key=finished_at_s)
    failures = 0
    for pod in reversed(ended):
        if phase(pod) == "Succeeded":
            break
        failures += 1
    if not failures:
        return 0.0
    return max(0.0, finished_at_s(ended[-1]) + FAILURE_BACKOFF.delay_s(failures) - now_s)


def _fill_counters(job: Object, status: Object, active: list[Object], terminating: list[Object], count: Count) -> None:
    status["active"] = len(active)
    status["ready"] = sum(is_ready(pod) for pod in active)
    status["terminating"] = len(terminating)
    if is_indexed(job):
        status["completedIndexes"] = indexes.show(count.done)
        if job["spec"].get("backoffLimitPerIndex") is not None:
            status["failedIndexes"] = indexes.show(count.failed_indexes)
    for key in ("active", "succeeded", "failed", "completedIndexes"):
        if not status.get(key):
            status.pop(key, None)


def _wait_for_deadline(job: Object, status: Object, now_s: float, result: Plan) -> None:
    deadline, start = job["spec"].get("activeDeadlineSeconds"), status.get("startTime")
    if deadline is None or not start or condition_is({"status": status}, "FailureTarget"):
        return
    left_s = max(0.0, parse_timestamp(start) + deadline - now_s)
    result.again_s = left_s if result.again_s is None else min(result.again_s, left_s)


def _set(status: Object, kind: str, value: str, reason: str, message: str, now_s: float) -> None:
    conditions = status.get("conditions") or []
    present = next((c for c in conditions if c["type"] == kind), None)
    if present is not None and (present["status"], present.get("reason")) == (value, reason):
        return
    now = timestamp(now_s)
    fresh = {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "lastProbeTime": now,
        "lastTransitionTime": now,
    }
    status["conditions"] = [c for c in conditions if c["type"] != kind] + [fresh]
