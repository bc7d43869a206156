"""Every node as columns of arrays, so that one operation looks at all of them.

A node keeps its row until it is removed and its last pod is gone; rows without a node are masked out by `alive`. Labels
and taints are turned into small whole numbers (ids), and a column of a label's values is made when first asked for.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kajitori.api.meta import Object, ObjectKey, labels_of, name_of
from kajitori.api.pods import HostPort, amounts
from kajitori.scheduler.changes import Answer, Answers, ChangeLog, Rows
from kajitori.scheduler.pod_view import PodView

Mask = NDArray[np.bool_]
Column = NDArray[np.int64]
ABSENT = -1
UNKNOWN = -2
"""The id of a value that no node has."""
NO_PODS = 2**31
"""Above any priority."""
_FIRST_ROWS = 64
_SPARE_IDS = 1024
"""How many ids of values that no node has any more may lie about before a label is numbered anew."""
LABELS_MAX = 256
"""Labels that have a column; the oldest goes, and is made anew if asked for again."""
BASIC_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods")

Taint = tuple[str, str, str]
"""Key, value, effect."""


class NodeTable:
    """Shapes: every Column has one entry a row; `allocatable` and `requested` map a resource to a Column.

    Amounts are as in `api.pods`: CPU in thousandths of a core, the rest in units.
    """

    def __init__(self) -> None:
        self.alive: Mask = np.zeros(_FIRST_ROWS, bool)
        self.unschedulable: Mask = np.zeros(_FIRST_ROWS, bool)
        self.taint_class: Column = np.zeros(_FIRST_ROWS, np.int64)
        self.taint_classes: list[tuple[Taint, ...]] = [()]
        self.allocatable: dict[str, Column] = {}
        self.requested: dict[str, Column] = {}
        self.scored: dict[str, Column] = {}
        """Requests as scores count them: a container that asks for nothing counts as a small one."""
        self.least_priority: Column = np.full(_FIRST_ROWS, NO_PODS, np.int64)
        """Of the pods there."""
        self.names: list[str] = [""] * _FIRST_ROWS
        self.labels: list[dict[str, str]] = [{} for _ in range(_FIRST_ROWS)]
        self.images: list[dict[str, int]] = [{} for _ in range(_FIRST_ROWS)]
        """By row, bytes of each image by each of its names."""
        self.pods: list[dict[str, PodView]] = [{} for _ in range(_FIRST_ROWS)]
        """By row, the pods there by uid."""
        self.host_ports: list[set[HostPort]] = [set() for _ in range(_FIRST_ROWS)]
        self.claim_users: Counter[ObjectKey] = Counter()
        """How many pods on nodes use each PersistentVolumeClaim."""
        self._row_of: dict[str, int] = {}
        self._row_of_pod: dict[str, int] = {}
        self._free = list(range(_FIRST_ROWS - 1, -1, -1))
        self._label_columns: dict[str, Column] = {}
        self._value_ids: dict[str, dict[str, int]] = {}
        self._taint_class_ids: dict[tuple[Taint, ...], int] = {(): 0}
        self._pod_watchers: list[Callable[[int, PodView, int], None]] = []
        self._alive_count = 0
        self._answers = Answers()
        self._node_log, self._log = ChangeLog(), ChangeLog()
        for resource in BASIC_RESOURCES:
            self._resource(resource)

    def __len__(self) -> int:
        """Nodes there are; not those that are gone while pods of theirs linger."""
        return self._alive_count

    @property
    def rows(self) -> int:
        """How many entries a Column has now."""
        return len(self.alive)

    def row(self, name: str) -> int | None:
        """None for a node that is not there, or no longer."""
        row = self._row_of.get(name)
        return row if row is not None and self.alive[row] else None

    def mask_of(self, names: Iterable[str]) -> Mask:
        mask: Mask = np.zeros(self.rows, bool)
        mask[[row for name in names if (row := self.row(name)) is not None]] = True
        return mask

    def column(self) -> Column:
        """Zeros, one a row."""
        return np.zeros(self.rows, np.int64)

    def allocatable_of(self, resource: str) -> Column:
        """Zeros for a resource that no node has: asking for one makes no column, for anybody may ask for anything."""
        found = self.allocatable.get(resource)
        return self.column() if found is None else found

    def requested_of(self, resource: str) -> Column:
        found = self.requested.get(resource)
        return self.column() if found is None else found

    def _resource(self, resource: str) -> tuple[Column, Column]:
        if resource not in self.allocatable:
            self.allocatable[resource], self.requested[resource] = self.column(), self.column()
            self.scored[resource] = self.column()
        return self.allocatable[resource], self.requested[resource]

    def remember(self, key: Hashable, compute: Callable[[Rows], Answer]) -> Answer:
        """`compute(rows)`, of which only rows whose node or pods changed since the last time are computed anew."""
        answer: Answer = self._answers.by_row(key, self._log, self.rows, compute)
        return answer

    def while_nodes_stay(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """`compute()`, computed anew only when a node (not its pods) changed since the last time."""
        return self._answers.whole(key, self._node_log, compute)

    @property
    def nodes_revision(self) -> int:
        """Moves with every change of a node, not with its pods."""
        return self._node_log.revision

    def value_id(self, key: str, value: str) -> int:
        """The number that stands for a value in the label's column, UNKNOWN if no node has it."""
        self.label_column(key)
        return self._value_ids[key].get(value, UNKNOWN)

    def label_column(self, key: str) -> Column:
        """The id of each node's value of a label, ABSENT where it has none. Ids count up from 0 in each label."""
        column = self._label_columns.get(key)
        if column is None:
            if len(self._label_columns) >= LABELS_MAX:
                oldest = next(iter(self._label_columns))
                del self._label_columns[oldest], self._value_ids[oldest]
            column = self._label_columns[key] = np.full(self.rows, ABSENT, np.int64)
            self._value_ids[key] = {}
            for row in self._row_of.values():
                self._set_label(key, row)
        return column

    def rows_where(self, test: Callable[[dict[str, str]], bool]) -> Mask:
        """The nodes whose labels pass an arbitrary test; for the operators that ids cannot answer."""
        mask: Mask = np.zeros(self.rows, bool)
        for row in self._row_of.values():
            mask[row] = self.alive[row] and test(self.labels[row])
        return mask

    def on_pod(self, watcher: Callable[[int, PodView, int], None]) -> None:
        """Call `watcher(row, pod, +1 or -1)` with every pod that comes or goes."""
        self._pod_watchers.append(watcher)

    def put_node(self, node: Object) -> None:
        row = self._reserve(name_of(node))
        if not self.alive[row]:
            self.alive[row] = True
            self._alive_count += 1
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self.unschedulable[row] = bool(spec.get("unschedulable"))
        self.taint_class[row] = self._class_of(spec.get("taints") or ())
        self._set_labels(row, dict(labels_of(node)))
        self.images[row] = {
            name: image.get("sizeBytes") or 0
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }
        room = amounts(status.get("allocatable") or status.get("capacity"))
        for resource in {*room, *self.allocatable}:
            self._resource(resource)[0][row] = room.get(resource, 0)
        self._note_node(row)

    def remove_node(self, name: str) -> None:
        """Pods still bound to it are kept, for a node of that name may come back before they are gone."""
        row = self.row(name)
        if row is None:
            return
        self.alive[row] = self.unschedulable[row] = False
        self._alive_count -= 1
        self.taint_class[row] = 0
        self._set_labels(row, {})
        self.images[row] = {}
        for column in self.allocatable.values():
            column[row] = 0
        self._note_node(row)
        self._release(row)

    def put_pod(self, pod: PodView, node: str) -> None:
        """A pod runs, or is about to run, on a node, which may not have been seen yet."""
        self.remove_pod(pod.uid)
        row = self._reserve(node)
        self.pods[row][pod.uid] = pod
        self._row_of_pod[pod.uid] = row
        self._count(row, pod, 1)

    def remove_pod(self, uid: str) -> None:
        row = self._row_of_pod.pop(uid, None)
        if row is not None:
            self._count(row, self.pods[row].pop(uid), -1)
            self._release(row)

    def renew_pod(self, uid: str, document: Object) -> None:
        """A pod's document changed in nothing that counts: keep the new one, so that the old can go."""
        row = self._row_of_pod.get(uid)
        if row is not None:
            self.pods[row][uid].renew(document)

    def node_of_pod(self, uid: str) -> str:
        row = self._row_of_pod.get(uid)
        return "" if row is None else self.names[row]

    def _count(self, row: int, pod: PodView, sign: int) -> None:
        for resource, amount in pod.requests.items():
            self._resource(resource)[1][row] += sign * amount
        for resource, amount in pod.scored_requests.items():
            self.scored[resource][row] += sign * amount
        if sign > 0:
            self.least_priority[row] = min(pod.priority, self.least_priority[row])
        elif pod.priority == self.least_priority[row]:
            self.least_priority[row] = min((p.priority for p in self.pods[row].values()), default=NO_PODS)
        if pod.host_ports:
            self.host_ports[row] = {port for other in self.pods[row].values() for port in other.host_ports}
        for claim in pod.claims:
            key = ObjectKey(pod.namespace, claim)
            self.claim_users[key] += sign
            if not self.claim_users[key]:
                del self.claim_users[key]
        self._log.note(row)
        for watcher in self._pod_watchers:
            watcher(row, pod, sign)

    def _note_node(self, row: int) -> None:
        self._node_log.note(row)
        self._log.note(row)

    def _set_labels(self, row: int, labels: dict[str, str]) -> None:
        self.labels[row] = labels
        for key in list(self._label_columns):
            self._set_label(key, row)
            if len(self._value_ids[key]) > 2 * self.rows + _SPARE_IDS:
                del self._label_columns[key], self._value_ids[key]

    def _set_label(self, key: str, row: int) -> None:
        ids, value = self._value_ids[key], self.labels[row].get(key)
        self._label_columns[key][row] = ABSENT if value is None else ids.setdefault(value, len(ids))

    def _class_of(self, taints: Any) -> int:
        found = tuple((t.get("key", ""), t.get("value") or "", t.get("effect", "")) for t in taints)
        if found not in self._taint_class_ids:
            if len(self.taint_classes) > 2 * self.rows:
                self._forget_taint_classes()
            self._taint_class_ids[found] = len(self.taint_classes)
            self.taint_classes.append(found)
        return self._taint_class_ids[found]

    def _forget_taint_classes(self) -> None:
        """Number anew those that some node still has."""
        used = [self.taint_classes[number] for number in self.taint_class]
        self.taint_classes = list(dict.fromkeys([(), *used]))
        self._taint_class_ids = {taints: number for number, taints in enumerate(self.taint_classes)}
        self.taint_class = np.array([self._taint_class_ids[taints] for taints in used], np.int64)

    def _reserve(self, name: str) -> int:
        row = self._row_of.get(name)
        if row is None:
            if not self._free:
                self._grow()
            row = self._row_of[name] = self._free.pop()
            self.names[row] = name
        return row

    def _release(self, row: int) -> None:
        if not self.alive[row] and not self.pods[row]:
            del self._row_of[self.names[row]]
            self.names[row] = ""
            self._free.append(row)

    def _grow(self) -> None:
        more = self.rows
        self._free = list(range(2 * more - 1, more - 1, -1))
        self.alive = np.append(self.alive, np.zeros(more, bool))
        self.unschedulable = np.append(self.unschedulable, np.zeros(more, bool))
        self.taint_class = np.append(self.taint_class, np.zeros(more, np.int64))
        self.least_priority = np.append(self.least_priority, np.full(more, NO_PODS, np.int64))
        for columns in (self.allocatable, self.requested, self.scored):
            for resource, column in columns.items():
                columns[resource] = np.append(column, np.zeros(more, np.int64))
        for key, column in self._label_columns.items():
            self._label_columns[key] = np.append(column, np.full(more, ABSENT, np.int64))
        self.names += [""] * more
        self.labels += [{} for _ in range(more)]
        self.images += [{} for _ in range(more)]
        self.pods += [{} for _ in range(more)]
        self.host_ports += [set() for _ in range(more)]
        # Every answer is too short now.
        self._note_node(more)
