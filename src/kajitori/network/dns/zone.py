"""What the cluster's own names stand for, by the Kubernetes DNS specification 1.1.0
(github.com/kubernetes/dns/blob/master/docs/specification.md). Pure: reads objects, returns records.

    <service>.<namespace>.svc.<domain>                        A; CNAME for ExternalName; all endpoints when headless
    <host>.<service>.<namespace>.svc.<domain>                 A of one endpoint; <host> is its hostname or 10-244-0-2
    _<port>._<protocol>.<service>.<namespace>.svc.<domain>    SRV
    10-244-0-2.<namespace>.pod.<domain>                       A
    dns-version.<domain>                                      TXT
    2.0.244.10.in-addr.arpa                                   PTR
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any, Protocol

import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from kajitori.api.meta import Object, ObjectKey, key_of

TTL_S = 5
"""Seconds an answer may be kept; short, because pods behind a headless Service come and go."""
SCHEMA_VERSION = "1.1.0"

Name = dns.name.Name
RdataType = dns.rdatatype.RdataType
_REVERSE = dns.name.from_text("in-addr.arpa.")


@dataclass(frozen=True, slots=True)
class ZoneConfig:
    domain: str = "cluster.local"
    dns_ip: str = "10.96.0.10"
    cluster_ranges: tuple[str, ...] = ("10.96.0.0/16", "10.244.0.0/16")
    """Reverse names in these ranges are answered here alone; others may be known upstream."""


class Directory(Protocol):
    """Where the objects are."""

    def service(self, key: ObjectKey) -> Object | None: ...

    def slices(self, key: ObjectKey) -> Iterable[Object]: ...

    def services_at(self, ip: str) -> Iterable[Object]: ...

    def slices_with(self, ip: str) -> Iterable[Object]: ...

    def has_namespace(self, name: str) -> bool:
        """Whether any Service is in it."""


@dataclass(slots=True)
class Answer:
    """`follow` is a name outside the cluster whose addresses belong to the answer too."""

    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    answers: list[dns.rrset.RRset] = field(default_factory=list)
    additional: list[dns.rrset.RRset] = field(default_factory=list)
    authority: list[dns.rrset.RRset] = field(default_factory=list)
    follow: Name | None = None


@dataclass(frozen=True, slots=True)
class _Target:
    """An address behind a headless Service, with the label it has under the Service's name."""

    host: str
    ip: str
    ports: tuple[tuple[str, str, int], ...]
    """Name, protocol in lower case, number."""


