"""The decision: a pod and the cluster in, a node or the reasons why none out. Pure; the given random breaks ties."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from kajitori.scheduler.framework import Change, Cluster, Filter, Nomination, Score, Unschedulable
from kajitori.scheduler.node_table import Mask
from kajitori.scheduler.plugins import FILTERS, SCORES
from kajitori.scheduler.pod_view import PodView


@dataclass(frozen=True, slots=True)
class Decision:
    """`node` is empty when none will do; `message` then says why, as an event does; `plugins` refused."""

    node: str = ""
    message: str = ""
    plugins: frozenset[str] = field(default_factory=frozenset)
    wakes_on: Change = Change.ANY
    """What may make another decision worthwhile."""
    preemptible: tuple[int, ...] = ()
    """Rows of nodes that may do once pods have left."""


@dataclass(slots=True)
class Verdict:
    """Which nodes will do, and for the others the first filter that refused each."""

    feasible: Mask
    refusals: list[tuple[Filter, Mask]] = field(default_factory=list)
    crowded: list[tuple[Filter, Counter[str]]] = field(default_factory=list)
    """Refusals only because of the pods nominated for a node."""
    crowded_rows: list[int] = field(default_factory=list)


class Profile:
    """Filters and scores in order. A score plugin's weight is its own unless `weights` says another."""

    def __init__(
        self,
        filters: Sequence[Filter] | None = None,
        scores: Sequence[Score] | None = None,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        self.filters = [kind() for kind in FILTERS] if filters is None else list(filters)
        self.scores = [kind() for kind in SCORES] if scores is None else list(scores)
        self._weights = dict(weights or {})

    def with_plugins(self, *plugins: Filter | Score) -> "Profile":
        """The same and these, after the others."""
        filters = [*self.filters, *(p for p in plugins if isinstance(p, Filter))]
        return Profile(filters, [*self.scores, *(p for p in plugins if isinstance(p, Score))], self._weights)

    def without(self, *names: str, filters: bool = True, scores: bool = True) -> "Profile":
        """The same without plugins of these names, as filters and as scores."""
        self._check(names)
        return self.only(
            [plugin for plugin in self.filters if not filters or plugin.name not in names],
            [plugin for plugin in self.scores if not scores or plugin.name not in names],
        )

    def only(self, filters: Sequence[Filter], scores: Sequence[Score]) -> "Profile":
        return Profile(filters, scores, self._weights)

    def with_weights(self, **weights: int) -> "Profile":
        self._check(weights)
        return Profile(self.filters, self.scores, self._weights | weights)

    def _check(self, names: Sequence[str] | Mapping[str, int]) -> None:
        if unknown := sorted(set(names) - self._names()):
            known = ", ".join(sorted(self._names()))
            raise ValueError(f"no such scheduler plugin: {', '.join(unknown)}; there are {known}")

    def _names(self) -> set[str]:
        return {plugin.name for plugin in self.filters} | {plugin.name for plugin in self.scores}

    def decide(self, pod: PodView, cluster: Cluster, rng: random.Random) -> Decision:
        """The best node; among equals, a random one."""
        nodes = cluster.nodes
        if not len(nodes):
            return Decision(message="no nodes available to schedule pods", wakes_on=Change.NODE)
        try:
            verdict = self.judge(pod, cluster)
        except _Refused as refusal:
            plugin, why = refusal.plugin, refusal.why
            message = f"0/{len(nodes)} nodes are available: {why}."
            return Decision(message=message, plugins=frozenset({plugin.name}), wakes_on=plugin.wakes_on)
        if not verdict.feasible.any():
            return self._refusal(pod, cluster, verdict)
        nominated = cluster.nominated.get(pod.uid)
        if nominated and (row := nodes.row(nominated.node)) is not None and verdict.feasible[row]:
            return Decision(node=nominated.node)
        return Decision(node=nodes.names[self._best(pod, cluster, verdict.feasible, rng)])

    def judge(self, pod: PodView, cluster: Cluster) -> Verdict:
        """Every filter on every node, those among them that others are nominated for once more with those there."""
        verdict = self._filter(pod, cluster)
        for node, others in nominated_before(pod, cluster).items():
            row = cluster.nodes.row(node)
            if row is None or not verdict.feasible[row]:
                continue
            only = np.zeros_like(verdict.feasible)
            only[row] = True
            with placed(others, node, cluster):
                then = self._filter(pod, cluster)
                if not then.feasible[row]:
                    verdict.feasible[row] = False
                    plugin = next(plugin for plugin, lost in then.refusals if lost[row])
                    verdict.crowded.append((plugin, plugin.reasons(pod, only, cluster)))
                    verdict.crowded_rows.append(row)
        return verdict

    def _filter(self, pod: PodView, cluster: Cluster) -> Verdict:
        verdict = Verdict(cluster.nodes.alive.copy())
        for plugin in self.filters:
            try:
                mask = plugin.filter(pod, cluster)
            except Unschedulable as why:
                raise _Refused(plugin, str(why)) from None
            if mask is not None:
                feasible = verdict.feasible & mask
                lost = verdict.feasible & ~mask
                if lost.any():
                    verdict.refusals.append((plugin, lost))
                verdict.feasible = feasible
        return verdict

    def fits(self, pod: PodView, row: int, cluster: Cluster) -> bool:
        """Whether one node will do, whatever is nominated."""
        try:
            return all((mask := plugin.filter(pod, cluster)) is None or bool(mask[row]) for plugin in self.filters)
        except Unschedulable:
            return False

    def _best(self, pod: PodView, cluster: Cluster, feasible: Mask, rng: random.Random) -> int:
        candidates = np.flatnonzero(feasible)
        if len(candidates) > 1:
            total = np.where(feasible, 0.0, -np.inf)
            for plugin in self.scores:
                scores = plugin.score(pod, cluster, feasible)
                if scores is not None:
                    weight = self._weights.get(plugin.name, plugin.weight)
                    total += scores if weight == 1 else scores * weight
            candidates = np.flatnonzero(total == total.max())
        return int(candidates[rng.randrange(len(candidates))])

    def _refusal(self, pod: PodView, cluster: Cluster, verdict: Verdict) -> Decision:
        reasons: Counter[str] = Counter()
        helped = np.zeros(cluster.nodes.rows, bool)
        helped[verdict.crowded_rows] = True
        wakes_on = Change(0)
        for plugin, lost in verdict.refusals:
            reasons.update(plugin.reasons(pod, lost, cluster))
            helped |= plugin.helped_by_preemption(pod, lost, cluster)
            wakes_on |= plugin.wakes_on
        for plugin, crowd in verdict.crowded:
            reasons.update(crowd)
            wakes_on |= plugin.wakes_on | Change.POD_CAME | Change.POD_LEFT
        return Decision(
            message=availability(len(cluster.nodes), reasons),
            plugins=frozenset(plugin.name for plugin, _ in (*verdict.refusals, *verdict.crowded)),
            wakes_on=wakes_on,
            preemptible=tuple(np.flatnonzero(helped).tolist()),
        )


class _Refused(Exception):
    """A filter refused the pod whatever the node."""

    def __init__(self, plugin: Filter, why: str) -> None:
        super().__init__(why)
        self.plugin = plugin
        self.why = why


def availability(nodes: int, reasons: Mapping[str, int]) -> str:
    """Upstream's summary: how many nodes were refused for what."""
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{nodes} nodes are available: {listed}."


def nominated_before(pod: PodView, cluster: Cluster) -> dict[str, list[Nomination]]:
    """By node, the pods that have room promised there and do not rank below this one."""
    found: dict[str, list[Nomination]] = {}
    for uid, nomination in cluster.nominated.items():
        if uid != pod.uid and nomination.pod.priority >= pod.priority:
            found.setdefault(nomination.node, []).append(nomination)
    return found


@contextmanager
def placed(nominations: Sequence[Nomination], node: str, cluster: Cluster) -> Iterator[None]:
    """As if the nominated pods ran there already."""
    try:
        for nomination in nominations:
            cluster.nodes.put_pod(nomination.pod, node)
        yield
    finally:
        for nomination in nominations:
            cluster.nodes.remove_pod(nomination.pod.uid)
