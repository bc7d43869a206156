"""The objects of one kind, their recent history, and their watchers."""

import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.watch_cache.audience import Audience, Line, Outboxes
from kajitori.apiserver.watch_cache.entry import ADDED, CachedEvent, Entry
from kajitori.apiserver.watch_cache.key_order import KeyOrder
from kajitori.apiserver.watch_cache.selection import TRIGGER_FIELDS, Selection, Trigger
from kajitori.storage.interface import Record

HISTORY_EVENTS = 8192
HISTORY_S = 300.0
"""How far back a watch may begin: as long as the store itself keeps old revisions."""

log = logging.getLogger(__name__)

Subscriber = Callable[[str, Object], None]


class TooOld(Exception):
    """The history does not reach back to `asked`."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


class Watcher(Protocol):
    selection: Selection

    @property
    def count(self) -> int:
        """For how many it stands."""

    def push(self, event: CachedEvent, type: str) -> None: ...

    def expire(self, message: str) -> None:
        """What was missed cannot be told any more: end with 410."""

    def close(self) -> None:
        """The server stops: end in good order."""


class WatchEvents:
    """How many events went to watchers, and how large their objects were."""

    BUCKETS = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
    __slots__ = ("bytes", "sizes")

    def __init__(self) -> None:
        self.sizes = [0] * (len(self.BUCKETS) + 1)
        self.bytes = 0

    def count(self, watchers: int, size: int) -> None:
        self.sizes[bisect_left(self.BUCKETS, size)] += watchers
        self.bytes += watchers * size


_BySelection = dict[Selection, dict[Watcher, None]]
"""Watchers by what they select: an event is judged once for all who ask the same."""


class KindCache:
    """Keys here are the part after the kind's prefix: `<namespace>/<name>` or `<name>`."""

    def __init__(self, prefix: str, revision: int) -> None:
        self.prefix = prefix
        self.resource: Resource | None = None
        self._entries: dict[str, Entry] = {}
        self._order = KeyOrder()
        self._history: deque[CachedEvent] = deque()
        self._oldest = revision
        self._trimmed = False
        self._broad: _BySelection = {}
        self._triggered: dict[Trigger, _BySelection] = {}
        self._audiences: dict[tuple[Selection, Line], Audience] = {}
        self._subscribers: list[Subscriber] = []
        self.received = 0
        """Changes from the store."""
        self.sent = WatchEvents()

    def __len__(self) -> int:
        return len(self._entries)

    def bind(self, resource: Resource) -> None:
        """Index by what this declaration says is selectable."""
        changed = self.resource is None or self.resource.selectable_fields is not resource.selectable_fields
        self.resource = resource
        if changed and resource.selectable_fields:
            for entry in self._entries.values():
                entry.index(resource)

    # reading

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def range(self, namespace: str = "", start: str = "") -> Iterator[Entry]:
        """In key order, of one namespace or all, from a key on. Do not change the cache while iterating."""
        prefix = f"{namespace}/" if namespace else ""
        end = f"{namespace}0" if namespace else None  # "0" follows "/"
        return (self._entries[key] for key in self._order.between(max(start, prefix), end))

    def since(self, revision: int) -> list[CachedEvent]:
        """Events after a revision, oldest first. Raises TooOld."""
        if revision < self._oldest:
            raise TooOld(revision, self._oldest)
        recent: list[CachedEvent] = []
        for event in reversed(self._history):
            if event.revision <= revision:
                break
            recent.append(event)
        recent.reverse()
        return recent

    # what happened before the cache was filled

    @property
    def oldest(self) -> int:
        """The revision after which every event is known."""
        return self._oldest

    @property
    def earlier_events_max(self) -> int:
        """How many events from before that may be added; none once some have been let go."""
        return 0 if self._trimmed else max(HISTORY_EVENTS - len(self._history), 0)

    def entry_of(self, record: Record) -> Entry:
        """The entry of a record, present or past."""
        key = record.key[len(self.prefix) :]
        held = self._entries.get(key)
        return held if held is not None and held.revision == record.modified else self._entry(key, record)[0]

    def add_earlier(self, events: Sequence[CachedEvent], after: int) -> None:
        """All events after a revision, up to `oldest`."""
        assert not self._trimmed and after < self._oldest
        self._history.extendleft(reversed(events))
        self._oldest = after

    # changing

    def load(self, record: Record) -> None:
        """Take in a record while starting, without telling anyone. Records come in key order."""
        key = record.key[len(self.prefix) :]
        self._entries[key], _ = self._entry(key, record)
        self._order.add(key)

    def _entry(self, key: str, record: Record) -> tuple[Entry, Object | None]:
        namespace, _, name = key.rpartition("/")
        entry = Entry(namespace, name, record.value, record.modified)
        return entry, entry.index(self.resource)

    def apply(self, key: str, record: Record | None, revision: int, now_s: float) -> CachedEvent | None:
        """One change from the store: `record` None is a deletion. Subscribers know at once; watchers by `tell`."""
        previous = self._entries.get(key)
        document: Object | None = None
        if record is None:
            if previous is None:
                return None
            entry = None
            del self._entries[key]
            self._order.remove(key)
        else:
            entry, document = self._entry(key, record)
            self._entries[key] = entry
            if previous is None:
                self._order.add(key)
        self.received += 1
        event = CachedEvent(revision, entry, previous, now_s)
        self._remember(event, now_s)
        if self._subscribers:
            self._call_subscribers(event, document)
        return event

    def tell(self, event: CachedEvent) -> None:
        """Give an event to every watcher that it concerns."""
        shown = event.entry or event.previous
        size = len(shown.body) if shown is not None else 0
        for by_selection in self._concerned(event):
            for selection, watchers in list(by_selection.items()):
                if type := selection.classify(event):
                    self.sent.count(sum(watcher.count for watcher in watchers), size)
                    self._push(list(watchers), event, type)
        event.forget_lines()

    @staticmethod
    def _push(watchers: list[Watcher], event: CachedEvent, type: str) -> None:
        for watcher in watchers:
            try:
                watcher.push(event, type)
            except Exception:
                log.exception("a watcher could not be told of a change and is ended")
                watcher.expire("the change could not be shown: list again")

    def _remember(self, event: CachedEvent, now_s: float) -> None:
        self._history.append(event)
        self.trim(now_s)

    def trim(self, now_s: float) -> None:
        """Let go of history that is too old or too long."""
        history = self._history
        while history and (len(history) > HISTORY_EVENTS or history[0].at_s < now_s - HISTORY_S):
            self._oldest = history.popleft().revision
            self._trimmed = True

    def _call_subscribers(self, event: CachedEvent, document: Object | None) -> None:
        """`document` where it has been decoded already."""
        if document is None:
            entry = event.entry or event.previous
            assert entry is not None, "an event has one of the two"
            document = entry.copy()
        for subscriber in list(self._subscribers):
            try:
                subscriber(event.type, document)
            except Exception:
                log.exception("a part of the server failed on a change of %s", self.prefix)

    def forget_history(self, revision: int) -> None:
        """The store's watch broke: what happened until `revision` is not known."""
        self._history.clear()
        self._oldest = revision
        self._trimmed = False
        for watcher in self.watchers():
            watcher.expire(f"too old resource version: the watch cache was rebuilt at {revision}")

    @property
    def size_bytes(self) -> int:
        """Of all documents; added up for who asks."""
        return sum(len(entry.body) for entry in self._entries.values())

    def held_keys(self) -> list[str]:
        return list(self._order.between())

    # watching

    def watchers(self) -> list[Watcher]:
        everywhere = (self._broad, *self._triggered.values())
        return [watcher for by_selection in everywhere for watchers in by_selection.values() for watcher in watchers]

    @property
    def watcher_count(self) -> int:
        return sum(watcher.count for watcher in self.watchers())

    def audience(self, selection: Selection, line: Line, outboxes: Outboxes) -> Audience:
        """All who are shown the same changes in the same form, and the one who asks."""
        asked = (selection, line)
        audience = self._audiences.get(asked)
        if audience is None:

            def dismiss() -> None:
                self.remove_watcher(self._audiences.pop(asked))

            audience = self._audiences[asked] = Audience(selection, line, outboxes, dismiss)
            self.add_watcher(audience)
        return audience

    def add_watcher(self, watcher: Watcher) -> None:
        selection = watcher.selection
        trigger = selection.trigger()
        by_selection = self._broad if trigger is None else self._triggered.setdefault(trigger, {})
        by_selection.setdefault(selection, {})[watcher] = None

    def remove_watcher(self, watcher: Watcher) -> None:
        selection = watcher.selection
        trigger = selection.trigger()
        by_selection = self._broad if trigger is None else self._triggered.get(trigger, {})
        if (watchers := by_selection.get(selection)) is not None:
            watchers.pop(watcher, None)
            if not watchers:
                del by_selection[selection]
        if trigger is not None and not by_selection:
            self._triggered.pop(trigger, None)

    def _concerned(self, event: CachedEvent) -> Iterator[_BySelection]:
        yield self._broad
        if not self._triggered:
            return
        for field in TRIGGER_FIELDS:
            for value in {entry.field(field) for entry in (event.entry, event.previous) if entry is not None}:
                if (by_selection := self._triggered.get((field, value))) is not None:
                    yield by_selection

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """In-process: ADDED for all that exist, then every change, with shared decoded objects."""
        for entry in list(self.range()):
            subscriber(ADDED, entry.copy())
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe
