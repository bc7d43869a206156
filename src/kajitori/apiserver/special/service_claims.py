"""Who has which cluster IP and node port, written in the store, so that several API servers agree.

A claim is an object named for its number: creating it succeeds once, whichever server tries. Of an IP it is upstream's
IPAddress (KEP-1880); of a port it is a `ServiceNodePort`, which only this server's own parts see (upstream keeps a
bitmap there). A claim is made before its Service and given back after it. One that was left behind, because its server
died in between, is found by `run` a minute later; so is a Service without its claims.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address

from kajitori.api import core, networking
from kajitori.api.errors import AlreadyExists, Conflict, NotFound, StatusError
from kajitori.api.meta import Object, name_of, namespace_of, uid_of
from kajitori.api.resource import Resource
from kajitori.api.times import parse_timestamp
from kajitori.apiserver.interfaces import Objects
from kajitori.kit.clock import Clock
from kajitori.storage.interface import StorageError

log = logging.getLogger(__name__)

SERVICE_NODE_PORT = Resource(
    group="", version="v1", kind="ServiceNodePort", plural="servicenodeports", namespaced=False
)
"""Not registered, so not served. `spec.parentRef` as of an IPAddress."""

SETTLED_S = 60.0
"""A claim this old whose Service does not exist has been left behind; a younger one may be about to get its Service."""

_MANAGED_BY = "ipaddress.kubernetes.io/managed-by"
_MANAGER = "ipallocator.k8s.io"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one Service holds."""

    addresses: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()

    def __sub__(self, other: "Numbers") -> "Numbers":
        return Numbers(self.addresses - other.addresses, self.ports - other.ports)

    def claims(self) -> Iterator["Claim"]:
        for address in self.addresses:
            yield Claim(networking.IP_ADDRESS, address, str(IPv4Address(address)))
        for port in self.ports:
            yield Claim(SERVICE_NODE_PORT, port, str(port))


@dataclass(frozen=True, slots=True)
class Claim:
    resource: Resource
    number: int
    name: str

    def document(self, service: Object) -> Object:
        metadata: Object = {"name": self.name, "labels": {_MANAGED_BY: _MANAGER}}
        if self.resource is networking.IP_ADDRESS:
            metadata["labels"]["ipaddress.kubernetes.io/ip-family"] = "IPv4"
        parent = {"resource": "services", "namespace": namespace_of(service), "name": name_of(service)}
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": metadata,
            "spec": {"parentRef": parent},
        }


