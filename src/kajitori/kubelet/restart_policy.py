"""Whether a container that ended runs again, and how long it waits first."""

from dataclasses import dataclass

from kajitori.api.meta import Object
from kajitori.kubelet.pod_state import CrashBackoff
from kajitori.kubelet.runtime import ContainerRecord, ContainerState

BACKOFF_INITIAL_S = 10.0
BACKOFF_MAX_S = 300.0


def restarts(spec: Object, container: Object, record: ContainerRecord | None, *, init: bool = False) -> bool:
    """Whether to start it (again). An init container that succeeded never runs again in the same sandbox."""
    if record is None or record.state in (ContainerState.CREATED, ContainerState.UNKNOWN):
        return True
    if record.state is ContainerState.RUNNING:
        return False
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = record.exit_code in (codes.get("values") or ())
        if rule.get("action") == "Restart" and listed == (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or spec.get("restartPolicy") or "Always"
    if init and container.get("restartPolicy") != "Always":
        return policy != "Never" and record.exit_code != 0
    return bool(policy == "Always" or (policy == "OnFailure" and record.exit_code != 0))


@dataclass(frozen=True, slots=True)
class Turn:
    """When the next start is due, and the back-off that holds once it has been made."""

    due_s: float
    wait_s: float
    after: CrashBackoff


def next_turn(backoff: CrashBackoff | None, record: ContainerRecord | None, now_s: float) -> Turn:
    """The first restart is immediate, then 10 s doubling to 5 min; ten quiet minutes forget it all."""
    first = CrashBackoff(BACKOFF_INITIAL_S, now_s)
    if record is None or record.state is not ContainerState.EXITED:
        return Turn(now_s, 0.0, backoff or CrashBackoff(0.0, now_s))
    if backoff is None or backoff.duration_s == 0 or now_s - backoff.updated_s > 2 * BACKOFF_MAX_S:
        return Turn(now_s, 0.0, first)
    due_s = record.finished_s + backoff.duration_s
    doubled = CrashBackoff(min(backoff.duration_s * 2, BACKOFF_MAX_S), now_s)
    return Turn(due_s, backoff.duration_s, doubled)


def go_duration(seconds: float) -> str:
    """Whole seconds as Go prints a duration: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
