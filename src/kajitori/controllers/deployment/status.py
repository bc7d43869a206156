"""A Deployment's counters and conditions: available, progressing, stuck, paused. Pure.

Progressing keeps two times: `lastUpdateTime` moves with every sign of progress and is what the deadline counts from,
`lastTransitionTime` moves when the status turns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kajitori.api.meta import Object, condition_of, name_of
from kajitori.api.times import parse_timestamp, timestamp
from kajitori.controllers.deployment.scaling import available_of, max_unavailable, total_replicas
from kajitori.controllers.replicas import replicas_of

# `progressDeadlineSeconds` of the largest int32 means: no deadline.
_NO_DEADLINE_S = 2**31 - 1

CREATED, FOUND, UPDATED, AVAILABLE = (
    "NewReplicaSetCreated",
    "FoundNewReplicaSet",
    "ReplicaSetUpdated",
    "NewReplicaSetAvailable",
)
FAILED_CREATE, TIMED_OUT = "ReplicaSetCreateError", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a status is made from."""

    new: Object | None
    old: Sequence[Object]
    now_s: float

    @property
    def every(self) -> list[Object]:
        return [*self.old, *([self.new] if self.new is not None else [])]


def deadline_s(deployment: Object) -> int | None:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == _NO_DEADLINE_S else int(seconds)


def counters(deployment: Object, rollout: Rollout) -> Object:
    every = rollout.every
    available = sum(available_of(rs) for rs in every)
    counts: Object = {
        "replicas": _sum(every, "replicas"),
        "updatedReplicas": _sum([rollout.new] if rollout.new is not None else [], "replicas"),
        "readyReplicas": _sum(every, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total_replicas(every) - available),
    }
    status: Object = {key: count for key, count in counts.items() if count}
    if any("terminatingReplicas" in (rs.get("status") or {}) for rs in every):
        status["terminatingReplicas"] = _sum(every, "terminatingReplicas")
    status["observedGeneration"] = deployment["metadata"].get("generation", 0)
    collisions = (deployment.get("status") or {}).get("collisionCount")
    if collisions is not None:
        status["collisionCount"] = collisions
    return status


def _sum(replica_sets: Iterable[Object], field: str) -> int:
    return sum((rs.get("status") or {}).get(field) or 0 for rs in replica_sets)


def status_of(deployment: Object, rollout: Rollout, *, judge_progress: bool) -> Object:
    """The whole status. While only syncing (paused, scaled) progress is not judged."""
    status = counters(deployment, rollout)
    conditions = [dict(c) for c in (deployment.get("status") or {}).get("conditions") or ()]
    least = replicas_of(deployment) - max_unavailable(deployment)
    if status.get("availableReplicas", 0) >= least:
        available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        available = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    _set(conditions, "Available", *available, rollout.now_s)
    if judge_progress:
        _judge(deployment, status, conditions, rollout)
    status["conditions"] = conditions
    return status


