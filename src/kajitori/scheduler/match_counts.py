"""How many pods on each node match a term, kept current instead of counted anew for every pod.

A term is counted when it is first asked for and from then on adjusted as pods come and go. The terms that pods on the
nodes carry themselves (their anti-affinity keeps others away) are counted the same way.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Generic, TypeVar

import numpy as np

from kajitori.scheduler.node_table import ABSENT, Column, NodeTable
from kajitori.scheduler.pod_view import AffinityTerm, PodView
from kajitori.scheduler.terms import Term, TermIndex, selects_namespaces

K = TypeVar("K", bound=Hashable)

TERMS_MAX = 2048
"""Beyond this many distinct terms the ones asked for longest ago are forgotten, and counted anew if asked for again."""


class _Columns(Generic[K]):
    """Counts by key, with the term of each."""

    def __init__(self, nodes: NodeTable, namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self._nodes = nodes
        self._namespaces = namespaces
        self._index: TermIndex[K] = TermIndex()
        self.of: dict[K, Column] = {}

    def put(self, key: K, term: Term, column: Column) -> None:
        self.of[key] = column
        self._index.add(key, term)

    def discard(self, key: K) -> None:
        del self.of[key]
        self._index.discard(key)

    def selecting(self, pod: PodView) -> list[K]:
        return list(self._index.selecting(pod, self._namespaces))

    def get(self, key: K) -> Column:
        """As long as the table is now."""
        column = self.of[key]
        short = self._nodes.rows - len(column)
        if short:
            column = self.of[key] = np.append(column, np.zeros(short, np.int64))
        return column

    def carry(self, key: K, term: Term, row: int, sign: int) -> None:
        """A pod that carries the term came to a row or left it; a term that none carries is forgotten."""
        if key not in self.of:
            self.put(key, term, self._nodes.column())
        column = self.get(key)
        column[row] += sign
        if sign < 0 and not column.any():
            self.discard(key)


class MatchCounts:
    """Columns of counts by term. A column handed out changes with the pods: use it at once, never change it."""

    def __init__(self, nodes: NodeTable, namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self._nodes = nodes
        self._namespaces = namespaces
        self._matching: _Columns[Term] = _Columns(nodes, namespaces)
        self._anti: _Columns[AffinityTerm] = _Columns(nodes, namespaces)
        self._preferred: _Columns[tuple[int, AffinityTerm]] = _Columns(nodes, namespaces)
        nodes.on_pod(self._on_pod)

    def matching(self, term: Term) -> Column:
        """Pods on each node that the term selects."""
        known = self._matching.of
        if term in known:
            known[term] = known.pop(term)  # asked for last
        else:
            self._matching.put(term, term, self._counted(term))
            if len(known) > TERMS_MAX:
                self._matching.discard(next(iter(known)))
        return self._matching.get(term)

    def keeping_away(self, pod: PodView) -> Iterator[tuple[AffinityTerm, Column]]:
        """Required anti-affinity terms of pods on nodes that select this pod, and where their pods are."""
        for term in self._anti.selecting(pod):
            yield term, self._anti.get(term)

    def preferring(self, pod: PodView) -> Iterator[tuple[int, AffinityTerm, Column]]:
        """Preferred terms of pods on nodes that select this pod: weight, term, where."""
        for weight, term in self._preferred.selecting(pod):
            yield weight, term, self._preferred.get((weight, term))

    def per_domain(self, counts: Column, topology_key: str) -> Column:
        """Each node's share in the sum of its domain; 0 where the node has no such label."""
        domains = self._nodes.label_column(topology_key)
        # ABSENT is -1: shifted by one, its sum is entry 0, which is then struck out.
        sums = np.bincount(domains + 1, weights=counts)
        sums[0] = 0
        result: Column = sums.astype(np.int64)[domains - ABSENT]
        return result

    def forget_namespaces(self) -> None:
        """The labels of a namespace changed: terms that select by them must be counted anew."""
        for term in [t for t in self._matching.of if selects_namespaces(t)]:
            self._matching.discard(term)

    def _counted(self, term: Term) -> Column:
        column = self._nodes.column()
        for row, pods in enumerate(self._nodes.pods):
            if pods:
                column[row] = sum(term.matches(pod, self._namespaces) for pod in pods.values())
        return column

    def _on_pod(self, row: int, pod: PodView, sign: int) -> None:
        for selecting in self._matching.selecting(pod):
            self._matching.get(selecting)[row] += sign
        for term in pod.required_anti_affinity:
            self._anti.carry(term, term, row, sign)
        # A required affinity attracts further pods as a preference of weight 1 would (hardPodAffinityWeight).
        for weight, term in (*pod.preferred_affinity, *((1, term) for term in pod.required_affinity)):
            self._preferred.carry((weight, term), term, row, sign)
