"""A pod as the scheduler sees it: parsed once, compared often."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import orjson

from kajitori.api.meta import Object, is_deleting, labels_of, name_of, namespace_of, uid_of
from kajitori.api.pods import Amounts, HostPort, host_ports, pod_requests
from kajitori.api.selectors import LabelSelector, from_label_selector

# What a container that asks for nothing counts as in scores, so that such pods spread too (upstream's util.non_zero).
SMALL_CONTAINER = {"cpu": "100m", "memory": "200Mi"}


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """Pods in these namespaces that match the selector, counted per domain of a label. Equal terms share counts.

    `namespaces` is None for all; `namespace_selector` (on the labels of namespaces) adds to it. Spreading
    `skips_deleting`: a pod on its way out makes room for the next.
    """

    namespaces: frozenset[str] | None
    namespace_selector: LabelSelector | None
    selector: LabelSelector
    topology_key: str = ""
    skips_deleting: bool = False

    def matches(self, pod: "PodView", namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        """`namespaces` gives each namespace's labels."""
        if self.skips_deleting and pod.deleting:
            return False
        if self.namespaces is not None and pod.namespace not in self.namespaces:
            labels = namespaces.get(pod.namespace)
            if self.namespace_selector is None or labels is None or not self.namespace_selector.matches(labels):
                return False
        return self.selector.matches(pod.labels)


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """One of `topologySpreadConstraints`; `term` counts the pods that it spreads."""

    term: AffinityTerm
    max_skew: int
    hard: bool
    min_domains: int
    honours_affinity: bool
    honours_taints: bool


