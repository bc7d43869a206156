"""The life of a pod, without I/O: from what is known to what is to be done next.

`decide` is level-based: it may be asked at any moment, after any event or a restart of the agent, and answers from
what it sees; what is already under way (`state.busy`) is not asked for twice.
"""

from dataclasses import dataclass, field

from kajitori.api.meta import Object
from kajitori.api.pods import is_sidecar
from kajitori.kubelet.actions import (
    Action,
    CreateSandbox,
    Finish,
    KillContainer,
    MountVolumes,
    RemoveContainer,
    RemoveSandbox,
    Report,
    ResizeContainer,
    StartContainer,
    StopSandbox,
    TearDown,
)
from kajitori.kubelet.container_spec import has_changed
from kajitori.kubelet.pod_state import ContainerKind, KillWish, PodEnd, PodState, Waiting, container_named, kind_of
from kajitori.kubelet.resizing import applied, differs, needs_restart
from kajitori.kubelet.restart_policy import go_duration, next_turn, restarts
from kajitori.kubelet.runtime import ContainerRecord, ContainerState

DEAD_CONTAINERS_KEPT = 1
"""Beside the newest, for `logs --previous`."""
GRACE_MIN_S = 1.0
GRACE_DEFAULT_S = 30.0


@dataclass(slots=True)
class Plan:
    actions: list[Action] = field(default_factory=list)
    wake_at_s: float | None = None
    """When to ask again even if nothing happens."""

    def wake(self, at_s: float) -> None:
        self.wake_at_s = at_s if self.wake_at_s is None else min(self.wake_at_s, at_s)


def decide(state: PodState, now_s: float) -> Plan:
    """Remembers in `state` what it has begun to wait for; what to do is in the plan."""
    plan = Plan()
    if not state.observed or state.finished:
        return plan
    _check_deadline(state, now_s, plan)
    if state.is_leaving or state.end or is_over(state):
        _end(state, now_s, plan)
    else:
        _live(state, now_s, plan)
    free = [a for a in plan.actions if a.key not in state.busy]
    plan.actions = [a for a in free if _is_due(state, a, now_s, plan)]
    return plan


def _is_due(state: PodState, action: Action, now_s: float, plan: Plan) -> bool:
    at_s = state.retry_at_s.get(action.key, 0.0)
    if at_s > now_s:
        plan.wake(at_s)
        return False
    return True


