"""IP addresses, CIDRs and URLs."""

import ipaddress
import re
from urllib.parse import parse_qs

from kajitori.api import urls
from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.functions import Overload, member, plain
from kajitori.api.cel.types import opaque
from kajitori.api.cel.values import Opaque, bounded

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Ip(Opaque):
    __slots__ = ("address",)
    cel_type = opaque("net.IP")

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def cel_size(self) -> int:
        return self.address.max_prefixlen // 8

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ip) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __str__(self) -> str:
        return str(self.address)

    cel_text = __str__


class Cidr(Opaque):
    """An address with the length of its network's prefix; the address keeps its host part."""

    __slots__ = ("interface",)
    cel_type = opaque("net.CIDR")

    def __init__(self, interface: Interface) -> None:
        self.interface = interface

    @property
    def length(self) -> int:
        return self.interface.network.prefixlen

    @property
    def cel_size(self) -> int:
        return -(-self.length // 8)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cidr) and (self.interface.ip, self.length) == (other.interface.ip, other.length)

    def __hash__(self) -> int:
        return hash((self.interface.ip, self.length))

    def __str__(self) -> str:
        return f"{self.interface.ip}/{self.length}"

    cel_text = __str__


def _is_mapped(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


def _parse_ip(text: str) -> Ip:
    if "%" in text and ":" in text:
        raise EvaluationError(f'IP address "{text}" with zone value is not allowed')
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        what = f'ParseAddr("{text}"): unable to parse IP'
        raise EvaluationError(f'IP Address "{text}" parse error during conversion from string: {what}') from None
    if _is_mapped(address):
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Ip(address)


_CIDR = re.compile(r"[0-9a-fA-F:.]+/(?:0|[1-9][0-9]{0,2})", re.ASCII)


def _parse_cidr(text: str) -> Cidr:
    try:
        if _CIDR.fullmatch(text) is None:
            raise ValueError
        interface = ipaddress.ip_interface(text)
    except ValueError:
        what = f'netip.ParsePrefix("{text}"): no valid CIDR'
        raise EvaluationError(f"network address parse error during conversion from string: {what}") from None
    if _is_mapped(interface.ip):
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Cidr(interface)


def _cidr(text: str) -> Cidr:
    try:
        return _parse_cidr(text)
    except EvaluationError as error:
        raise EvaluationError(f"network address parse error during conversion from string: {error}") from None


def _is_ip(text: str) -> bool:
    try:
        _parse_ip(text)
    except EvaluationError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        _parse_cidr(text)
    except EvaluationError:
        return False
    return True


def _is_canonical(text: str) -> bool:
    return str(_parse_ip(text)) == text


def _is_local_multicast(ip: Ip) -> bool:
    address = ip.address
    if address.version == 4:
        return address in ipaddress.ip_network("224.0.0.0/24")
    packed = address.packed
    return packed[0] == 0xFF and packed[1] & 0x0F == 0x02


def _is_global_unicast(ip: Ip) -> bool:
    address = ip.address
    broadcast = address == ipaddress.IPv4Address("255.255.255.255")
    others = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not broadcast and not others


def _contains_ip(cidr: Cidr, ip: Ip) -> bool:
    network = cidr.interface.network
    return ip.address.version == network.version and ip.address in network


def _contains_cidr(cidr: Cidr, other: Cidr) -> bool:
    return cidr.length <= other.length and _contains_ip(cidr, Ip(other.interface.network.network_address))


def _masked(cidr: Cidr) -> Cidr:
    return Cidr(ipaddress.ip_interface(cidr.interface.network))


ADDRESSES: tuple[Overload, ...] = (
    plain("ip", "string -> net.IP", _parse_ip),
    plain("isIP", "string -> bool", _is_ip),
    plain("ip.isCanonical", "string -> bool", _is_canonical),
    plain("string", "net.IP -> string", str, open=False),
    member("family", "net.IP -> int", lambda ip: ip.address.version),
    member("isUnspecified", "net.IP -> bool", lambda ip: ip.address.is_unspecified),
    member("isLoopback", "net.IP -> bool", lambda ip: ip.address.is_loopback),
    member("isLinkLocalMulticast", "net.IP -> bool", _is_local_multicast),
    member("isLinkLocalUnicast", "net.IP -> bool", lambda ip: ip.address.is_link_local),
    member("isGlobalUnicast", "net.IP -> bool", _is_global_unicast),
    plain("cidr", "string -> net.CIDR", _cidr),
    plain("isCIDR", "string -> bool", _is_cidr),
    plain("string", "net.CIDR -> string", str, open=False),
    member("containsIP", "net.CIDR, string -> bool", lambda cidr, text: _contains_ip(cidr, _parse_ip(text))),
    member("containsIP", "net.CIDR, net.IP -> bool", _contains_ip),
    member("containsCIDR", "net.CIDR, string -> bool", lambda cidr, text: _contains_cidr(cidr, _parse_cidr(text))),
    member("containsCIDR", "net.CIDR, net.CIDR -> bool", _contains_cidr),
    member("ip", "net.CIDR -> net.IP", lambda cidr: Ip(cidr.interface.ip)),
    member("prefixLength", "net.CIDR -> int", lambda cidr: cidr.length),
    member("masked", "net.CIDR -> net.CIDR", _masked),
)


class Url(Opaque):
    __slots__ = ("parts", "text")
    cel_type = opaque("kubernetes.URL")

    def __init__(self, text: str, parts: urls.Url) -> None:
        self.text = text
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    @property
    def host(self) -> str:
        return self.parts.host

    def port(self) -> str:
        after = self.host.rpartition("]")[2] if self.host.startswith("[") else self.host
        return after.rpartition(":")[2] if ":" in after else ""

    def hostname(self) -> str:
        host = self.host
        if host.startswith("["):
            return host[1:].partition("]")[0]
        return host.rpartition(":")[0] if ":" in host else host


def parse_url(text: str) -> Url:
    """An absolute URI or an absolute path, as in a request line."""
    try:
        return Url(text, urls.parse_of_request(text))
    except urls.BadUrl as error:
        raise EvaluationError(f"URL parse error during conversion from string: {error}") from None


def _is_url(text: str) -> bool:
    try:
        parse_url(text)
    except EvaluationError:
        return False
    return True


def _query(url: Url) -> dict[str, list[str]]:
    found = parse_qs(url.parts.query, keep_blank_values=True)
    bounded(len(found))
    return found


_URL = "kubernetes.URL"
URLS: tuple[Overload, ...] = (
    plain("url", f"string -> {_URL}", parse_url),
    plain("isURL", "string -> bool", _is_url),
    member("getScheme", f"{_URL} -> string", lambda url: url.parts.scheme),
    member("getHost", f"{_URL} -> string", lambda url: url.host),
    member("getHostname", f"{_URL} -> string", Url.hostname),
    member("getPort", f"{_URL} -> string", Url.port),
    member("getEscapedPath", f"{_URL} -> string", lambda url: urls.escaped_path(url.parts.path)),
    member("getQuery", f"{_URL} -> map(string, list(string))", _query),
)
