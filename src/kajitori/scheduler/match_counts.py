"""How many pods on each node match a term, kept current instead of counted anew for every pod.

A term is counted when it is first asked for and from then on adjusted as pods come and go. The terms that pods on the
nodes carry themselves (their anti-affinity keeps others away) are counted the same way.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from kajitori.scheduler.node_table import ABSENT, Column, NodeTable
from kajitori.scheduler.pod_view import AffinityTerm, PodView

K = TypeVar("K", bound=Hashable)

TERMS_MAX = 2048
"""Beyond this many distinct terms the ones asked for longest ago are forgotten, and counted anew if asked for again."""


class MatchCounts:
    """Columns of counts by term."""

    def __init__(self, nodes: NodeTable, namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self._nodes = nodes
        self._namespaces = namespaces
        self._matching: dict[AffinityTerm, Column] = {}
        self._anti: dict[AffinityTerm, Column] = {}
        self._preferred: dict[tuple[int, AffinityTerm], Column] = {}
        nodes.on_pod(self._on_pod)

    def matching(self, term: AffinityTerm) -> Column:
        """Pods on each node that the term selects."""
        column = self._matching.pop(term, None)
        if column is None:
            column = self._nodes.column()
            for row, pods in enumerate(self._nodes.pods):
                column[row] = sum(term.matches(pod, self._namespaces) for pod in pods.values())
        self._matching[term] = column = self._fitted(column)
        if len(self._matching) > TERMS_MAX:
            del self._matching[next(iter(self._matching))]
        return column

    def keeping_away(self, pod: PodView) -> Iterator[tuple[AffinityTerm, Column]]:
        """Required anti-affinity terms of pods on nodes that select this pod, and where their pods are."""
        return self._selecting(self._anti, pod)

    def preferring(self, pod: PodView) -> Iterator[tuple[int, AffinityTerm, Column]]:
        """Preferred terms of pods on nodes that select this pod: weight, term, where."""
        for (weight, term), column in list(self._preferred.items()):
            if column.any() and term.matches(pod, self._namespaces):
                yield weight, term, self._fitted(column)

    def per_domain(self, counts: Column, topology_key: str) -> Column:
        """Each node's share in the sum of its domain; 0 where the node has no such label."""
        domains = self._nodes.label_column(topology_key)
        has = domains != ABSENT
        result = self._nodes.column()
        if has.any():
            sums = np.bincount(domains[has], weights=counts[has]).astype(np.int64)
            result[has] = sums[domains[has]]
        return result

    def forget_namespaces(self) -> None:
        """The labels of a namespace changed: terms that select by them must be counted anew."""
        for term in [t for t in self._matching if t.namespace_selector is not None]:
            del self._matching[term]

    def _selecting(self, columns: dict[AffinityTerm, Column], pod: PodView) -> Iterator[tuple[AffinityTerm, Column]]:
        for term, column in list(columns.items()):
            if column.any() and term.matches(pod, self._namespaces):
                yield term, self._fitted(column)

    def _fitted(self, column: Column) -> Column:
        """As long as the table is now."""
        short = self._nodes.rows - len(column)
        return np.append(column, np.zeros(short, np.int64)) if short else column

    def _on_pod(self, row: int, pod: PodView, sign: int) -> None:
        for term, column in list(self._matching.items()):
            if term.matches(pod, self._namespaces):
                self._bump(self._matching, term, column, row, sign)
        for term in pod.required_anti_affinity:
            self._bump(self._anti, term, self._anti.get(term), row, sign)
        # A required affinity attracts further pods as a preference of weight 1 would (hardPodAffinityWeight).
        for weighted in (*pod.preferred_affinity, *((1, term) for term in pod.required_affinity)):
            self._bump(self._preferred, weighted, self._preferred.get(weighted), row, sign)

    def _bump(self, columns: dict[K, Column], key: K, column: Column | None, row: int, sign: int) -> None:
        fitted = self._nodes.column() if column is None else self._fitted(column)
        fitted[row] += sign
        columns[key] = fitted
        if sign < 0 and key not in self._matching and not fitted.any():
            del columns[key]