class Zone:
    """Answers questions about the cluster's domain; None for names that are not its own."""

    def __init__(self, config: ZoneConfig, directory: Directory) -> None:
        self._config = config
        self._directory = directory
        self.origin = dns.name.from_text(config.domain)
        self._ranges = tuple(IPv4Network(cidr) for cidr in config.cluster_ranges)
        self._soa = dns.rrset.from_text(
            self.origin, TTL_S, "IN", "SOA", f"ns.dns.{self.origin} hostmaster.{self.origin} 1 7200 1800 86400 {TTL_S}"
        )

    def answer(self, name: Name, kind: RdataType) -> Answer | None:
        lowered = name.canonicalize()
        if lowered.is_subdomain(self.origin):
            labels = [label.decode("ascii", "replace") for label in lowered.relativize(self.origin).labels]
            return self._finish(self._forward(name, labels, kind))
        if lowered.is_subdomain(_REVERSE):
            return self._reverse(name, lowered, kind)
        return None

    def _finish(self, found: Answer | None) -> Answer:
        """Say who is responsible when there is nothing to say (RFC 2308)."""
        if found is None:
            return Answer(rcode=dns.rcode.NXDOMAIN, authority=[self._soa])
        if not found.answers:
            found.authority = [self._soa]
        return found

    def _forward(self, name: Name, labels: list[str], kind: RdataType) -> Answer | None:
        match labels:
            case []:
                return self._apex(name, kind)
            case ["dns-version"]:
                return _if_asked(kind, "TXT", name, [f'"{SCHEMA_VERSION}"'])
            case ["ns", "dns"]:
                return _if_asked(kind, "A", name, [self._config.dns_ip])
            case ["svc"] | ["pod"] | ["dns"]:
                return Answer()
            case [namespace, "svc" | "pod"]:
                return Answer() if self._directory.has_namespace(namespace) else None
            case [dashed, _, "pod"]:
                ip = _ip_of_dashed(dashed)
                return _if_asked(kind, "A", name, [ip]) if ip else None
            case [*rest, service, namespace, "svc"]:
                return self._service(name, rest, ObjectKey(namespace, service), kind)
        return None

    def _apex(self, name: Name, kind: RdataType) -> Answer:
        if kind == dns.rdatatype.SOA:
            return Answer(answers=[self._soa])
        return _if_asked(kind, "NS", name, [f"ns.dns.{self.origin}"])

    def _service(self, name: Name, rest: list[str], key: ObjectKey, kind: RdataType) -> Answer | None:
        service = self._directory.service(key)
        if service is None:
            return None
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return self._external(name, rest, spec, kind)
        headless = spec.get("clusterIP") in (None, "", "None")
        match rest:
            case [] if headless:
                targets = list(self._targets(key))
                if not targets:
                    return None
                return self._addresses_or_srv(name, key, targets, kind, None)
            case []:
                if kind == dns.rdatatype.SRV:
                    return self._cluster_srv(name, key, spec, None, kind)
                return _if_asked(kind, "A", name, _ipv4(spec.get("clusterIPs") or [spec["clusterIP"]]))
            case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
                wanted = (port[1:], protocol[1:])
                if not headless:
                    return self._cluster_srv(name, key, spec, wanted, kind)
                return self._addresses_or_srv(name, key, list(self._targets(key)), kind, wanted)
            case [host]:
                targets = [target for target in self._targets(key) if target.host == host]
                return _if_asked(kind, "A", name, sorted({t.ip for t in targets})) if targets else None
        return None

    def _external(self, name: Name, rest: list[str], spec: dict[str, Any], kind: RdataType) -> Answer | None:
        if rest:
            return None
        target = dns.name.from_text(spec["externalName"].rstrip(".") + ".")
        alias = Answer(answers=[dns.rrset.from_text(name, TTL_S, "IN", "CNAME", target.to_text())])
        if kind == dns.rdatatype.CNAME:
            return alias
        inside = self.answer(target, kind) if target != name.canonicalize() else None
        if inside is None:
            alias.follow = target
        elif not inside.answers or inside.answers[0].rdtype != dns.rdatatype.CNAME:
            alias.answers += inside.answers
        return alias

    def _addresses_or_srv(
        self, name: Name, key: ObjectKey, targets: list[_Target], kind: RdataType, wanted: tuple[str, str] | None
    ) -> Answer | None:
        """Of a headless Service: its endpoints' addresses, or a SRV record for each endpoint and port."""
        if wanted is None and kind != dns.rdatatype.SRV:
            return _if_asked(kind, "A", name, sorted({t.ip for t in targets}))
        records = [
            (port, f"{target.host}.{self._name_of(key)}", target.ip)
            for target in targets
            for port_name, protocol, port in target.ports
            if wanted in (None, (port_name, protocol))
        ]
        if not records:
            return None
        return _srv(name, records, kind)

    def _cluster_srv(
        self, name: Name, key: ObjectKey, spec: dict[str, Any], wanted: tuple[str, str] | None, kind: RdataType
    ) -> Answer | None:
        addresses = _ipv4(spec.get("clusterIPs") or [spec["clusterIP"]])
        records = [
            (port["port"], self._name_of(key), address)
            for port in spec.get("ports") or ()
            if wanted in (None, (port.get("name") or "", (port.get("protocol") or "TCP").lower()))
            for address in addresses
        ]
        return _srv(name, records, kind) if records else None

    def _targets(self, key: ObjectKey) -> Iterator[_Target]:
        for piece in self._directory.slices(key):
            if piece.get("addressType", "IPv4") == "IPv4":
                yield from _targets_of(piece)

    def _name_of(self, key: ObjectKey) -> str:
        return f"{key.name}.{key.namespace}.svc.{self.origin}"

    def _reverse(self, name: Name, lowered: Name, kind: RdataType) -> Answer | None:
        labels = lowered.relativize(_REVERSE).labels
        try:
            address = IPv4Address(b".".join(reversed(labels)).decode("ascii"))
        except (AddressValueError, UnicodeDecodeError):
            return None
        names = sorted(self._names_at(str(address)))
        if names:
            return self._finish(_if_asked(kind, "PTR", name, names))
        return self._finish(None) if any(address in cidr for cidr in self._ranges) else None

    def _names_at(self, ip: str) -> Iterator[str]:
        for service in self._directory.services_at(ip):
            yield self._name_of(key_of(service))
        for piece in self._directory.slices_with(ip):
            key = ObjectKey(piece["metadata"]["namespace"], piece["metadata"]["labels"]["kubernetes.io/service-name"])
            service_found = self._directory.service(key)
            if service_found and service_found["spec"].get("clusterIP") == "None":
                yield from (f"{t.host}.{self._name_of(key)}" for t in _targets_of(piece) if t.ip == ip)


def _targets_of(piece: Object) -> Iterator[_Target]:
    ports = tuple(
        (port.get("name") or "", (port.get("protocol") or "TCP").lower(), port["port"])
        for port in piece.get("ports") or ()
        if port.get("port") is not None
    )
    for entry in piece.get("endpoints") or ():
        if (entry.get("conditions") or {}).get("ready") is not False:
            for ip in entry.get("addresses") or ():
                yield _Target((entry.get("hostname") or ip.replace(".", "-")).lower(), ip, ports)


def _if_asked(kind: RdataType, has: str, name: Name, values: list[str]) -> Answer:
    """The records when their type was asked for, else the fact that the name exists."""
    if values and kind in (RdataType.make(has), dns.rdatatype.ANY):
        return Answer(answers=[dns.rrset.from_text_list(name, TTL_S, "IN", has, values)])
    return Answer()


def _srv(name: Name, records: list[tuple[int, str, str]], kind: RdataType) -> Answer:
    """Port, target and the target's address; equal priority, and weights that share a hundred."""
    if kind != dns.rdatatype.SRV:
        return Answer()
    weight = max(1, 100 // len(records))
    values = sorted({f"0 {weight} {port} {target}" for port, target, _ in records})
    addresses: dict[str, set[str]] = {}
    for _, target, ip in records:
        addresses.setdefault(target, set()).add(ip)
    extra = [dns.rrset.from_text_list(t, TTL_S, "IN", "A", sorted(ips)) for t, ips in sorted(addresses.items())]
    return Answer(answers=[dns.rrset.from_text_list(name, TTL_S, "IN", "SRV", values)], additional=extra)


def _ipv4(addresses: Iterable[str]) -> list[str]:
    return [address for address in addresses if ":" not in address]


def _ip_of_dashed(label: str) -> str:
    try:
        return str(IPv4Address(label.replace("-", ".")))
    except AddressValueError:
        return ""