def _check_deadline(state: PodState, now_s: float, plan: Plan) -> None:
    limit = state.spec.get("activeDeadlineSeconds")
    if limit is None or state.end or state.started_s is None or is_over(state):
        return
    if now_s - state.started_s >= limit:
        state.end = PodEnd("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        plan.actions.append(Report("Normal", "DeadlineExceeded", state.end.message))
    else:
        plan.wake(state.started_s + limit)


def is_over(state: PodState) -> bool:
    """Every container has ended for good (or the API already says that the pod did)."""
    if (state.pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    if init_failed(state):
        return True
    mains = state.spec["containers"]
    return all(
        (record := state.latest(c["name"])) is not None
        and record.state is ContainerState.EXITED
        and not restarts(state.spec, c, record)
        and not has_changed(c, record)
        for c in mains
    )


def init_failed(state: PodState) -> bool:
    """An init container ended badly and will not be tried again."""
    for container in state.spec.get("initContainers") or ():
        record = state.latest(container["name"])
        if record and record.state is ContainerState.EXITED and record.exit_code != 0 and not is_sidecar(container):
            return not restarts(state.spec, container, record, init=True)
    return False


# --- living


def _live(state: PodState, now_s: float, plan: Plan) -> None:
    _collect_dead(state, plan)
    _resize(state, plan)
    _kill_unwanted(state, plan, now_s)
    if not state.volumes_mounted:
        plan.actions.append(MountVolumes())
        return
    if state.sandbox is None:
        _new_sandbox(state, now_s, plan)
        return
    if not _init_done(state, now_s, plan):
        return
    for container in state.spec.get("ephemeralContainers") or ():
        if state.in_sandbox(container["name"]) is None:
            _start(state, container, ContainerKind.EPHEMERAL, now_s, plan)
    for container in state.spec["containers"]:
        record = state.latest(container["name"])
        if record and record.state is ContainerState.RUNNING:
            continue
        if restarts(state.spec, container, record) or (record and has_changed(container, record)):
            _start(state, container, ContainerKind.MAIN, now_s, plan)


def _new_sandbox(state: PodState, now_s: float, plan: Plan) -> None:
    leftovers = list(state.running())
    for record in leftovers:
        _kill(state, record, 0.0, Reason("SandboxChanged", "Pod sandbox changed"), plan, record.started_s)
    if leftovers:
        return
    old = state.sandboxes[0] if state.sandboxes else None
    if old is not None and "sandbox" not in state.busy and state.retry_at_s.get("sandbox", 0.0) <= now_s:
        plan.actions.append(
            Report("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        )
    plan.actions.append(CreateSandbox(old.attempt + 1 if old else 0))


def _init_done(state: PodState, now_s: float, plan: Plan) -> bool:
    """Start what is next; whether the main containers may run. Sidecars are kept running along the way."""
    inits: list[Object] = list(state.spec.get("initContainers") or ())
    mains_began = any(state.in_sandbox(c["name"]) for c in state.spec["containers"])
    for index, container in enumerate(inits):
        record = state.in_sandbox(container["name"])
        passed = mains_began or any(state.in_sandbox(later["name"]) for later in inits[index + 1 :])
        if is_sidecar(container):
            if record is None or record.state is not ContainerState.RUNNING:
                _start(state, container, ContainerKind.SIDECAR, now_s, plan)
                if not passed:
                    return False
            elif not passed and not is_started(state, record):
                return False
            continue
        if passed or (record and record.state is ContainerState.EXITED and record.exit_code == 0):
            continue
        if record is None or restarts(state.spec, container, record, init=True):
            _start(state, container, ContainerKind.INIT, now_s, plan)
        return False
    return True


def is_started(state: PodState, record: ContainerRecord) -> bool:
    """Its postStart hook and startup probe are through."""
    probes = state.probes.get(record.id)
    return f"container {record.name}" not in state.busy and probes is not None and probes.started


def _start(state: PodState, container: Object, kind: ContainerKind, now_s: float, plan: Plan) -> None:
    name = container["name"]
    action_key = f"container {name}"
    record = state.latest(name)
    if action_key in state.busy:
        return
    turn = next_turn(state.backoffs.get(name), record, now_s)
    if turn.due_s > now_s:
        plan.wake(turn.due_s)
        message = f"back-off {go_duration(turn.wait_s)} restarting failed container={name} pod={state.full_name}"
        waiting = Waiting("CrashLoopBackOff", message)
        if state.waiting.get(name) != waiting:
            state.waiting[name] = waiting
            text = f"Back-off restarting failed container {name} in pod {state.full_name}"
            plan.actions.append(Report("Warning", "BackOff", text, name))
        return
    if state.retry_at_s.get(action_key, 0.0) <= now_s:
        state.backoffs[name] = turn.after
    plan.actions.append(StartContainer(name, kind, record.attempt + 1 if record else 0))


def _kill_unwanted(state: PodState, plan: Plan, now_s: float) -> None:
    for record in list(state.running()):
        wish = state.kill_wishes.get(record.id)
        container = container_named(state.spec, record.name)
        if wish is None and container is not None and has_changed(container, record):
            wish = KillWish("Killing", f"Container {record.name} definition changed, will be restarted")
        if wish is not None:
            grace_s = wish.grace_s if wish.grace_s is not None else spec_grace_s(state.pod)
            _kill(state, record, grace_s, Reason(wish.reason, wish.message), plan, now_s)


def _resize(state: PodState, plan: Plan) -> None:
    if state.resize_refused:
        return
    for record in state.running():
        container = container_named(state.spec, record.name)
        have = applied(record, state.resized)
        if container is None or have is None or not differs(container, record, state.resized):
            continue
        if needs_restart(container, have):
            message = f"Container {record.name} resize requires restart"
            state.kill_wishes.setdefault(record.id, KillWish("Killing", message))
        else:
            plan.actions.append(ResizeContainer(record.id, record.name))


def _collect_dead(state: PodState, plan: Plan) -> None:
    kept_sandboxes = {state.sandboxes[0].id} if state.sandboxes else set()
    for records in state.containers.values():
        for record in records[1 + DEAD_CONTAINERS_KEPT :]:
            if record.state is not ContainerState.RUNNING:
                plan.actions.append(RemoveContainer(record.id))
        kept_sandboxes |= {record.sandbox_id for record in records[: 1 + DEAD_CONTAINERS_KEPT]}
    for sandbox in state.sandboxes[1:]:
        if sandbox.id not in kept_sandboxes and not sandbox.ready:
            plan.actions.append(RemoveSandbox(sandbox.id))
        elif sandbox.ready:
            plan.actions.append(StopSandbox(sandbox.id))


# --- ending


@dataclass(frozen=True, slots=True)
class Reason:
    reason: str
    message: str


def spec_grace_s(pod: Object) -> float:
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    return GRACE_DEFAULT_S if grace is None else float(grace)


def ending_grace_s(state: PodState) -> float:
    """At least one second, so that a force deletion still signals."""
    asked = state.pod["metadata"].get("deletionGracePeriodSeconds")
    if state.is_leaving and asked is not None:
        return max(GRACE_MIN_S, float(asked))
    if state.end and state.end.grace_s is not None:
        return max(GRACE_MIN_S, state.end.grace_s)
    return max(GRACE_MIN_S, spec_grace_s(state.pod))


def _end(state: PodState, now_s: float, plan: Plan) -> None:
    """Main containers first, all at once; then sidecars, last started first; then the sandbox; then what is left."""
    if state.ending_since_s is None:
        state.ending_since_s = now_s
    grace_s = ending_grace_s(state)
    running = list(state.running())
    if running:
        for record in _next_to_stop(state, running):
            _kill(state, record, grace_s, Reason("Killing", ""), plan, state.ending_since_s)
        return
    if any(key.startswith("container ") or key in ("sandbox", "volumes") for key in state.busy):
        return
    ready = [sandbox for sandbox in state.sandboxes if sandbox.ready]
    if ready:
        plan.actions.append(StopSandbox(ready[0].id))
        return
    if not state.torn_down or (state.is_leaving and (state.sandboxes or state.containers)):
        plan.actions.append(TearDown(remove=state.is_leaving))
        return
    if state.is_leaving:
        plan.actions.append(Finish())


def _next_to_stop(state: PodState, running: list[ContainerRecord]) -> list[ContainerRecord]:
    sidecars = [r for r in running if kind_of(state.spec, r.name) is ContainerKind.SIDECAR]
    others = [r for r in running if r not in sidecars]
    if others:
        return others
    order = [c["name"] for c in state.spec.get("initContainers") or ()]
    return sorted(sidecars, key=lambda r: order.index(r.name) if r.name in order else -1)[-1:]


def _kill(state: PodState, record: ContainerRecord, grace_s: float, why: Reason, plan: Plan, since_s: float) -> None:
    """Ask once; again only when the grace has become shorter than what is under way."""
    deadline_s = since_s + grace_s
    known_s = state.kill_deadlines_s.get(record.id)
    if known_s is not None and deadline_s >= known_s - GRACE_MIN_S / 2:
        return
    state.kill_deadlines_s[record.id] = deadline_s
    plan.actions.append(KillContainer(record.id, record.name, grace_s, why.reason, why.message))
