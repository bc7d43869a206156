"""What the watches say, as the cluster that decisions look at, the queue of pods, and the changes that wake them."""

from collections.abc import Callable, Iterator, Mapping

from kajitori.api import core, storage
from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, labels_of, name_of, uid_of
from kajitori.api.pods import is_terminal, node_name
from kajitori.client.cache import Cache
from kajitori.client.informer import Informer
from kajitori.client.interface import WatchEventType
from kajitori.scheduler.framework import Change, Cluster, Nomination
from kajitori.scheduler.groups import Groups
from kajitori.scheduler.match_counts import MatchCounts
from kajitori.scheduler.node_table import NodeTable
from kajitori.scheduler.pod_view import PodView
from kajitori.scheduler.queue import SchedulingQueue

NAME = "default-scheduler"


class _Cached(Mapping[ObjectKey, Object]):
    """An informer as a mapping that is read only when asked."""

    def __init__(self, informer: Informer) -> None:
        self._informer = informer

    def __getitem__(self, key: ObjectKey) -> Object:
        found = self._informer.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[ObjectKey]:
        return (key_of(obj) for obj in self._informer.list())

    def __len__(self) -> int:
        return len(self._informer.list())


class ClusterView:
    """Keeps `cluster` and the queue current. `on_gone(uid)` is called when a pod without a node is gone."""

    def __init__(self, cache: Cache, queue: SchedulingQueue, name: str, on_gone: Callable[[str], None]) -> None:
        self._queue = queue
        self._name = name
        self._on_gone = on_gone
        self.assumed: set[str] = set()
        """Pods that are on a node in the table, but not yet for the server."""
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self.pods = cache.informer(core.POD)
        claims = cache.informer(core.PERSISTENT_VOLUME_CLAIM)
        volumes = cache.informer(core.PERSISTENT_VOLUME)
        classes, csi_nodes = cache.informer(storage.STORAGE_CLASS), cache.informer(storage.CSI_NODE)
        nodes, namespaces, groups = cache.informer(core.NODE), cache.informer(core.NAMESPACE), Groups(cache)
        table = NodeTable()
        self.cluster = Cluster(
            table,
            MatchCounts(table, self._namespaces),
            self._namespaces,
            claims=_Cached(claims),
            volumes=_Cached(volumes),
            storage_classes=_Cached(classes),
            csi_nodes=_Cached(csi_nodes),
            default_selector=groups.selector,
        )
        self.informers = [nodes, namespaces, claims, volumes, classes, csi_nodes, *groups.informers, self.pods]
        nodes.subscribe(self._on_node)
        namespaces.subscribe(self._on_namespace)
        self.pods.subscribe(self._on_pod)
        for informer in (claims, volumes, classes, csi_nodes):
            informer.subscribe(self._on_storage)

    def pod_left(self, uid: str) -> None:
        """A pod no longer counts on the node that it had or that was promised to it."""
        nominated = self.cluster.nominated.pop(uid, None)
        if self.cluster.nodes.node_of_pod(uid) or nominated:
            self.cluster.nodes.remove_pod(uid)
            self._queue.something_changed(Change.POD_LEFT)

    def _on_pod(self, kind: WatchEventType, pod: Object, old: Object | None) -> None:
        uid = uid_of(pod)
        if kind is WatchEventType.DELETED or is_terminal(pod):
            self._queue.remove(uid)
            self.assumed.discard(uid)
            self._on_gone(uid)
            self.pod_left(uid)
        elif node := node_name(pod):
            self._on_placed(pod, node, old)
        elif uid not in self.assumed and (pod["spec"].get("schedulerName") or NAME) == self._name:
            self._on_pending(pod, old)

    def _on_placed(self, pod: Object, node: str, old: Object | None) -> None:
        uid, nodes = uid_of(pod), self.cluster.nodes
        self._queue.remove(uid)
        self.assumed.discard(uid)
        self.cluster.nominated.pop(uid, None)
        if nodes.node_of_pod(uid) != node or old is None or _counts_differently(pod, old):
            asks_less = old is not None and bool(node_name(old)) and pod["spec"] != old["spec"]
            nodes.put_pod(PodView(pod), node)
            self._queue.something_changed(Change.POD_CAME | Change.POD_LEFT if asks_less else Change.POD_CAME)
        else:
            nodes.renew_pod(uid, pod)

    def _on_pending(self, pod: Object, old: Object | None) -> None:
        uid = uid_of(pod)
        if is_deleting(pod) or pod["spec"].get("schedulingGates"):
            self._queue.remove(uid)
            self.pod_left(uid)
            return
        view = PodView(pod)
        nominated = _nominated_node(pod)
        if nominated != (_nominated_node(old) if old else ""):
            # Written by a scheduler before this one, or by the user.
            if nominated:
                self.cluster.nominated[uid] = Nomination(view, nominated)
            else:
                self.pod_left(uid)
        self._queue.put(view)

    def _on_node(self, kind: WatchEventType, node: Object, old: Object | None) -> None:
        if kind is WatchEventType.DELETED:
            self.cluster.nodes.remove_node(name_of(node))
            self._queue.something_changed(Change.POD_LEFT)
        elif old is None or _decides(node) != _decides(old):
            self.cluster.nodes.put_node(node)
            self._queue.something_changed(Change.NODE)
        elif _images(node) != _images(old):
            self.cluster.nodes.put_node(node)

    def _on_namespace(self, kind: WatchEventType, namespace: Object, old: Object | None) -> None:
        if kind is WatchEventType.DELETED:
            self._namespaces.pop(name_of(namespace), None)
        else:
            self._namespaces[name_of(namespace)] = dict(labels_of(namespace))
        if kind is WatchEventType.DELETED or old is None or labels_of(old) != labels_of(namespace):
            self.cluster.counts.forget_namespaces()
            self._queue.something_changed(Change.POD_CAME)

    def _on_storage(self, *_: object) -> None:
        self._queue.something_changed(Change.STORAGE)


def _nominated_node(pod: Object) -> str:
    return (pod.get("status") or {}).get("nominatedNodeName") or ""


def _counts_differently(pod: Object, old: Object) -> bool:
    return labels_of(pod) != labels_of(old) or pod["spec"] != old["spec"] or is_deleting(pod) != is_deleting(old)


def _decides(node: Object) -> tuple[object, ...]:
    """What decides about pods: most updates of a node are heartbeats, and change nothing of it."""
    return node.get("spec"), labels_of(node), (node.get("status") or {}).get("allocatable")


def _images(node: Object) -> object:
    return (node.get("status") or {}).get("images")