def is_complete(deployment: Object, status: Object) -> bool:
    counts = {status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas")}
    observed = int(status.get("observedGeneration", 0))
    return counts == {replicas_of(deployment)} and observed >= deployment["metadata"].get("generation", 0)


def with_progressing(deployment: Object, status: str, reason: str, message: str, now_s: float) -> Object:
    """The present status with another Progressing condition."""
    old = deployment.get("status") or {}
    conditions = [dict(c) for c in old.get("conditions") or ()]
    _set(conditions, "Progressing", status, reason, message, now_s)
    return {**old, "conditions": conditions}


def pause_status(deployment: Object, now_s: float) -> Object:
    """Progressing says Unknown while paused: a pause must not count against the deadline."""
    old = deployment.get("status") or {}
    progressing = condition_of(deployment, "Progressing")
    if deadline_s(deployment) is None or (progressing and progressing.get("reason") == TIMED_OUT):
        return old
    shows_paused = bool(progressing and progressing.get("reason") == PAUSED)
    paused = bool(deployment["spec"].get("paused"))
    if paused and not shows_paused:
        return with_progressing(deployment, "Unknown", PAUSED, "Deployment is paused", now_s)
    if not paused and shows_paused:
        return with_progressing(deployment, "Unknown", RESUMED, "Deployment is resumed", now_s)
    return old


def check_again_s(deployment: Object, status: Object, now_s: float) -> float | None:
    """When a rollout that stands still will have exceeded its deadline."""
    deadline = deadline_s(deployment)
    progressing = condition_of({"status": status}, "Progressing")
    if deadline is None or progressing is None or is_complete(deployment, status):
        return None
    if progressing.get("reason") in (TIMED_OUT, PAUSED, AVAILABLE):
        return None
    due_s = parse_timestamp(progressing["lastUpdateTime"]) + deadline - now_s
    return max(due_s, 0.0) + 1.0


def _judge(deployment: Object, status: Object, conditions: list[Object], rollout: Rollout) -> None:
    deadline = deadline_s(deployment)
    present = _find(conditions, "Progressing")
    settled = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and present is not None
        and present.get("reason") == AVAILABLE
    )
    if deadline is None:
        conditions[:] = [c for c in conditions if c["type"] != "Progressing"]
    elif not settled:
        subject = (
            f'ReplicaSet "{name_of(rollout.new)}"' if rollout.new is not None else f'Deployment "{name_of(deployment)}"'
        )
        if is_complete(deployment, status):
            _set(conditions, "Progressing", "True", AVAILABLE, f"{subject} has successfully progressed.", rollout.now_s)
        elif _progressed(deployment, status):
            _touch(conditions, f"{subject} is progressing.", rollout.now_s)
        elif _is_overdue(present, deadline, rollout.now_s):
            _set(conditions, "Progressing", "False", TIMED_OUT, f"{subject} has timed out progressing.", rollout.now_s)
    failure = _replica_failure(rollout)
    if failure is None:
        conditions[:] = [c for c in conditions if c["type"] != "ReplicaFailure"]
    else:
        _set(conditions, "ReplicaFailure", "True", failure["reason"], failure["message"], rollout.now_s)


def _progressed(deployment: Object, new: Object) -> bool:
    old = deployment.get("status") or {}

    def stale(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    return (
        new.get("updatedReplicas", 0) > old.get("updatedReplicas", 0)
        or stale(new) < stale(old)
        or new.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or new.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def _is_overdue(progressing: Object | None, deadline: int, now_s: float) -> bool:
    if progressing is None or progressing.get("reason") == AVAILABLE:
        return False
    if progressing.get("reason") in (TIMED_OUT,):
        return True
    return parse_timestamp(progressing["lastUpdateTime"]) + deadline < now_s


def _replica_failure(rollout: Rollout) -> Object | None:
    ordered = [*([rollout.new] if rollout.new is not None else []), *rollout.old]
    return next((c for c in (condition_of(rs, "ReplicaFailure") for rs in ordered) if c is not None), None)


def _find(conditions: list[Object], kind: str) -> Object | None:
    return next((c for c in conditions if c["type"] == kind), None)


def _set(conditions: list[Object], kind: str, status: str, reason: str, message: str, now_s: float) -> None:
    """Nothing moves when status and reason stay."""
    present = _find(conditions, kind)
    if present is not None and (present["status"], present.get("reason")) == (status, reason):
        return
    now = timestamp(now_s)
    turned = present is None or present["status"] != status
    since = now if present is None or turned else present.get("lastTransitionTime", now)
    fresh = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": since,
    }
    conditions[:] = [c for c in conditions if c["type"] != kind] + [fresh]


def _touch(conditions: list[Object], message: str, now_s: float) -> None:
    """Progress was made: the deadline counts from now, the reason is ReplicaSetUpdated."""
    present = _find(conditions, "Progressing")
    now = timestamp(now_s)
    since = present.get("lastTransitionTime", now) if present is not None and present["status"] == "True" else now
    fresh = {
        "type": "Progressing",
        "status": "True",
        "reason": UPDATED,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": since,
    }
    conditions[:] = [c for c in conditions if c["type"] != "Progressing"] + [fresh]
