"""Forms of strings: each function says what is wrong with a text, in upstream's words, or nothing."""

import ipaddress
import re
from collections.abc import Callable, Sequence

from kajitori.api.selectors import label_key_errors

Format = Callable[[str], Sequence[str]]

qualified_name_errors = label_key_errors

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_WILDCARD = re.compile(r"\*\." + SUBDOMAIN.pattern, re.ASCII)
_PORT_CHARACTERS = re.compile(r"[-a-z0-9]+", re.ASCII)
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)
_HEADER = re.compile(r"[-A-Za-z0-9]+", re.ASCII)
_ENV_NAME = re.compile(r"[ -<>-~]+")
_C_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PERCENT = re.compile(r"[0-9]+%", re.ASCII)
HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", re.ASCII)

SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', "
    "regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_HEADER_RULE = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    "validation is '[-A-Za-z0-9]+')"
)
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
PORT_RANGE = "must be between 1 and 65535, inclusive"
IP_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def by_pattern(pattern: re.Pattern[str], rule: str, longest: int, unit: str = "characters") -> Format:
    def errors(text: str) -> list[str]:
        found = [f"must be no more than {longest} {unit}"] if len(text) > longest else []
        if not pattern.fullmatch(text):
            found.append(rule)
        return found

    return errors


_label_errors = by_pattern(LABEL, LABEL_RULE, 63)
subdomain_errors = by_pattern(SUBDOMAIN, SUBDOMAIN_RULE, 253)
dns_1035_errors = by_pattern(_DNS_1035, DNS_1035_RULE, 63)
wildcard_errors = by_pattern(_WILDCARD, _WILDCARD_RULE, 253)
header_errors = by_pattern(_HEADER, _HEADER_RULE, 1 << 30)


def label_errors(text: str) -> list[str]:
    """A label of DNS. Of a name that would be right but for its dots, the dots are spoken of."""
    errors = list(_label_errors(text))
    if errors and errors[-1] is LABEL_RULE and SUBDOMAIN.fullmatch(text):
        errors[-1] = "must not contain dots"
    return errors


def path_segment_errors(text: str) -> list[str]:
    """Anything that can stand between two slashes of a path."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{mark}'" for mark in ("/", "%") if mark in text]


def port_name_errors(text: str) -> list[str]:
    """IANA service names (RFC 6335)."""
    errors = ["must be no more than 15 characters"] if len(text) > 15 else []
    if not _PORT_CHARACTERS.fullmatch(text):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        errors.append("must contain at least one letter (a-z)")
    if "--" in text:
        errors.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def config_key_errors(text: str) -> list[str]:
    """A key of a ConfigMap or Secret, which becomes the name of a file."""
    errors = ["must be no more than 253 characters"] if len(text) > 253 else []
    if not _CONFIG_KEY.fullmatch(text):
        return [*errors, _CONFIG_KEY_RULE]
    if text in (".", ".."):
        errors.append(f"must not be '{text}'")
    elif text.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def env_name_errors(text: str) -> list[str]:
    if _ENV_NAME.fullmatch(text):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def c_identifier(text: str) -> bool:
    return _C_IDENTIFIER.fullmatch(text) is not None


def percent_errors(text: str) -> list[str]:
    return [] if _PERCENT.fullmatch(text) else [_PERCENT_RULE]


def is_ip(text: str) -> bool:
    """Strict: no leading zeros, no zone, no IPv4-mapped IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text and getattr(address, "ipv4_mapped", None) is None


def ip_errors(text: str) -> list[str]:
    """An address in a form that nobody reads otherwise (KEP-4858)."""
    if is_ip(text):
        return []
    if is_ip(without_leading_zeros(text)):
        return ["must not have leading 0s"]
    return ["must not be an IPv4-mapped IPv6 address"] if _is_mapped(text) else [IP_RULE]


def canonical_ip_errors(text: str) -> list[str]:
    """As newer fields want it: in the form of RFC 5952."""
    errors = ip_errors(text)
    if not errors and (form := str(ipaddress.ip_address(text))) != text:
        return [f'must be in canonical form ("{form}")']
    return errors


def cidr_errors(text: str) -> list[str]:
    address, slash, bits = text.partition("/")
    plain = f"{without_leading_zeros(address)}/{bits.lstrip('0') or '0'}"
    try:
        interface = ipaddress.ip_interface(plain)
    except ValueError:
        return [CIDR_RULE]
    if not slash or not bits.isascii() or not bits.isdigit() or "%" in address:
        return [CIDR_RULE]
    if plain != text:
        return ["must not have leading 0s in IP or prefix length"]
    if _is_mapped(address):
        return ["must not have an IPv4-mapped IPv6 address"]
    if interface.ip != interface.network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def without_leading_zeros(text: str) -> str:
    """`010.0.0.1` as lenient parsers read it: in decimal."""
    if ":" in text or not text.isascii():
        return text
    return ".".join(part.lstrip("0") or "0" if part.isdigit() else part for part in text.split("."))


def _is_mapped(text: str) -> bool:
    try:
        return getattr(ipaddress.ip_address(text), "ipv4_mapped", None) is not None
    except ValueError:
        return False


def search_path_errors(name: str) -> list[str]:
    """A DNS search path: a subdomain whose labels may begin with an underscore (KEP-4427)."""
    errors = ["must be no more than 253 characters"] if len(name) > 253 else []
    if not _SEARCH_PATH.fullmatch(name):
        errors.append(_SEARCH_PATH_RULE)
    return errors


_SEARCH_PATH = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_SEARCH_PATH_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SEARCH_PATH.pattern}')"
)
