"""Every node as columns of arrays, so that one operation looks at all of them.

A node keeps its row until it is removed; free rows are masked out by `alive`. Labels and taints are turned into small
whole numbers (ids), and a column of label values is made when a label is first asked for.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kajitori.api.meta import Object, labels_of, name_of
from kajitori.api.pods import amounts
from kajitori.scheduler.pod_view import PodView

Mask = NDArray[np.bool_]
Column = NDArray[np.int64]
ABSENT = -1
_FIRST_ROWS = 64
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
        self.names: list[str] = [""] * _FIRST_ROWS
        self.labels: list[dict[str, str]] = [{} for _ in range(_FIRST_ROWS)]
        self.images: list[frozenset[str]] = [frozenset()] * _FIRST_ROWS
        self.pods: list[dict[str, PodView]] = [{} for _ in range(_FIRST_ROWS)]
        """By row, the pods there by uid."""
        self.host_ports: list[set[tuple[str, str, int]]] = [set() for _ in range(_FIRST_ROWS)]
        self._row_of: dict[str, int] = {}
        self._row_of_pod: dict[str, int] = {}
        self._label_columns: dict[str, Column] = {}
        self._value_ids: dict[str, int] = {}
        self._values: list[str] = []
        self._pod_watchers: list[Callable[[int, PodView, int], None]] = []
        for resource in BASIC_RESOURCES:
            self._resource(resource)

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def rows(self) -> int:
        """How many entries a Column has now."""
        return len(self.alive)

    def row(self, name: str) -> int | None:
        return self._row_of.get(name)

    def column(self) -> Column:
        """Zeros, one a row."""
        return np.zeros(self.rows, np.int64)

    def allocatable_of(self, resource: str) -> Column:
        return self._resource(resource)[0]

    def requested_of(self, resource: str) -> Column:
        return self._resource(resource)[1]

    def _resource(self, resource: str) -> tuple[Column, Column]:
        if resource not in self.allocatable:
            self.allocatable[resource], self.requested[resource] = self.column(), self.column()
            self.scored[resource] = self.column()
        return self.allocatable[resource], self.requested[resource]

    def value_id(self, value: str) -> int:
        """The number that stands for a label's value."""
        found = self._value_ids.get(value)
        if found is None:
            found = self._value_ids[value] = len(self._values)
            self._values.append(value)
        return found

    def label_column(self, key: str) -> Column:
        """The id of each node's value of a label, ABSENT where it has none."""
        column = self._label_columns.get(key)
        if column is None:
            column = np.full(self.rows, ABSENT, np.int64)
            for row in self._row_of.values():
                if key in self.labels[row]:
                    column[row] = self.value_id(self.labels[row][key])
            self._label_columns[key] = column
        return column

    def rows_where(self, test: Callable[[dict[str, str]], bool]) -> Mask:
        """The nodes whose labels pass an arbitrary test; for the operators that ids cannot answer."""
        mask: Mask = np.zeros(self.rows, bool)
        for row in self._row_of.values():
            mask[row] = test(self.labels[row])
        return mask

    def on_pod(self, watcher: Callable[[int, PodView, int], None]) -> None:
        """Call `watcher(row, pod, +1 or -1)` with every pod that comes or goes."""
        self._pod_watchers.append(watcher)

    def put_node(self, node: Object) -> None:
        name = name_of(node)
        row = self._row_of.get(name)
        if row is None:
            row = self._free_row()
            self._row_of[name], self.names[row], self.alive[row] = row, name, True
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self.unschedulable[row] = bool(spec.get("unschedulable"))
        self.taint_class[row] = self._class_of(spec.get("taints") or ())
        self._set_labels(row, dict(labels_of(node)))
        self.images[row] = frozenset(n for image in status.get("images") or () for n in image.get("names") or ())
        room = amounts(status.get("allocatable") or status.get("capacity"))
        for resource in {*room, *self.allocatable}:
            self._resource(resource)[0][row] = room.get(resource, 0)

    def remove_node(self, name: str) -> None:
        """Pods still there go with it."""
        row = self._row_of.get(name)
        if row is None:
            return
        for pod in list(self.pods[row].values()):
            self.remove_pod(pod.uid)
        del self._row_of[name]
        self.alive[row] = False
        self.names[row] = ""
        self._set_labels(row, {})

    def put_pod(self, pod: PodView, node: str) -> None:
        """A pod runs, or is about to run, on a node; a node not yet seen is kept as a row without room."""
        self.remove_pod(pod.uid)
        row = self._row_of.get(node)
        if row is None:
            self.put_node({"metadata": {"name": node}, "spec": {"unschedulable": True}})
            row = self._row_of[node]
        self.pods[row][pod.uid] = pod
        self._row_of_pod[pod.uid] = row
        self._count(row, pod, 1)

    def remove_pod(self, uid: str) -> None:
        row = self._row_of_pod.pop(uid, None)
        if row is not None:
            self._count(row, self.pods[row].pop(uid), -1)

    def _count(self, row: int, pod: PodView, sign: int) -> None:
        for resource, amount in pod.requests.items():
            self._resource(resource)[1][row] += sign * amount
        for resource, amount in pod.scored_requests.items():
            self.scored[resource][row] += sign * amount
        if pod.host_ports:
            self.host_ports[row] = {port for other in self.pods[row].values() for port in other.host_ports}
        for watcher in self._pod_watchers:
            watcher(row, pod, sign)

    def _set_labels(self, row: int, labels: dict[str, str]) -> None:
        self.labels[row] = labels
        for key, column in self._label_columns.items():
            column[row] = self.value_id(labels[key]) if key in labels else ABSENT

    def _class_of(self, taints: Any) -> int:
        found = tuple(sorted((t.get("key", ""), t.get("value") or "", t.get("effect", "")) for t in taints))
        if found not in self.taint_classes:
            self.taint_classes.append(found)
        return self.taint_classes.index(found)

    def _free_row(self) -> int:
        free = np.flatnonzero(~self.alive)
        if not len(free):
            self._grow()
            free = np.flatnonzero(~self.alive)
        return int(free[0])

    def _grow(self) -> None:
        more = self.rows
        self.alive = np.append(self.alive, np.zeros(more, bool))
        self.unschedulable = np.append(self.unschedulable, np.zeros(more, bool))
        self.taint_class = np.append(self.taint_class, np.zeros(more, np.int64))
        for columns in (self.allocatable, self.requested, self.scored):
            for resource, column in columns.items():
                columns[resource] = np.append(column, np.zeros(more, np.int64))
        for key, column in self._label_columns.items():
            self._label_columns[key] = np.append(column, np.full(more, ABSENT, np.int64))
        self.names += [""] * more
        self.labels += [{} for _ in range(more)]
        self.images += [frozenset()] * more
        self.pods += [{} for _ in range(more)]
        self.host_ports += [set() for _ in range(more)]
