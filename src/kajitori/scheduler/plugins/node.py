"""What a node is: its name, its labels, whether it is cordoned, its ports, the images it has."""

import numpy as np

from kajitori.api.meta import Object
from kajitori.api.selectors import Requirement, node_selector_requirement
from kajitori.scheduler.framework import SCORE_MAX, Cluster, Filter, Score, Scores, scaled
from kajitori.scheduler.node_table import ABSENT, Mask, NodeTable
from kajitori.scheduler.pod_view import PodView

_UNSCHEDULABLE_TAINT = ("node.kubernetes.io/unschedulable", "", "NoSchedule")
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104


class NodeUnschedulable(Filter):
    """Cordoned nodes take only pods that tolerate it."""

    name = "NodeUnschedulable"

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        nodes = cluster.nodes
        if not nodes.unschedulable.any() or pod.tolerates(*_UNSCHEDULABLE_TAINT):
            return None
        result: Mask = ~nodes.unschedulable
        return result

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        return ["node(s) were unschedulable"]


class NodeName(Filter):
    """A pod that names its node goes nowhere else."""

    name = "NodeName"

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        wanted = pod.spec.get("nodeName")
        if not wanted:
            return None
        return np.array([name == wanted for name in cluster.nodes.names])

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        return ["node(s) didn't match the requested node name"]


def rows_of_term(term: Object, nodes: NodeTable) -> Mask:
    """The nodes that meet one NodeSelectorTerm; an empty term meets none."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return np.zeros(nodes.rows, bool)
    mask = nodes.alive.copy()
    for expression in expressions:
        mask &= _rows_of_requirement(node_selector_requirement(expression), nodes)
    for expression in fields:
        requirement = node_selector_requirement(expression)
        mask &= np.array([requirement.matches({"metadata.name": name}) for name in nodes.names])
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
        mask = np.isin(column, [nodes.value_id(value) for value in requirement.values])
    return ~mask if requirement.operator in ("DoesNotExist", "NotIn") else mask


def required_rows(pod: PodView, nodes: NodeTable) -> Mask | None:
    """The nodes that nodeSelector and required node affinity allow; None when the pod has neither."""
    mask: Mask | None = None
    if selector := pod.spec.get("nodeSelector"):
        mask = nodes.alive.copy()
        for key, value in selector.items():
            mask &= nodes.label_column(key) == nodes.value_id(value)
    if required := pod.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
        allowed = rows_of_terms(required.get("nodeSelectorTerms") or [], nodes)
        mask = allowed if mask is None else mask & allowed
    return mask


class NodeAffinity(Filter, Score):
    """nodeSelector and node affinity, required and preferred."""

    name = "NodeAffinity"
    weight = 2

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        return required_rows(pod, cluster.nodes)

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        return ["node(s) didn't match Pod's node affinity/selector"]

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        preferred = pod.node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution")
        if not preferred:
            return None
        raw = np.zeros(cluster.nodes.rows)
        for term in preferred:
            raw += term["weight"] * rows_of_term(term["preference"], cluster.nodes)
        return scaled(raw, feasible)


class NodePorts(Filter):
    """Two pods cannot have one host port."""

    name = "NodePorts"

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        if not pod.host_ports:
            return None
        return np.array([not _clash(pod, taken) for taken in cluster.nodes.host_ports])

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        return ["node(s) didn't have free ports for the requested pod ports"]


def _clash(pod: PodView, taken: set[tuple[str, str, int]]) -> bool:
    return any(
        protocol == other and port == number and (_ANY_ADDRESS in (address, at) or address == at)
        for protocol, address, port in pod.host_ports
        for other, at, number in taken
    )


class ImageLocality(Score):
    """Nodes that have the images already."""

    name = "ImageLocality"

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        wanted = {container.get("image", "") for container in pod.spec.get("containers") or ()}
        found = np.array([len(wanted & images) for images in cluster.nodes.images], float)
        return np.floor(found * SCORE_MAX / len(wanted)) if found.any() else None
