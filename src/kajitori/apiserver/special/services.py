"""What a Service gets from the cluster: its cluster IP, its node ports, its IP families.

Ranges and bands: KEP-3070 (IPs), KEP-3668 (ports). This cluster has one family, IPv4. What memory holds free is
claimed in the store before the Service is written (`service_claims`), because another server may have been faster.
"""

import copy
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address, IPv4Network, ip_address

from kajitori.api import core
from kajitori.api.errors import InternalError, Invalid, StatusError
from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object, name_of, uid_of
from kajitori.api.service_addresses import NONE, has_cluster_ip, settle_families
from kajitori.api.services import node_ports, wants_node_ports
from kajitori.apiserver.exposition import Family, Labels
from kajitori.apiserver.http_types import RestHooks, WriteContext
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.special.number_pool import Exhausted, NumberPool, Taken
from kajitori.apiserver.special.service_claims import SERVICE_NODE_PORT, Claim, Lost, Numbers, ServiceClaims

NODE_PORTS = (30000, 2768)


def _band(size: int, divisor: int, least: int, most: int) -> int:
    return 0 if size <= least else min(max(least, size // divisor), most)


def _one(labels: Labels, read: Callable[[], int]) -> list[tuple[Labels, float]]:
    return [(labels, read())]


class ServiceHooks(RestHooks):
    """Reserves before the write and follows the stored services; so a restart repairs, and a failed write returns."""

    def __init__(
        self, objects: Objects, service_cidr: str, rng: random.Random, claims: ServiceClaims | None = None
    ) -> None:
        self._network = IPv4Network(service_cidr)
        # Neither the network's own address nor the broadcast address is given out.
        addresses = self._network.num_addresses - 2
        first = int(self._network.network_address) + 1
        self._ips = NumberPool(first, addresses, _band(self._network.num_addresses, 16, 16, 256), rng)
        self._ports = NumberPool(*NODE_PORTS, _band(NODE_PORTS[1], 32, 16, 128), rng)
        # Deleted here, while memory has yet to hear of it.
        self._gone: set[str] = set()
        self._claims = claims
        self._unsubscribe = objects.subscribe(core.SERVICE, self._stored)

    def families(self) -> Iterator[Family]:
        """What is left of addresses and node ports, under upstream's names."""
        cidr = {"cidr": str(self._network)}
        shown: tuple[tuple[str, str, Labels, Callable[[], int]], ...] = (
            ("clusterip_allocator_allocated_ips", "Cluster IPs in use.", cidr, lambda: self._ips.taken),
            ("clusterip_allocator_available_ips", "Cluster IPs left.", cidr, lambda: self._ips.free),
            ("nodeport_allocator_allocated_ports", "Node ports in use.", {}, lambda: self._ports.taken),
            ("nodeport_allocator_available_ports", "Node ports left.", {}, lambda: self._ports.free),
        )
        for name, help, labels, read in shown:
            yield Family(f"kube_apiserver_{name}", "gauge", help, partial(_one, labels, read))

    def stop(self) -> None:
        self._unsubscribe()

    async def before_create(self, obj: Object, context: WriteContext) -> None:
        await self._reserve(obj, None, context.dry_run)

    async def before_update(self, new: Object, old: Object, context: WriteContext) -> None:
        if context.subresource:
            return
        await self._reserve(new, old, context.dry_run)

    async def _reserve(self, service: Object, old: Object | None, dry_run: bool) -> None:
        if self._claims is None or dry_run:
            self._allocate(service, old, dry_run)
            return
        asked, lost = copy.deepcopy(service["spec"]), set[Claim]()
        before = numbers_of(old) if old is not None else Numbers()
        while True:
            with self._withheld(lost):
                self._allocate(service, old, dry_run)
            try:
                await self._claims.take(service, numbers_of(service) - before)
                return
            except Lost as somebody_has:
                # The next turn refuses it, if it was asked for, or finds another.
                self.rollback(service)
                lost.add(somebody_has.claim)
                service["spec"] = copy.deepcopy(asked)
            except BaseException:
                self.rollback(service)
                raise

    @contextmanager
    def _withheld(self, claims: Iterable[Claim]) -> Iterator[None]:
        """Other servers gave these out, of which memory has not heard yet. Nothing is awaited meanwhile."""
        held = [(self._ports if claim.resource is SERVICE_NODE_PORT else self._ips, claim.number) for claim in claims]
        for pool, number in held:
            pool.hold_foreign(number)
        try:
            yield
        finally:
            for pool, number in held:
                pool.release_foreign(number)

    def rollback(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        returned = Numbers(
            frozenset(self._ips.roll_back(uid_of(obj), _addresses(spec))),
            frozenset(self._ports.roll_back(uid_of(obj), node_ports(spec))),
        )
        if self._claims is not None:
            self._claims.give_back(obj, returned)

    def after_update(self, new: Object, old: Object) -> None:
        if self._claims is not None and (dropped := numbers_of(old) - numbers_of(new)) != Numbers():
            self._claims.give_back(new, dropped)

    def after_delete(self, obj: Object) -> None:
        """At once, without waiting for memory to follow: the next request may ask for the same address."""
        self._follow(uid_of(obj), {})
        self.rollback(obj)
        self._gone.add(uid_of(obj))

    def _stored(self, event: str, service: Object) -> None:
        uid, deleted = uid_of(service), event == "DELETED"
        if uid in self._gone:
            if deleted:
                self._gone.discard(uid)
            return
        self._follow(uid, {} if deleted else service["spec"])

    def _follow(self, uid: str, spec: Object) -> None:
        self._ips.commit(uid, _addresses(spec))
        self._ports.commit(uid, node_ports(spec))

    def _allocate(self, service: Object, old: Object | None, dry_run: bool) -> None:
        settle_families(service["spec"])
        try:
            self._allocate_ip(service, dry_run)
            self._allocate_ports(service, old, dry_run)
        except StatusError:
            self.rollback(service)
            raise

    def _allocate_ip(self, service: Object, dry_run: bool) -> None:
        spec, owner = service["spec"], uid_of(service)
        if not has_cluster_ip(spec):
            for field in ("clusterIP", "clusterIPs"):
                spec.pop(field, None)
            return
        asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if asked == NONE:
            spec["clusterIP"], spec["clusterIPs"] = NONE, [NONE]
            return
        if asked:
            self._take_ip(service, asked, dry_run)
        elif dry_run:
            asked = str(self._network.network_address)
        else:
            try:
                asked = str(IPv4Address(self._ips.take_any(owner)))
            except Exhausted:
                raise InternalError(f"failed to allocate a serviceIP: range {self._network} is full") from None
        spec["clusterIP"], spec["clusterIPs"] = asked, [asked]

    def _take_ip(self, service: Object, asked: str, dry_run: bool) -> None:
        def refused(why: str) -> Invalid:
            return _invalid(service, [invalid("spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {why}")])

        try:
            address = ip_address(asked)
        except ValueError:
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            raise _invalid(service, [invalid("spec.clusterIPs[0]", asked, detail)]) from None
        if not isinstance(address, IPv4Address) or int(address) not in self._ips:
            if not dry_run:
                raise refused("the provided network does not match the current range")
            valid = f"the provided IP ({asked}) is not in the valid range. The range of valid IPs is {self._network}"
            raise refused(valid)
        if dry_run:
            return  # as upstream, which looks up whose an address is only in order to claim it
        try:
            self._ips.take(int(address), uid_of(service))
        except Taken:
            raise refused("provided IP is already allocated") from None

    def _allocate_ports(self, service: Object, old: Object | None, dry_run: bool) -> None:
        spec, owner = service["spec"], uid_of(service)
        if not wants_node_ports(spec):
            return
        before = node_ports(old["spec"]) if old is not None else frozenset()
        asked = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        by_number: dict[int, int] = {}
        for index, port in enumerate(spec.get("ports") or ()):
            if number := port.get("nodePort"):
                if number not in before:
                    self._take_port(service, f"spec.ports[{index}].nodePort", number, dry_run)
            elif port["port"] in by_number and port.get("protocol") not in _protocols(spec, by_number[port["port"]]):
                # The same port under TCP and UDP (DNS) gets one node port for both.
                port["nodePort"] = by_number[port["port"]]
            else:
                port["nodePort"] = self._any_port(owner, dry_run, asked)
                asked.add(port["nodePort"])
            by_number.setdefault(port["port"], port["nodePort"])
        if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            if not spec.get("healthCheckNodePort"):
                spec["healthCheckNodePort"] = self._any_port(owner, dry_run, asked)
            elif spec["healthCheckNodePort"] not in before:
                self._take_port(service, "spec.healthCheckNodePort", spec["healthCheckNodePort"], dry_run)

    def _take_port(self, service: Object, field: str, number: int, dry_run: bool) -> None:
        if number not in self._ports and not dry_run:
            first, size = NODE_PORTS
            valid = f"The range of valid ports is {first}-{first + size - 1}"
            raise _invalid(service, [invalid(field, number, f"provided port is not in the valid range. {valid}")])
        try:
            self._ports.take(number, uid_of(service), hold=not dry_run)
        except Taken:
            raise _invalid(service, [invalid(field, number, "provided port is already allocated")]) from None

    def _any_port(self, owner: str, dry_run: bool, besides: set[int]) -> int:
        if dry_run:
            # What upstream shows for a port that nobody reserved: just past the range.
            beyond = sum(NODE_PORTS)
            return next(n for n in range(beyond + 1, beyond + 1000) if n not in besides)
        try:
            return self._ports.take_any(owner, besides=besides)
        except Exhausted:
            raise InternalError("failed to allocate a nodePort: range is full") from None


def numbers_of(service: Object) -> Numbers:
    """What a Service holds."""
    return Numbers(_addresses(service["spec"]), node_ports(service["spec"]))


def _invalid(service: Object, errors: list[FieldError]) -> Invalid:
    return Invalid.of("", "Service", name_of(service), errors)


def _addresses(spec: Object) -> frozenset[int]:
    found = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return frozenset(int(ip_address(ip)) for ip in found if ip and ip != NONE)


def _protocols(spec: Object, node_port: int) -> set[str]:
    return {port.get("protocol", "TCP") for port in spec["ports"] if port.get("nodePort") == node_port}
