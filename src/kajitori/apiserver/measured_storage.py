"""A store whose answers are timed: etcd_request_duration_seconds and its companions, whatever the store is."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from kajitori.apiserver.exposition import Distribution, Family, Labels, Sample
from kajitori.kit.clock import Clock
from kajitori.storage.interface import LATEST, Change, Conflict, Delete, Key, Page, Record, Revision, Storage

BUCKETS_S = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)


class _Figures:
    """One operation on one kind."""

    __slots__ = ("buckets", "errors", "records", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0
        self.errors = 0
        self.records = 0
        """That lists gave."""


class MeasuredStorage:
    """Does what the store does. What is not timed is the store's own."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._now_s = clock.monotonic
        self._figures: dict[tuple[str, str], _Figures] = {}
        self.known_revision = storage.known_revision  # asked for with every read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def commit(self, change: Change, expect: Revision | None = None) -> Revision:
        began_s, failed = self._now_s(), True
        try:
            revision = await self._storage.commit(change, expect)
            failed = False
            return revision
        except Conflict:
            failed = False
            raise
        finally:
            operation = "delete" if isinstance(change, Delete) else "update" if expect else "create"
            self._note(operation, change.key, began_s, failed)

    async def read(self, key: Key, at: Revision = LATEST) -> Record | None:
        began_s, failed = self._now_s(), True
        try:
            record = await self._storage.read(key, at)
            failed = False
            return record
        finally:
            self._note("get", key, began_s, failed)

    async def scan(self, prefix: Key, start: Key = "", limit: int = 0, at: Revision = LATEST) -> Page:
        began_s, failed, records = self._now_s(), True, 0
        try:
            page = await self._storage.scan(prefix, start, limit, at)
            failed = False
            records = len(page.records)
            return page
        finally:
            self._note("list", prefix, began_s, failed, records)

    def _note(self, operation: str, key: Key, began_s: float, failed: bool, records: int = 0) -> None:
        duration_s = self._now_s() - began_s
        prefix = key[: key.find("/", key.find("/", 10) + 1) + 1]
        figures = self._figures.get((operation, prefix))
        if figures is None:
            figures = self._figures[operation, prefix] = _Figures()
        figures.buckets[bisect_left(BUCKETS_S, duration_s)] += 1
        figures.sum_s += duration_s
        figures.errors += failed
        figures.records += records

    def families(self) -> Iterator[Family]:
        yield from self._lists()
        """Labelled by operation, group and resource; there are no more of these than kinds."""
        shown: tuple[tuple[str, str, Callable[[_Figures], float]], ...] = (
            ("etcd_requests_total", "Requests to the store.", lambda figures: sum(figures.buckets)),
            ("etcd_request_errors_total", "Requests that the store could not serve.", lambda figures: figures.errors),
        )
        for name, help, value in shown:
            yield Family(name, "counter", help, partial(self._samples, value))
        yield Family(
            "etcd_request_duration_seconds",
            "histogram",
            "How long the store took.",
            partial(self._samples, lambda figures: Distribution(BUCKETS_S, figures.buckets, figures.sum_s)),
        )

    def _lists(self) -> Iterator[Family]:
        """Every record that the store gives is looked at and used, so three of upstream's counters are one here."""
        shown: tuple[tuple[str, str, Callable[[_Figures], int]], ...] = (
            ("total", "Lists asked of the store.", lambda figures: sum(figures.buckets)),
            ("fetched_objects_total", "Objects that it gave.", lambda figures: figures.records),
            ("evaluated_objects_total", "Objects looked at.", lambda figures: figures.records),
            ("returned_objects_total", "Objects used.", lambda figures: figures.records),
        )
        for name, help, value in shown:
            yield Family(f"apiserver_storage_list_{name}", "counter", help, partial(self._of_lists, value))

    def _of_lists(self, value: Callable[[_Figures], int]) -> list[Sample]:
        found: list[Sample] = []
        for (operation, prefix), figures in self._figures.items():
            if operation == "list":
                labels = _labels(operation, prefix)
                found.append(({"group": labels["group"], "resource": labels["resource"]}, value(figures)))
        return found

    def _samples(self, value: Callable[[_Figures], float | Distribution]) -> list[Sample]:
        return [(_labels(operation, prefix), value(figures)) for (operation, prefix), figures in self._figures.items()]


def _labels(operation: str, prefix: str) -> Labels:
    _, _, group, plural, *_ = (*prefix.split("/"), "", "", "")
    return {"operation": operation, "group": "" if group == "core" else group, "resource": plural}
