"""Asking another server for a verdict: a review is posted to where a kubeconfig points, its answer remembered a while.

A question that is being asked is asked once, however many wait for it; the memory is bounded, the oldest answer goes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

import orjson

from kajitori.api.meta import Object
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.json_object import json_object
from kajitori.client.interface import Disconnected
from kajitori.client.kubeconfig import KubeconfigError, read_kubeconfig
from kajitori.client.transport import Transport, TransportSettings
from kajitori.kit.clock import Clock

T = TypeVar("T")

ANSWERS_MAX = 4096
_ATTEMPTS, _PAUSE_S = 3, 0.25
_AGAIN = frozenset((429, 500, 502, 503, 504))


class Unanswered(Exception):
    """The other server gave no usable answer; the message says why."""


class ReviewCaller:
    """Posts documents to the server of a kubeconfig: at most 16 at a time, three attempts each."""

    def __init__(self, path: Path, clock: Clock, timeout_s: float = 30.0) -> None:
        """Raises BadConfiguration."""
        try:
            settings = TransportSettings(connections=16, timeout_s=timeout_s)
            self._transport = Transport(read_kubeconfig(path), clock, "kajitori-apiserver", settings)
        except (KubeconfigError, ValueError, OSError) as error:
            text = str(error)
            raise BadConfiguration(text if str(path) in text else f"{path}: {text}") from error
        self._clock = clock

    async def post(self, document: Object) -> Object:
        """The answer's document. Raises Unanswered."""
        body, failure = orjson.dumps(document), ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_PAUSE_S * attempt)
            try:
                answer = await self._transport.request("POST", "", body, {"Content-Type": "application/json"})
            except Disconnected as error:
                failure = str(error)
                continue
            if answer.status in (200, 201):
                return _document(answer.body)
            failure = f"{self._transport.address} answered {answer.status}"
            if answer.status not in _AGAIN:
                break
        raise Unanswered(failure)

    async def close(self) -> None:
        await self._transport.close()


def _document(body: bytes) -> Object:
    try:
        return json_object(body)
    except ValueError as error:
        raise Unanswered(str(error)) from error


class Answers(Generic[T]):
    """Remembers answers by question for as long as each holds."""

    def __init__(self, clock: Clock, kept_max: int = ANSWERS_MAX) -> None:
        self._clock = clock
        self._kept_max = kept_max
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._asking: dict[Hashable, asyncio.Task[T]] = {}

    def known(self, question: Hashable) -> T | None:
        found = self._kept.get(question)
        if found is None:
            return None
        until_s, answer = found
        if until_s <= self._clock.monotonic():
            del self._kept[question]
            return None
        return answer

    async def of(self, question: Hashable, ask: Callable[[], Awaitable[tuple[T, float]]]) -> T:
        """The answer and for how many seconds it holds come from `ask`; its exceptions are not remembered."""
        known = self.known(question)
        if known is not None:
            return known
        task = self._asking.get(question)
        if task is None:
            task = self._asking[question] = asyncio.create_task(self._ask(question, ask))
            # When all who waited have gone away, nobody else looks at how it failed.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Who waits may go away; the others still want the answer.
        return await asyncio.shield(task)

    async def _ask(self, question: Hashable, ask: Callable[[], Awaitable[tuple[T, float]]]) -> T:
        try:
            answer, holds_s = await ask()
            if holds_s > 0:
                self._kept[question] = (self._clock.monotonic() + holds_s, answer)
                if len(self._kept) > self._kept_max:
                    self._kept.popitem(last=False)
            return answer
        finally:
            del self._asking[question]
