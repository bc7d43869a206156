"""How many pods on each node match a term, kept current instead of counted anew for every pod.

A term is counted when it is first asked for and from then on adjusted as pods come and go. The terms that pods on the
nodes carry themselves (their anti-affinity keeps others away) are counted the same way.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from kajitori.scheduler.node_table import ABSENT, Column, NodeTable
from kajitori.scheduler.pod_view import AffinityTerm, PodView
from kajitori.scheduler.terms import Term, TermIndex, selects_namespaces

K = TypeVar("K", bound=Hashable)

TERMS_MAX = 2048
"""Beyond this many distinct terms the ones asked for longest ago are forgotten, and counted anew if asked for again."""


def per_domain(counts: Column, domains: Column) -> Column:
    """Each node's share in the sum of its domain (an id, see `label_column`); 0 where it has none."""
    # ABSENT is -1: shifted by one, its sum is entry 0, which is then struck out.
    sums = np.bincount(domains - ABSENT, weights=counts)
    sums[0] = 0
    result: Column = sums.astype(np.int64)[domains - ABSENT]
    return result


@dataclass(frozen=True, slots=True)
class _Domains:
    sums: Column
    revision: int
    """Of the nodes whose labels were summed by."""


class _Columns(Generic[K]):
    """Counts by key, with the term of each."""

    def __init__(self, nodes: NodeTable, namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self._nodes = nodes
        self._namespaces = namespaces
        self._index: TermIndex[K] = TermIndex()
        self._by_domain: dict[K, dict[str, _Domains]] = {}
        self.of: dict[K, Column] = {}

    def put(self, key: K, term: Term, column: Column) -> None:
        self.of[key] = column
        self._index.add(key, term)

    def discard(self, key: K) -> None:
        del self.of[key]
        self._by_domain.pop(key, None)
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

    def in_domain(self, key: K, topology_key: str) -> Column:
        """Each node's share in the sum of its domain."""
        known = self._by_domain.setdefault(key, {})
        domains = known.get(topology_key)
        if domains is None or domains.revision != self._nodes.nodes_revision:
            sums = per_domain(self.get(key), self._nodes.label_column(topology_key))
            domains = known[topology_key] = _Domains(sums, self._nodes.nodes_revision)
        return domains.sums

    def bump(self, key: K, row: int, by: int) -> None:
        self.get(key)[row] += by
        for topology_key, domains in self._by_domain.get(key, {}).items():
            if domains.revision == self._nodes.nodes_revision:
                labels = self._nodes.label_column(topology_key)
                if labels[row] != ABSENT:
                    domains.sums[labels == labels[row]] += by

    def carry(self, key: K, term: Term, row: int, sign: int) -> None:
        """A pod that carries the term came to a row or left it; a term that none carries is forgotten."""
        if key not in self.of:
            self.put(key, term, self._nodes.column())
        self.bump(key, row, sign)
        if sign < 0 and not self.of[key].any():
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

    def in_domain(self, term: Term, topology_key: str) -> Column:
        """Pods in each node's domain that the term selects; 0 where a node has no such label."""
        self.matching(term)
        return self._matching.in_domain(term, topology_key)

    def keeping_away(self, pod: PodView) -> Iterator[Column]:
        """For required anti-affinity terms of pods on nodes that select this pod: such pods in each node's domain."""
        for term in self._anti.selecting(pod):
            yield self._anti.in_domain(term, term.topology_key)

    def preferring(self, pod: PodView) -> Iterator[tuple[int, Column]]:
        """For preferred terms of pods on nodes that select this pod: weight, such pods in each node's domain."""
        for weight, term in self._preferred.selecting(pod):
            yield weight, self._preferred.in_domain((weight, term), term.topology_key)

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
            self._matching.bump(selecting, row, sign)
        for term in pod.required_anti_affinity:
            self._anti.carry(term, term, row, sign)
        # A required affinity attracts further pods as a preference of weight 1 would (hardPodAffinityWeight).
        for weight, term in (*pod.preferred_affinity, *((1, term) for term in pod.required_affinity)):
            self._preferred.carry((weight, term), term, row, sign)
