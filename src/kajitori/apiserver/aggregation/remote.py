"""One APIService behind a Service: whether it can be used, and what it says of itself.

Looked at when it, its Service or its endpoints change, and every `CHECK_S` otherwise; after failures sooner, backing
off to the same.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.aggregation.availability import PASSED, unavailable
from kajitori.apiserver.aggregation.documents import RemoteDocuments
from kajitori.apiserver.aggregation.proxying import Proxy
from kajitori.client.interface import Disconnected
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, within

log = logging.getLogger(__name__)

CHECK_S = 30.0
_FIRST_RETRY_S = 0.5
_ANSWER_S = 5.0
_ATTEMPTS = 5
"""Endpoints tried before a server counts as not answering: one of several replicas may be gone."""
_FAILURES = (StatusError, ValueError, OSError, Disconnected, TimeoutError)

GroupVersion = tuple[str, str]
Missing = Callable[[Object], Object | None]
"""From a service reference to the condition while the way there is not complete."""
Report = Callable[[str, Object], Awaitable[None]]
"""Takes the condition of an APIService by name. Raises StatusError."""


class Remote:
    def __init__(self, name: str, spec: Object, proxy: Proxy, clock: Clock, missing: Missing, report: Report) -> None:
        self.name = name
        self.spec = spec
        self.group_version: GroupVersion = (spec.get("group") or "", spec["version"])
        self.documents = RemoteDocuments(*self.group_version)
        self.task: asyncio.Task[None] | None = None
        self._proxy = proxy
        self._clock = clock
        self._missing = missing
        self._report = report
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Look at once."""
        self._poked.set()

    async def run(self) -> None:
        backoff, failures = Backoff(_FIRST_RETRY_S, CHECK_S), 0
        while True:
            self._poked.clear()
            good = False
            try:
                good = await self._check()
            except StatusError as error:
                log.warning("APIService %s: %s", self.name, error)
            except Exception:
                log.exception("APIService %s could not be checked", self.name)
            failures = 0 if good else failures + 1
            with contextlib.suppress(TimeoutError):
                await within(self._clock, CHECK_S if good else backoff.delay_s(failures), self._poked.wait())

    async def _check(self) -> bool:
        """Whether all is well. The documents come before the news that they can be had."""
        condition = self._missing(self.spec["service"]) or await self._ask()
        good = condition is PASSED
        if good:
            try:
                await within(self._clock, 2 * _ANSWER_S, self.documents.refresh(self._fetch))
            except _FAILURES as error:
                log.info("APIService %s: its documents could not be read: %s", self.name, error)
                good = False
        else:
            self.documents.mark_stale()
        await self._report(self.name, condition)
        return good

    async def _ask(self) -> Object:
        group, version = self.group_version
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        problem = ""
        for _ in range(_ATTEMPTS):
            try:
                status, _, _ = await within(self._clock, _ANSWER_S, self._fetch(path, {}))
            except _FAILURES as error:
                problem = str(error)
            else:
                if 200 <= status < 300:
                    return PASSED
                problem = f"bad status: {status}"
        reference = self.spec["service"]
        url = f"https://{reference['name']}.{reference['namespace']}.svc:{reference.get('port') or 443}{path}"
        return unavailable("FailedDiscoveryCheck", f"failing or missing response from {url}: {problem}")

    async def _fetch(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return await self._proxy.fetch(self.spec, path, headers)
