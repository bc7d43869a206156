"""Pods that belong together: of one Service, of one controller. Spread by default even if they do not ask."""

from typing import Any

from kajitori.api import apps, core
from kajitori.api.meta import Object, ObjectKey, controller_of
from kajitori.api.selectors import LabelSelector, from_label_selector, from_label_set
from kajitori.client.cache import Cache
from kajitori.client.informer import Informer
from kajitori.scheduler.pod_view import PodView

_CONTROLLERS = {"ReplicaSet": apps.REPLICA_SET, "StatefulSet": apps.STATEFUL_SET}
SELECTORS_MAX = 1024
"""Pods with equal labels and owner share an answer; beyond this many all are found anew."""


class Groups:
    """Reads Services and the controllers of pods. An answer is kept until one of those changes."""

    def __init__(self, cache: Cache) -> None:
        self._services = cache.informer(core.SERVICE)
        self._replication = cache.informer(core.REPLICATION_CONTROLLER)
        self._controllers = {kind: cache.informer(resource) for kind, resource in _CONTROLLERS.items()}
        self._known: dict[tuple[Any, ...], LabelSelector | None] = {}
        for informer in self.informers:
            informer.subscribe(self._on_change)

    @property
    def informers(self) -> list[Informer]:
        return [self._services, self._replication, *self._controllers.values()]

    def selector(self, pod: PodView) -> LabelSelector | None:
        """Selects the pods that share all of this pod's Services and its controller; None if it has neither."""
        owner = controller_of(pod.document) or {}
        key = (pod.namespace, owner.get("kind"), owner.get("name"), *sorted(pod.labels.items()))
        if key not in self._known:
            if len(self._known) >= SELECTORS_MAX:
                self._known.clear()
            self._known[key] = self._find(pod, owner)
        return self._known[key]

    def _find(self, pod: PodView, owner: Object) -> LabelSelector | None:
        selectors = [
            selector
            for service in self._services.list(pod.namespace)
            if (labels := service["spec"].get("selector")) and (selector := from_label_set(labels)).matches(pod.labels)
        ]
        key = ObjectKey(pod.namespace, owner.get("name", ""))
        if owner.get("kind") == "ReplicationController" and (found := self._replication.get(key)):
            selectors.append(from_label_set(found["spec"].get("selector")))
        elif (informer := self._controllers.get(owner.get("kind", ""))) and (found := informer.get(key)):
            selectors.append(from_label_selector(found["spec"].get("selector")))
        requirements = tuple(dict.fromkeys(r for selector in selectors for r in selector.requirements))
        return LabelSelector(requirements) if requirements else None

    def _on_change(self, kind: Any, new: Object, old: Object | None) -> None:
        if old is None or new is old or old["spec"].get("selector") != new["spec"].get("selector"):
            self._known.clear()
