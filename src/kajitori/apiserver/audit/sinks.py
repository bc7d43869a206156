"""Where events go: a file, written at once or by a thread of its own, and a webhook that is sent lists of them.

Batches have two bounds, events and bytes of bodies; an event that finds them full is lost, counted, and the log says so
once a minute: requests must not wait for a disk, and memory must not grow.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kajitori.api.meta import Object
from kajitori.apiserver.audit.event import Facts, Stage, event
from kajitori.apiserver.audit.log_file import LogFile
from kajitori.apiserver.audit.truncation import NO_LIMITS, TOO_LARGE, Limits
from kajitori.apiserver.remote import Unanswered
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

QUEUED_MAX = 10_000
QUEUED_BYTES_MAX = 32 << 20
BATCH_MAX = 400
"""Events that are written or sent together."""
BATCH_WAIT_S = 30.0
_COMPLAIN_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A stage of a request, not yet made into JSON."""

    facts: Facts
    stage: Stage
    annotations: Mapping[str, str]

    @property
    def size(self) -> int:
        return len(self.facts.request_body) + len(self.stage.body)

    def document(self) -> Object:
        return event(self.facts, self.stage, self.annotations)


class Sink(Protocol):
    @property
    def losses(self) -> "Losses": ...

    def put(self, entry: Entry) -> bool:
        """Whether the event is kept. Never raises."""

    async def close(self) -> None:
        """Writes what waits."""


class Losses:
    """Counts events that were lost, by what loses them."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._complained_s: float | None = None
        self.count = 0

    def add(self, lost: int, why: str) -> None:
        self.count += lost
        now_s = self._clock.monotonic()
        if self._complained_s is None or now_s - self._complained_s >= _COMPLAIN_EVERY_S:
            self._complained_s = now_s
            log.error("the audit %s lost %d events so far: %s", self.name, self.count, why)


def fitting(entries: Sequence[Entry], limits: Limits, losses: Losses) -> list[Object]:
    """Their documents, each as large as it may be; those that cannot be are lost."""
    documents = [small for entry in entries if (small := limits.fit(entry.document())) is not None]
    if lost := len(entries) - len(documents):
        losses.add(lost, TOO_LARGE)
    return documents


class BlockingFile:
    """Written before the request goes on. With `strict`, a request whose receipt cannot be written is refused."""

    def __init__(
        self,
        file: LogFile,
        line: Callable[[Object], bytes],
        clock: Clock,
        *,
        strict: bool,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self._file = file
        self._line = line
        self._clock = clock
        self._strict = strict
        self._limits = limits
        self.losses = Losses("log", clock)

    def put(self, entry: Entry) -> bool:
        for document in fitting([entry], self._limits, self.losses):
            try:
                self._file.write(self._line(document), self._clock.now())
            except OSError as error:
                self.losses.add(1, str(error))
                return not self._strict
        return True

    async def close(self) -> None:
        self._file.close()


class BatchFile:
    """Written by a thread, which also makes the JSON: the event loop pays for an append to a queue."""

    def __init__(
        self, file: LogFile, line: Callable[[Object], bytes], clock: Clock, limits: Limits = NO_LIMITS
    ) -> None:
        self._file = file
        self._line = line
        self._clock = clock
        self._limits = limits
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._some = threading.Condition()
        self._closing = False
        self.losses = Losses("log", clock)
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> bool:
        with self._some:
            full = len(self._waiting) >= QUEUED_MAX or self._bytes + entry.size > QUEUED_BYTES_MAX
            if not full:
                self._waiting.append(entry)
                self._bytes += entry.size
                self._some.notify()
        if full:
            self.losses.add(1, "the disk does not keep up (the queue is full)")
        return True

    async def close(self) -> None:
        with self._some:
            self._closing = True
            self._some.notify()
        await asyncio.to_thread(self._thread.join)
        self._file.close()

    def _run(self) -> None:
        while True:
            with self._some:
                while not self._waiting and not self._closing:
                    self._some.wait()
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
                self._bytes -= sum(entry.size for entry in batch)
            if not batch:
                return
            self._write(batch)

    def _write(self, batch: Sequence[Entry]) -> None:
        try:
            documents = fitting(batch, self._limits, self.losses)
            self._file.write(b"".join(map(self._line, documents)), self._clock.now())
        except Exception as error:  # the thread must live on: the next batch may succeed
            self.losses.add(len(batch), str(error))


class Caller(Protocol):
    async def post(self, document: Object) -> Object:
        """Raises Unanswered."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Batches:
    """How many events are sent together, how long the first of them waits for others, how many may wait."""

    events: int = BATCH_MAX
    wait_s: float = BATCH_WAIT_S
    queued: int = QUEUED_MAX


class Webhook:
    """Sends EventLists: when enough events wait, or the first has waited long enough. Memory is bounded as above."""

    def __init__(
        self, caller: Caller, clock: Clock, batches: Batches | None = None, limits: Limits = NO_LIMITS
    ) -> None:
        self._caller = caller
        self._clock = clock
        self._batches = batches or Batches()
        self._limits = limits
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._enough = asyncio.Event()
        self.losses = Losses("webhook", clock)
        self._task: asyncio.Task[None] | None = None

    def put(self, entry: Entry) -> bool:
        if len(self._waiting) >= self._batches.queued or self._bytes + entry.size > QUEUED_BYTES_MAX:
            self.losses.add(1, "the webhook does not keep up (the queue is full)")
            return True
        self._waiting.append(entry)
        self._bytes += entry.size
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="audit webhook")
        if len(self._waiting) >= self._batches.events:
            self._enough.set()
        return True

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._waiting:
            await self._send()
        await self._caller.close()

    async def _run(self) -> None:
        """Runs while something waits, so that an idle server has no timer."""
        try:
            while self._waiting:
                if len(self._waiting) < self._batches.events:
                    self._enough.clear()
                    timer = self._clock.call_later(self._batches.wait_s, self._enough.set)
                    try:
                        await self._enough.wait()
                    finally:
                        timer.cancel()
                await self._send()
        finally:
            self._task = None

    async def _send(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batches.events))]
        self._bytes -= sum(entry.size for entry in batch)
        try:
            for items in self._limits.lists(fitting(batch, self._limits, self.losses)):
                await self._post(items)
        except asyncio.CancelledError:
            # The server stops: `close` sends them again, and an event told twice is better than none.
            self._waiting.extendleft(reversed(batch))
            self._bytes += sum(entry.size for entry in batch)
            raise

    async def _post(self, items: list[Object]) -> None:
        document: Object = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": items}
        try:
            await self._caller.post(document)
        except Unanswered as error:
            self.losses.add(len(items), str(error))