class Lost(Exception):
    """Somebody else has the number of this claim."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim.name)
        self.claim = claim


Holds = Callable[[Object], Numbers]
"""What a Service says that it holds."""


class ServiceClaims:
    def __init__(self, objects: Objects, clock: Clock, holds: Holds) -> None:
        self._objects = objects
        self._clock = clock
        self._holds = holds
        self._changed = asyncio.Event()
        self._changed.set()
        self._returning: dict[Claim, asyncio.Task[None]] = {}

    async def take(self, service: Object, numbers: Numbers) -> None:
        """Raises Lost; then those that were taken before are to be given back."""
        await asyncio.gather(*(self._take(claim, service) for claim in numbers.claims()))

    async def _take(self, claim: Claim, service: Object) -> None:
        if claim in self._returning:
            await asyncio.wait([self._returning[claim]])
        try:
            await self._objects.create(claim.resource, claim.document(service))
        except AlreadyExists:
            if not await self._is_mine(claim, service):
                raise Lost(claim) from None

    async def _is_mine(self, claim: Claim, service: Object) -> bool:
        """Whether the claim is this very Service's; one that was left behind becomes so."""
        try:
            found = await self._objects.get(claim.resource, claim.name)
        except NotFound:
            return False
        if _parent(found) == (namespace_of(service), name_of(service)):
            return True
        if not await self._left_behind(claim, found):
            return False
        await self._delete(claim, found)
        try:
            await self._objects.create(claim.resource, claim.document(service))
        except AlreadyExists:
            return False
        return True

    def give_back(self, service: Object, numbers: Numbers) -> None:
        """In the background; who asks for one of them meanwhile waits for it."""
        for claim in numbers.claims():
            task = asyncio.ensure_future(self._give_back(claim, service, self._returning.get(claim)))
            self._returning[claim] = task
            task.add_done_callback(partial(self._returned, claim))

    def _returned(self, claim: Claim, task: "asyncio.Task[None]") -> None:
        if self._returning.get(claim) is task:
            del self._returning[claim]

    async def _give_back(self, claim: Claim, service: Object, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            found = await self._objects.get(claim.resource, claim.name)
            # A Service of the same name may hold it by now, or have held it all along while another was refused.
            if _parent(found) == (namespace_of(service), name_of(service)) and not await self._is_held(claim, found):
                await self._delete(claim, found)
        except NotFound:
            pass
        except (StatusError, StorageError) as error:
            log.warning("%s %s stays until the next check: %s", claim.resource.kind, claim.name, error)

    async def _left_behind(self, claim: Claim, found: Object) -> bool:
        """Made by us for a Service that does not hold it, long enough ago."""
        if (found["metadata"].get("labels") or {}).get(_MANAGED_BY) != _MANAGER:
            return False
        age_s = self._clock.now() - parse_timestamp(found["metadata"]["creationTimestamp"])
        return age_s >= SETTLED_S and not await self._is_held(claim, found)

    async def _is_held(self, claim: Claim, found: Object) -> bool:
        """By the Service that the claim names, as the store has it."""
        namespace, name = _parent(found)
        try:
            service = await self._objects.get(core.SERVICE, name, namespace)
        except NotFound:
            return False
        return claim in self._holds(service).claims()

    async def _delete(self, claim: Claim, found: Object) -> None:
        try:
            await self._objects.delete(claim.resource, claim.name, uid=uid_of(found))
        except (NotFound, Conflict):
            return

    async def run(self) -> None:
        """Asleep while no Service and no claim changes."""
        stops = [self._objects.subscribe(r, self._note) for r in (core.SERVICE, *_CLAIMED)]
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                try:
                    await self._settle()
                except (StatusError, StorageError) as error:
                    log.warning("cluster IPs and node ports could not be checked, which is tried again: %s", error)
                    self._changed.set()
                await self._clock.sleep(SETTLED_S)
        finally:
            for stop in stops:
                stop()

    def _note(self, event: str, obj: Object) -> None:
        self._changed.set()

    async def _settle(self) -> None:
        held = {
            claim: service
            for service in self._objects.cached_list(core.SERVICE)
            for claim in self._holds(service).claims()
        }
        found = {claim: obj for resource in _CLAIMED for claim, obj in self._present(resource)}
        for claim in held.keys() - found.keys():
            await self._restore(claim, held[claim])
        for claim in found.keys() - held.keys():
            if await self._left_behind(claim, found[claim]):
                await self._delete(claim, found[claim])
            else:
                self._changed.set()  # perhaps it is young: looked at again

    def _present(self, resource: Resource) -> Iterator[tuple[Claim, Object]]:
        """Those that this server could have made: a user may label an IPv6 address so too."""
        for obj in self._objects.cached_list(resource):
            if (obj["metadata"].get("labels") or {}).get(_MANAGED_BY) == _MANAGER:
                name = name_of(obj)
                try:
                    number = int(IPv4Address(name) if resource is networking.IP_ADDRESS else name)
                except ValueError:
                    continue
                yield Claim(resource, number, name), obj

    async def _restore(self, claim: Claim, service: Object) -> None:
        try:
            current = await self._objects.get(core.SERVICE, name_of(service), namespace_of(service))
            if claim in self._holds(current).claims():
                await self._take(claim, current)
        except NotFound:
            return
        except Lost:
            log.warning(
                "%s is held by Service %s/%s and claimed for another: change one of them", *_words(claim, service)
            )


_CLAIMED: tuple[Resource, ...] = (networking.IP_ADDRESS, SERVICE_NODE_PORT)


def _parent(claim: Object) -> tuple[str, str]:
    parent = claim["spec"].get("parentRef") or {}
    return parent.get("namespace") or "", parent.get("name") or ""


def _words(claim: Claim, service: Object) -> tuple[str, str, str]:
    return claim.name, namespace_of(service), name_of(service)
