"""Telling the user what happened to an object, as `kubectl describe` and `kubectl events` show it."""

import asyncio
import logging
from collections import deque

from kajitori.api.core import EVENT
from kajitori.api.errors import (
    AlreadyExists,
    InternalError,
    NotFound,
    ServiceUnavailable,
    StatusError,
    Timeout,
    TooManyRequests,
)
from kajitori.api.meta import Object, object_reference
from kajitori.client.event_series import Correlator, Occurrence, Series, event_object, event_patch
from kajitori.client.interface import Client, Disconnected
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock

logger = logging.getLogger(__name__)

# Waiting to be sent; when full, the oldest is dropped and the log says so: events tell, nothing depends on them.
QUEUE_MAX = 1000
# Upstream tries twelve times, ten seconds apart.
TRIES = 12
BACKOFF = Backoff(initial_s=1.0, max_s=20.0)
_PASSING = (Disconnected, InternalError, ServiceUnavailable, Timeout, TooManyRequests)

NORMAL = "Normal"
WARNING = "Warning"


class EventRecorder:
    """`event` never waits. What is queued is sent by a task that lives only while there is something to send."""

    def __init__(self, client: Client, clock: Clock, component: str, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._host = host
        self._queue: deque[Occurrence] = deque()
        self._dropped = 0
        self._correlator = Correlator()
        self._last_name_ns = 0
        self._sender: asyncio.Task[None] | None = None

    def event(self, obj: Object, type_: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Record that something happened to `obj`; `type_` is Normal or Warning, `reason` one CamelCase word.

        `field_path` names a part, such as `spec.containers{web}`.
        """
        involved = object_reference(obj) | ({"fieldPath": field_path} if field_path else {})
        if len(self._queue) >= QUEUE_MAX:
            self._queue.popleft()
            self._dropped += 1
        self._queue.append(Occurrence(involved, type_, reason, message, self._clock.now()))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send_all(), name=f"events of {self._component}")

    async def flush(self) -> None:
        """Wait until everything recorded so far has been sent or given up on."""
        if self._sender is not None:
            await asyncio.shield(self._sender)

    async def close(self) -> None:
        """Send no more."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait([self._sender])

    async def _send_all(self) -> None:
        while self._queue:
            if self._dropped:
                logger.warning("%s: %d events dropped: they came faster than sent", self._component, self._dropped)
                self._dropped = 0
            event = self._queue.popleft()
            series = self._correlator.take(event)
            if series is not None:
                await self._send(event, series)

    async def _send(self, event: Occurrence, series: Series) -> None:
        name = self._new_name(event)
        for attempt in range(1, TRIES + 1):
            try:
                await self._write(event, series, name)
                return
            except _PASSING as error:
                if attempt == TRIES:
                    logger.warning("event %s of %s given up: %s", event.reason, event.involved["name"], error)
                    return
                await self._clock.sleep(BACKOFF.delay_s(attempt))
            except StatusError as error:
                # Usual when a namespace is going away.
                logger.info("event %s of %s refused: %s", event.reason, event.involved["name"], error)
                return

    def _new_name(self, event: Occurrence) -> str:
        """Unique by time, like upstream's: nanoseconds in hexadecimal."""
        self._last_name_ns = max(int(event.at_s * 1e9), self._last_name_ns + 1)
        return f"{event.involved['name']}.{self._last_name_ns:x}"

    async def _write(self, event: Occurrence, series: Series, name: str) -> None:
        if series.name:
            try:
                await self._client.patch(EVENT, series.name, event_patch(series), series.namespace)
                return
            except NotFound:
                # Events expire after an hour; the series goes on in a new object.
                series.name = ""
        try:
            await self._client.create(EVENT, event_object(event, series, name, self._component, self._host))
        except AlreadyExists:
            logger.debug("event %s was stored by a try whose answer got lost", name)
        series.name = name