class PodView:
    """Wraps the document; never changes it."""

    def __init__(self, pod: Object) -> None:
        self.document = pod
        self.uid = uid_of(pod)
        self.name = name_of(pod)
        self.namespace = namespace_of(pod)
        self.labels = dict(labels_of(pod))
        self.spec: Object = pod["spec"]
        self.priority: int = self.spec.get("priority") or 0
        self.deleting = is_deleting(pod)

    def renew(self, pod: Object) -> None:
        """Another version of the document that asks for the same."""
        self.document, self.spec = pod, pod["spec"]

    @cached_property
    def _needs(self) -> tuple[Amounts, Amounts]:
        relevant = {field: self.spec[field] for field in ("overhead", "resources") if self.spec.get(field)}
        for field in ("containers", "initContainers"):
            relevant[field] = [
                {"resources": c.get("resources"), "restartPolicy": c.get("restartPolicy")}
                for c in self.spec.get(field) or ()
            ]
        return _needs_of(orjson.dumps(relevant))

    @property
    def requests(self) -> Amounts:
        """One pod among them, so that the room for pods is a resource like the others."""
        return self._needs[0]

    @cached_property
    def requests_key(self) -> tuple[tuple[str, int], ...]:
        """What it asks for: pods with equal keys fit on the same nodes."""
        return tuple((resource, amount) for resource, amount in sorted(self.requests.items()) if amount > 0)

    @property
    def scored_requests(self) -> Amounts:
        """CPU and memory, where a container that asks for nothing counts as a small one."""
        return self._needs[1]

    @cached_property
    def host_ports(self) -> frozenset[HostPort]:
        return host_ports(self.spec)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """Names with a tag, as nodes list them; one a container."""
        containers = [*(self.spec.get("initContainers") or ()), *(self.spec.get("containers") or ())]
        return tuple(sorted(_with_tag(container.get("image") or "") for container in containers))

    @cached_property
    def node_rules(self) -> str:
        """nodeSelector and required node affinity as text: equal texts allow the same nodes. Empty: any node."""
        selector = self.spec.get("nodeSelector")
        required = self.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        return repr((selector, required)) if selector or required else ""

    @cached_property
    def tolerations(self) -> tuple[Object, ...]:
        return tuple(self.spec.get("tolerations") or ())

    @cached_property
    def tolerations_key(self) -> str:
        return repr(self.tolerations) if self.tolerations else ""

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        return any(_tolerates(toleration, key, value, effect) for toleration in self.tolerations)

    @cached_property
    def _affinity(self) -> Object:
        return self.spec.get("affinity") or {}

    @cached_property
    def node_affinity(self) -> Object:
        return self._affinity.get("nodeAffinity") or {}

    @cached_property
    def required_affinity(self) -> tuple[AffinityTerm, ...]:
        return self._required("podAffinity")

    @cached_property
    def required_anti_affinity(self) -> tuple[AffinityTerm, ...]:
        return self._required("podAntiAffinity")

    @cached_property
    def preferred_affinity(self) -> tuple[tuple[int, AffinityTerm], ...]:
        """Weight and term; weights of anti-affinity are negative."""
        return tuple(self._preferred("podAffinity", 1)) + tuple(self._preferred("podAntiAffinity", -1))

    @cached_property
    def spread(self) -> tuple[SpreadConstraint, ...]:
        return tuple(self._spread(c) for c in self.spec.get("topologySpreadConstraints") or ())

    @cached_property
    def claims(self) -> dict[str, bool]:
        """Names of the PersistentVolumeClaims it mounts, and whether it is an ephemeral volume's (pod-volume)."""
        names = {}
        for volume in self.spec.get("volumes") or ():
            if claim := volume.get("persistentVolumeClaim"):
                names[claim["claimName"]] = False
            elif "ephemeral" in volume:
                names[f"{self.name}-{volume['name']}"] = True
        return names

    def _required(self, kind: str) -> tuple[AffinityTerm, ...]:
        terms = (self._affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        return tuple(self._term(term) for term in terms)

    def _preferred(self, kind: str, sign: int) -> list[tuple[int, AffinityTerm]]:
        terms = (self._affinity.get(kind) or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        return [(sign * t["weight"], self._term(t["podAffinityTerm"])) for t in terms]

    def _term(self, term: Object) -> AffinityTerm:
        names, selector = term.get("namespaces") or (), term.get("namespaceSelector")
        namespaces = frozenset(names) if names or selector is not None else frozenset({self.namespace})
        return AffinityTerm(
            namespaces=namespaces,
            namespace_selector=None if selector is None else from_label_selector(selector),
            selector=self._with_label_keys(term),
            topology_key=term["topologyKey"],
        )

    def _spread(self, constraint: Object) -> SpreadConstraint:
        selector, key = self._with_label_keys(constraint), constraint["topologyKey"]
        return SpreadConstraint(
            AffinityTerm(frozenset({self.namespace}), None, selector, key, skips_deleting=True),
            max_skew=constraint["maxSkew"],
            hard=constraint["whenUnsatisfiable"] == "DoNotSchedule",
            min_domains=constraint.get("minDomains") or 1,
            honours_affinity=constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
            honours_taints=constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )

    def _with_label_keys(self, term: Object) -> LabelSelector:
        """The term's selector, narrowed to pods that agree (mismatch: do not) with this one in the listed labels."""
        document: dict[str, Any] = dict(term.get("labelSelector") or {})
        if term.get("labelSelector") is None:
            return from_label_selector(None)
        extra = [
            {"key": key, "operator": operator, "values": [self.labels[key]]}
            for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
            for key in term.get(field) or ()
            if key in self.labels
        ]
        if extra:
            document["matchExpressions"] = [*(document.get("matchExpressions") or ()), *extra]
        return from_label_selector(document)


@lru_cache(maxsize=1024)
def _needs_of(spec_text: bytes) -> tuple[Amounts, Amounts]:
    """Requests plain and as scored: the pods of one controller ask for the same, so that this is computed once."""
    spec = orjson.loads(spec_text)
    plain = {**pod_requests({"spec": spec}), "pods": 1}
    for field in ("containers", "initContainers"):
        spec[field] = [_at_least_small(container) for container in spec[field]]
    scored = pod_requests({"spec": spec})
    return plain, {"cpu": scored.get("cpu", 0), "memory": scored.get("memory", 0)}


def _at_least_small(container: Object) -> Object:
    resources = container.get("resources") or {}
    return {**container, "resources": {**resources, "requests": SMALL_CONTAINER | (resources.get("requests") or {})}}


def _with_tag(image: str) -> str:
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


def _tolerates(toleration: Object, key: str, value: str, effect: str) -> bool:
    if toleration.get("effect") and toleration["effect"] != effect:
        return False
    if toleration.get("key") and toleration["key"] != key:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return bool(toleration.get("key")) and operator == "Equal" and (toleration.get("value") or "") == value
