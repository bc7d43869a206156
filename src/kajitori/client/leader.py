"""One of several equal processes acts, the others stand by: leader election on a coordination.k8s.io Lease.

The rules and numbers are those of upstream's client: who holds the lease renews it; who does not watches it stand still
for its whole duration, by the own clock only, before taking it. Clocks may differ, but not their pace.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kajitori.api.coordination import LEASE
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object
from kajitori.api.times import micro_timestamp
from kajitori.client.interface import Client, Disconnected
from kajitori.kit.clock import Clock, within

logger = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """The lease could not be renewed in time: another process may already act. The message names the lease."""


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """`duration_s` a lease holds unrenewed; `renew_s` until a holder gives up; `retry_s` between two tries."""

    duration_s: int = 15
    renew_s: float = 10.0
    retry_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration_s > self.renew_s > self.retry_s > 0:
            raise ValueError("a lease needs duration > renew > retry > 0, or two holders could act at the same time")


# Standby processes that start together drift apart, so that they do not write at the same moment.
RETRY_JITTER = 1.2


class LeaderElection:
    """`identity` must differ between processes: host name and a random part."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        name: str,
        identity: str,
        namespace: str = "kube-system",
        timing: LeaseTiming | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._identity = identity
        self._namespace = namespace
        self._timing = timing or LeaseTiming()
        self._rng = rng or random.Random()
        self._observed: Object | None = None
        self._observed_at_s = 0.0
        self.leading = False

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run `lead` while it is held. The lease is given back when `lead` ends.

        Raises LeadershipLost, after `lead` was cancelled, when the lease could not be renewed.
        """
        await self._acquire()
        logger.info("%s leads %s/%s", self._identity, self._namespace, self._name)
        work = asyncio.ensure_future(lead())
        renewal = asyncio.ensure_future(self._renew_until_lost())
        lost = False
        try:
            await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
            lost = renewal.done() and not work.done()
        finally:
            self.leading = False
            for task in (work, renewal):
                task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            if not lost:
                await self._release()
        if lost:
            renewal.result()
            raise LeadershipLost(
                f"lease {self._namespace}/{self._name} was not renewed within {self._timing.renew_s:g} s: "
                "another process may lead now; start this one again"
            )
        work.result()

    async def _acquire(self) -> None:
        while not await self._try():
            await self._clock.sleep(self._timing.retry_s * (1 + RETRY_JITTER * self._rng.random()))
        self.leading = True

    async def _renew_until_lost(self) -> None:
        renewed_at_s = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._timing.retry_s)
            left_s = renewed_at_s + self._timing.renew_s - self._clock.monotonic()
            try:
                renewed = left_s > 0 and await within(self._clock, left_s, self._try())
            except TimeoutError:
                renewed = False
            if renewed:
                renewed_at_s = self._clock.monotonic()
            elif self._held_by_another() or self._clock.monotonic() - renewed_at_s >= self._timing.renew_s:
                return

    async def _try(self) -> bool:
        """Take or renew the lease if it is free or ours; whether it is ours now."""
        try:
            lease = await self._read()
            if lease is None:
                created = await self._client.create(LEASE, self._new_lease())
                self._observe(created)
                return True
            self._observe(lease)
            if self._held_by_another():
                return False
            self._observe(await self._client.update(LEASE, self._taken(lease)))
            return True
        except (StatusError, Disconnected) as error:
            logger.debug("lease %s/%s: %s; trying again", self._namespace, self._name, error)
            return False

    async def _read(self) -> Object | None:
        try:
            return await self._client.get(LEASE, self._name, self._namespace)
        except NotFound:
            return None

    def _observe(self, lease: Object) -> None:
        """Remember the lease and, when its content moved, since when it has stood still."""
        if self._observed is None or self._observed["spec"] != lease["spec"]:
            self._observed_at_s = self._clock.monotonic()
        self._observed = lease

    def _held_by_another(self) -> bool:
        if self._observed is None:
            return False
        spec = self._observed["spec"]
        if spec.get("holderIdentity") in (None, "", self._identity):
            return False
        valid_s = spec.get("leaseDurationSeconds") or 0
        return self._clock.monotonic() < self._observed_at_s + float(valid_s)

    def _new_lease(self) -> Object:
        now = micro_timestamp(self._clock.now())
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._timing.duration_s,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _taken(self, lease: Object) -> Object:
        """The lease renewed, or passed on to us. Its resourceVersion makes sure that only one takes it."""
        now = micro_timestamp(self._clock.now())
        spec = {**lease["spec"], "leaseDurationSeconds": self._timing.duration_s, "renewTime": now}
        if spec.get("holderIdentity") != self._identity:
            spec["holderIdentity"] = self._identity
            spec["acquireTime"] = now
            spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + 1
        return {**lease, "spec": spec}

    async def _release(self) -> None:
        """Let another lead at once. Failing to is harmless: the lease runs out."""
        if self._observed is None or self._observed["spec"].get("holderIdentity") != self._identity:
            return
        now = micro_timestamp(self._clock.now())
        spec = {**self._observed["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now}
        try:
            await self._client.update(LEASE, {**self._observed, "spec": {**spec, "acquireTime": now}})
        except (StatusError, Disconnected) as error:
            logger.info("lease %s/%s was not given back: %s", self._namespace, self._name, error)
