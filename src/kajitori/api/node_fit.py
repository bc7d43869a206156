"""Whether a pod may be on a node: node selector, required node affinity, taints.

The scheduler has the same rules for all nodes at once, on arrays.
"""

from collections.abc import Iterable, Sequence

from kajitori.api.meta import Object, labels_of, name_of
from kajitori.api.selectors import node_selector_requirement


def taints_of(node: Object) -> list[Object]:
    return list(node["spec"].get("taints") or ())


def tolerates(tolerations: Iterable[Object], taint: Object) -> bool:
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(pod_spec: Object, taints: Iterable[Object], effects: Sequence[str]) -> list[Object]:
    tolerations = pod_spec.get("tolerations") or ()
    return [t for t in taints if t.get("effect") in effects and not tolerates(tolerations, t)]


def matches_affinity(pod_spec: Object, node: Object) -> bool:
    """nodeName, nodeSelector and the required node affinity."""
    if pod_spec.get("nodeName") and pod_spec["nodeName"] != name_of(node):
        return False
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in (pod_spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_terms(required.get("nodeSelectorTerms") or (), node)


def matches_terms(terms: Iterable[Object], node: Object) -> bool:
    """One term is enough; an empty term matches nothing."""
    return any(_matches_term(term, node) for term in terms)


def _matches_term(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels, named = labels_of(node), {"metadata.name": name_of(node)}
    return all(node_selector_requirement(e).matches(labels) for e in expressions) and all(
        node_selector_requirement(f).matches(named) for f in fields
    )
