"""Whom to make leave so that a more important pod fits. Pure: what it tries out on the table it takes back.

The rules are upstream's (pod priority and preemption, KEP-564): only pods of lower priority, as few and as unimportant
as possible, disruption budgets broken only when there is no other way.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np

from kajitori.api.meta import Object, namespace_of
from kajitori.api.selectors import LabelSelector, from_label_selector
from kajitori.scheduler.decide import Decision, Profile, availability, nominated_before, placed
from kajitori.scheduler.framework import Cluster, Unschedulable
from kajitori.scheduler.pod_view import PodView

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
CANDIDATES_MAX = 100
"""Enough nodes to choose from. Upstream's least; it takes a tenth of all nodes if that is more."""
_NOT_STARTED = "~"
"""Later than any timestamp."""


@dataclass(frozen=True, slots=True)
class Preemption:
    """`victims` leave `node` for the pod; with an empty node `message` says why nobody does."""

    node: str = ""
    victims: tuple[PodView, ...] = ()
    message: str = ""


@dataclass(slots=True)
class Budget:
    """A PodDisruptionBudget: how many more of its pods may leave; those named have been let go already."""

    namespace: str
    selector: LabelSelector
    allowed: int
    released: frozenset[str]

    def covers(self, pod: PodView) -> bool:
        return (
            self.namespace == pod.namespace
            and not self.selector.empty
            and self.selector.matches(pod.labels)
            and pod.name not in self.released
        )


def budget_of(document: Object) -> Budget:
    status = document.get("status") or {}
    return Budget(
        namespace_of(document),
        from_label_selector(document["spec"].get("selector")),
        status.get("disruptionsAllowed") or 0,
        frozenset(status.get("disruptedPods") or ()),
    )


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: int
    victims: tuple[PodView, ...]
    """The most important first."""
    violations: int
    """Of disruption budgets."""


@dataclass(slots=True)
class _Search:
    """One pod that looks for a node. `reasons` says of how many nodes why they did not help."""

    pod: PodView
    profile: Profile
    cluster: Cluster
    budgets: Sequence[Object]
    reasons: Counter[str] = field(default_factory=Counter)

    def candidate(self, row: int) -> _Candidate | None:
        """The fewest pods that must leave this node, if that helps; otherwise counts why not."""
        cluster = self.cluster
        lower = sorted((p for p in cluster.nodes.pods[row].values() if p.priority < self.pod.priority), key=_rank)
        with ExitStack() as stack:
            node = cluster.nodes.names[row]
            stack.enter_context(placed(nominated_before(self.pod, cluster).get(node, ()), node, cluster))
            stack.enter_context(_away(lower, node, cluster))
            if not self.profile.fits(self.pod, row, cluster):
                self._explain(row)
                return None
            violating, harmless = self._by_budgets(lower)
            victims = {p.uid for p in (*violating, *harmless) if not self._may_stay(p, row)}
            broken = sum(p.uid in victims for p in violating)
            return _Candidate(row, tuple(p for p in lower if p.uid in victims), broken)

    def _may_stay(self, pod: PodView, row: int) -> bool:
        nodes = self.cluster.nodes
        nodes.put_pod(pod, nodes.names[row])
        if self.profile.fits(self.pod, row, self.cluster):
            return True
        nodes.remove_pod(pod.uid)
        return False

    def _explain(self, row: int) -> None:
        only = np.zeros(self.cluster.nodes.rows, bool)
        only[row] = True
        for plugin in self.profile.filters:
            try:
                mask = plugin.filter(self.pod, self.cluster)
            except Unschedulable as why:
                self.reasons[str(why)] += 1
                return
            if mask is not None and not mask[row]:
                self.reasons.update(plugin.reasons(self.pod, only, self.cluster))
                return

    def _by_budgets(self, pods: Sequence[PodView]) -> tuple[list[PodView], list[PodView]]:
        """Those whose leaving would break a budget, and the others."""
        budgets = [budget_of(document) for document in self.budgets]
        violating: list[PodView] = []
        harmless: list[PodView] = []
        for pod in pods:
            covering = [budget for budget in budgets if pod.labels and budget.covers(pod)]
            for budget in covering:
                budget.allowed -= 1
            (violating if any(budget.allowed < 0 for budget in covering) else harmless).append(pod)
        return violating, harmless


def ineligible(pod: PodView, cluster: Cluster, decision: Decision) -> str:
    """Why the pod may not make others leave; empty when it may."""
    if pod.spec.get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    nomination = cluster.nominated.get(pod.uid)
    row = cluster.nodes.row(nomination.node) if nomination else None
    if row is not None and row in decision.preemptible:
        leaving = (p for p in cluster.nodes.pods[row].values() if p.deleting and p.priority < pod.priority)
        if next(leaving, None):
            return "not eligible due to a terminating pod on the nominated node."
    return ""


def preempt(
    pod: PodView,
    decision: Decision,
    cluster: Cluster,
    profile: Profile,
    budgets: Sequence[Object],
    rng: random.Random,
) -> Preemption:
    """For a pod that the decision refused. `budgets` are the PodDisruptionBudgets there are."""
    if not len(cluster.nodes):
        return Preemption()
    if why := ineligible(pod, cluster, decision):
        return Preemption(message=f"preemption: {why}")
    count = len(cluster.nodes)
    rows = [row for row in decision.preemptible if cluster.nodes.least_priority[row] < pod.priority]
    search = _Search(pod, profile, cluster, budgets)
    search.reasons[NO_VICTIMS] = len(decision.preemptible) - len(rows)
    search.reasons[NOT_HELPFUL] = count - len(decision.preemptible)
    offset = rng.randrange(len(rows)) if rows else 0
    found: list[_Candidate] = []
    for row in (*rows[offset:], *rows[:offset]):
        candidate = search.candidate(row)
        if candidate is not None:
            found.append(candidate)
        if len(found) >= CANDIDATES_MAX:
            break
    if found:
        best = _best(found)
        return Preemption(cluster.nodes.names[best.row], best.victims)
    return Preemption(message=f"preemption: {availability(count, +search.reasons)}")


def _best(candidates: list[_Candidate]) -> _Candidate:
    """Fewest broken budgets; least important first victim; least importance in sum; fewest; the latest started."""
    keys = [(c.violations, *_importance(c)) if c.victims else (c.violations, -(2**31), 0, 0) for c in candidates]
    least = min(keys)
    return max((c for c, key in zip(candidates, keys, strict=True) if key == least), key=_first_start)


def _importance(candidate: _Candidate) -> tuple[int, int, int]:
    priorities = [victim.priority for victim in candidate.victims]
    # Shifted above zero, so that a few pods of very low priority do not outweigh one.
    return max(priorities), sum(priority + 2**31 for priority in priorities), len(priorities)


def _first_start(candidate: _Candidate) -> str:
    """When the first of the most important victims started."""
    return _rank(candidate.victims[0])[1] if candidate.victims else _NOT_STARTED


def _rank(pod: PodView) -> tuple[int, str]:
    """Sorts the more important first: by priority, then by how long it runs."""
    return -pod.priority, (pod.document.get("status") or {}).get("startTime") or _NOT_STARTED


@contextmanager
def _away(pods: Sequence[PodView], node: str, cluster: Cluster) -> Iterator[None]:
    """As if they had left."""
    try:
        for pod in pods:
            cluster.nodes.remove_pod(pod.uid)
        yield
    finally:
        for pod in pods:
            cluster.nodes.put_pod(pod, node)
