"""What a node is: its name, its labels, whether it is cordoned."""

from collections import Counter

import numpy as np

from kajitori.api.meta import Object
from kajitori.api.selectors import Requirement, node_selector_requirement
from kajitori.scheduler.framework import Change, Cluster, Filter, Score, Scores, Unschedulable, scaled
from kajitori.scheduler.node_table import ABSENT, Mask, NodeTable
from kajitori.scheduler.pod_view import PodView

_UNSCHEDULABLE_TAINT = ("node.kubernetes.io/unschedulable", "", "NoSchedule")


class NodeUnschedulable(Filter):
    """Cordoned nodes take only pods that tolerate it."""

    name = "NodeUnschedulable"
    refusal = "node(s) were unschedulable"
    wakes_on = Change.NODE

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        nodes = cluster.nodes
        if not nodes.unschedulable.any() or pod.tolerates(*_UNSCHEDULABLE_TAINT):
            return None
        result: Mask = ~nodes.unschedulable
        return result


class NodeName(Filter):
    """A pod that names its node goes nowhere else."""

    name = "NodeName"
    refusal = "node(s) didn't match the requested node name"
    wakes_on = Change.NODE

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        wanted = pod.spec.get("nodeName")
        return cluster.nodes.mask_of([wanted]) if wanted else None


def rows_of_term(term: Object, nodes: NodeTable) -> Mask:
    """The nodes that meet one NodeSelectorTerm; an empty term meets none."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return np.zeros(nodes.rows, bool)
    mask = nodes.alive.copy()
    for expression in expressions:
        mask &= _rows_of_requirement(node_selector_requirement(expression), nodes)
    for expression in fields:
        named = nodes.mask_of(expression.get("values") or ())
        mask &= ~named if expression.get("operator") == "NotIn" else named
    return mask


def rows_of_terms(terms: list[Object], nodes: NodeTable) -> Mask:
    """The nodes that meet any of the terms."""
    mask: Mask = np.zeros(nodes.rows, bool)
    for term in terms:
        mask |= rows_of_term(term, nodes)
    return mask


def _rows_of_requirement(requirement: Requirement, nodes: NodeTable) -> Mask:
    if requirement.operator in ("Gt", "Lt"):
        return nodes.rows_where(requirement.matches)
    column = nodes.label_column(requirement.key)
    present = column != ABSENT
    if requirement.operator in ("Exists", "DoesNotExist"):
        mask: Mask = present
    else:
        mask = np.isin(column, [nodes.value_id(requirement.key, value) for value in requirement.values])
    return ~mask if requirement.operator in ("DoesNotExist", "NotIn") else mask


def required_rows(pod: PodView, nodes: NodeTable) -> Mask | None:
    """The nodes that nodeSelector and required node affinity allow; None when the pod has neither."""
    if not pod.node_rules:
        return None
    mask: Mask = nodes.while_nodes_stay(("required_rows", pod.node_rules), lambda: _required_rows(pod, nodes))
    return mask


def _required_rows(pod: PodView, nodes: NodeTable) -> Mask:
    mask = nodes.alive.copy()
    for key, value in (pod.spec.get("nodeSelector") or {}).items():
        mask &= nodes.label_column(key) == nodes.value_id(key, value)
    if required := _required(pod):
        mask &= rows_of_terms(required.get("nodeSelectorTerms") or [], nodes)
    return mask


def _required(pod: PodView) -> Object | None:
    return pod.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")


def named_nodes(pod: PodView) -> frozenset[str] | None:
    """The nodes that required affinity names one by one, as those of a DaemonSet's pods; None if it does not."""
    terms = (_required(pod) or {}).get("nodeSelectorTerms") or ()
    named: set[str] = set()
    for term in terms:
        fields = [f for f in term.get("matchFields") or () if f["key"] == "metadata.name" and f["operator"] == "In"]
        if not fields:
            return None
        named |= set.intersection(*(set(field.get("values") or ()) for field in fields))
    return frozenset(named) if terms else None


class NodeAffinity(Filter, Score):
    """nodeSelector and node affinity, required and preferred."""

    name = "NodeAffinity"
    refusal = "node(s) didn't match Pod's node affinity/selector"
    not_named = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
    weight = 2
    wakes_on = Change.NODE

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        if pod.node_rules and named_nodes(pod) == frozenset():
            raise Unschedulable("pod affinity terms conflict")
        return required_rows(pod, cluster.nodes)

    def reasons(self, pod: PodView, refused: Mask, cluster: Cluster) -> Counter[str]:
        named = named_nodes(pod)
        if named is None:
            return super().reasons(pod, refused, cluster)
        among = int(np.count_nonzero(refused & cluster.nodes.mask_of(named)))
        return +Counter({self.refusal: among, self.not_named: int(np.count_nonzero(refused)) - among})

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        preferred = pod.node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution")
        if not preferred:
            return None

        def compute() -> Scores:
            raw = np.zeros(cluster.nodes.rows)
            for term in preferred:
                raw += term["weight"] * rows_of_term(term["preference"], cluster.nodes)
            return raw

        raw: Scores = cluster.nodes.while_nodes_stay((self.name, repr(preferred)), compute)
        return scaled(raw, feasible)
