"""Which of many terms select a pod, without asking each of them."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from kajitori.api.selectors import IN
from kajitori.scheduler.pod_view import AffinityTerm, PodView

K = TypeVar("K", bound=Hashable)
_Anchor = tuple[str, str, str]
"""Namespace ("" for any), label, value: a pod that is selected has them all."""
_ANYWHERE: _Anchor = ("", "", "")


@dataclass(frozen=True, slots=True)
class AllOf:
    """Pods that every one of the terms selects."""

    terms: tuple[AffinityTerm, ...]

    def matches(self, pod: PodView, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        return all(term.matches(pod, namespaces) for term in self.terms)


Term = AffinityTerm | AllOf


def selects_namespaces(term: Term) -> bool:
    """Whether what it selects depends on the labels of namespaces."""
    return any(t.namespace_selector is not None for t in _parts(term))


def _parts(term: Term) -> tuple[AffinityTerm, ...]:
    return term.terms if isinstance(term, AllOf) else (term,)


def _anchors(term: Term) -> list[_Anchor]:
    first = _parts(term)[0]
    namespaces = [""]
    if first.namespaces is not None and first.namespace_selector is None:
        namespaces = sorted(first.namespaces)
    for requirement in first.selector.requirements:
        if requirement.operator == IN:
            return [(namespace, requirement.key, v) for namespace in namespaces for v in requirement.values]
    return [_ANYWHERE]


class TermIndex(Generic[K]):
    """Terms by key, found by one label that they insist on."""

    def __init__(self) -> None:
        self._terms: dict[K, Term] = {}
        self._by_anchor: dict[_Anchor, dict[K, None]] = {}

    def add(self, key: K, term: Term) -> None:
        self._terms[key] = term
        for anchor in _anchors(term):
            self._by_anchor.setdefault(anchor, {})[key] = None

    def discard(self, key: K) -> None:
        term = self._terms.pop(key, None)
        for anchor in _anchors(term) if term else ():
            keys = self._by_anchor[anchor]
            keys.pop(key, None)
            if not keys:
                del self._by_anchor[anchor]

    def selecting(self, pod: PodView, namespaces: Mapping[str, Mapping[str, str]]) -> Iterator[K]:
        if not self._terms:
            return
        found: dict[K, None] = dict(self._by_anchor.get(_ANYWHERE, {}))
        for label, value in pod.labels.items():
            found |= self._by_anchor.get((pod.namespace, label, value), {})
            found |= self._by_anchor.get(("", label, value), {})
        for key in found:
            if self._terms[key].matches(pod, namespaces):
                yield key
