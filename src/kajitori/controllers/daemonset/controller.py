"""The thin shell around a DaemonSet's plan."""

from collections.abc import Iterable

from kajitori.api.apps import CONTROLLER_REVISION, DAEMON_SET
from kajitori.api.core import NODE, POD
from kajitori.api.meta import Object, ObjectKey, annotations_of, is_deleting, key_of, labels_of, name_of
from kajitori.api.node_fit import taints_of
from kajitori.api.pods import phase
from kajitori.api.selectors import LabelSelector, from_label_selector
from kajitori.controllers.batches import all_at_once, in_growing_batches
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, is_namespace_terminating, mapped, own, owned
from kajitori.controllers.daemonset.placement import make_pod
from kajitori.controllers.daemonset.plan import plan, status_of
from kajitori.controllers.history import POD_HASH_LABEL, History, pod_hash
from kajitori.controllers.ownership import adopters, claim
from kajitori.controllers.pods import next_available_s
from kajitori.kit.backoff import Backoff

GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
# A pod that fails as soon as it starts must not be remade in a circle.
ENDED_BACKOFF = Backoff(initial_s=1.0, max_s=900.0)
CALM_AFTER_S = 1800.0
"""A node where nothing has ended for so long begins anew, as with upstream's back-off."""


class DaemonSetController(Controller):
    name = "daemonset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.sets = context.informer(DAEMON_SET)
        self.pods = context.index_by_controller(POD)
        self.nodes = context.informer(NODE)
        self.history = History(context, POD_HASH_LABEL)
        self.events = context.recorder(self.name)
        self._ended: dict[tuple[ObjectKey, str], tuple[int, float]] = {}
        """By set and node: how often a pod ended there, and until when the next deletion waits."""

    def sources(self) -> Iterable[Source]:
        return (
            own(DAEMON_SET),
            owned(POD, "DaemonSet"),
            owned(CONTROLLER_REVISION, "DaemonSet"),
            mapped(POD, lambda pod: adopters(self.sets, pod, _selector_of)),
            mapped(NODE, lambda _: [key_of(s) for s in self.sets.list()], changed=_placement_changed),
        )

    async def reconcile(self, key: ObjectKey) -> float | None:
        daemonset = self.sets.get(key)
        if daemonset is None:
            self._ended = {place: state for place, state in self._ended.items() if place[0] != key}
            return None
        selector = _selector_of(daemonset)
        pods = await claim(self.context, DAEMON_SET, daemonset, selector, POD)
        if selector.empty or is_deleting(daemonset):
            return None
        revision, collisions = await self.history.current(daemonset)
        digest, nodes = pod_hash(revision), self.nodes.list()
        self._forget_nodes(key, {name_of(node) for node in nodes})
        todo = plan(daemonset, nodes, pods, digest, self.clock.now())
        wait_s = self._hold_back(key, daemonset, todo.ended, todo.delete)
        error = await self._carry_out(daemonset, todo.create, todo.delete, digest)
        left = await claim(self.context, DAEMON_SET, daemonset, selector, POD)
        now_s = self.clock.now()
        await self.writes.update_status(
            DAEMON_SET, daemonset, status_of(daemonset, nodes, left, digest, collisions, now_s)
        )
        if error is not None:
            raise error
        used = {labels_of(p).get(POD_HASH_LABEL, "") for p in left}
        live = {name_of(r) for r in self.history.of(daemonset) if pod_hash(r) in used} | {name_of(revision)}
        await self.history.truncate(daemonset, live)
        waits = [wait_s, next_available_s(left, daemonset["spec"].get("minReadySeconds") or 0, now_s)]
        return min((wait for wait in waits if wait is not None), default=None)

    def _forget_nodes(self, key: ObjectKey, present: set[str]) -> None:
        for place in [place for place in self._ended if place[0] == key and place[1] not in present]:
            del self._ended[place]

    def _hold_back(self, key: ObjectKey, daemonset: Object, ended: list[Object], delete: list[Object]) -> float | None:
        """Take ended pods whose back-off still runs out of `delete`; returns when the next may go."""
        now_s, waits = self.clock.monotonic(), []
        for pod in ended:
            place = (key, pod["spec"].get("nodeName", ""))
            count, until_s = self._ended.get(place, (0, now_s))
            if now_s - until_s > CALM_AFTER_S:
                count = 0
            if now_s < until_s:
                delete.remove(pod)
                waits.append(until_s - now_s)
                continue
            self._ended[place] = (count + 1, now_s + ENDED_BACKOFF.delay_s(count + 1))
            failed = phase(pod) == "Failed"
            word, act = ("failed", "kill") if failed else ("succeeded", "delete")
            message = f"Found {word} daemon pod {key_of(pod)} on node {place[1]}, will try to {act} it"
            reason = "FailedDaemonPod" if failed else "SucceededDaemonPod"
            self.events.event(daemonset, "Warning" if failed else "Normal", reason, message)
        return min(waits, default=None)

    async def _carry_out(
        self, daemonset: Object, create: list[str], delete: list[Object], digest: str
    ) -> Exception | None:
        labels = {POD_HASH_LABEL: digest}
        generation = annotations_of(daemonset).get(GENERATION_ANNOTATION)
        if generation:
            labels[GENERATION_LABEL] = generation
        _, failed = await in_growing_batches(len(create), lambda i: self._create(daemonset, create[i], labels))
        return await all_at_once([self._delete(daemonset, pod) for pod in delete]) or failed

    async def _create(self, daemonset: Object, node: str, labels: dict[str, str]) -> None:
        try:
            pod = await self.writes.create(POD, make_pod(daemonset, node, labels))
        except Exception as error:
            if not is_namespace_terminating(error):
                self.events.event(daemonset, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self.events.event(daemonset, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}")

    async def _delete(self, daemonset: Object, pod: Object) -> None:
        await self.writes.delete(POD, pod)
        self.events.event(daemonset, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")


def _selector_of(daemonset: Object) -> LabelSelector:
    return from_label_selector(daemonset["spec"]["selector"])


def _placement_changed(new: Object, old: Object) -> bool:
    return labels_of(new) != labels_of(old) or taints_of(new) != taints_of(old)
