"""IP addresses and CIDRs that are accepted in forms that are not the canonical one (KEP-4858)."""

import ipaddress
from collections.abc import Iterator

from kajitori.api.validation.formats import without_leading_zeros


def address_warnings(path: str, text: str) -> Iterator[str]:
    """Nothing for what is no address at all: validation has spoken of it."""
    plain = without_leading_zeros(text)
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return
    mapped = getattr(address, "ipv4_mapped", None)
    if plain != text or mapped is not None:
        yield f'{path}: non-standard IP address "{text}" is invalid: use "{mapped or address}"'
    elif address.version == 6 and str(address) != text:
        yield f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")'


def cidr_warnings(path: str, text: str) -> Iterator[str]:
    host, _, bits = text.partition("/")
    plain = without_leading_zeros(host)
    try:
        interface = ipaddress.ip_interface(f"{plain}/{int(bits)}")
    except ValueError:
        return
    mapped = getattr(interface.ip, "ipv4_mapped", None)
    if mapped is not None and interface.network.prefixlen >= 96:
        interface = ipaddress.ip_interface(f"{mapped}/{interface.network.prefixlen - 96}")
    network = interface.network
    ambiguous = interface.ip != network.network_address
    if ambiguous:
        single = f"{interface.ip}/{interface.ip.max_prefixlen}"
        yield f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{single}"?)'
    if plain != host or mapped is not None or bits != str(int(bits)):
        yield f'{path}: non-standard CIDR value "{text}" is invalid: use "{network}"'
    elif not ambiguous and network.version == 6 and str(network) != text:
        yield f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")'
