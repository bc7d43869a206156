"""What an object may be called, kind by kind, and what is wrong with a name, in upstream's words."""

import re
from collections.abc import Callable
from ipaddress import ip_address

from kajitori.api.resource import Resource
from kajitori.api.validation.formats import LABEL, LABEL_RULE, SUBDOMAIN, SUBDOMAIN_RULE
from kajitori.api.validation.object_meta import path_segment_errors


def _by_pattern(
    pattern: re.Pattern[str], rule: str, longest: int, unit: str = "characters"
) -> Callable[[str, bool], list[str]]:
    def check(name: str, prefix: bool) -> list[str]:
        if prefix and name.endswith("-"):
            name = name[:-1] + "a"  # what is generated begins with an alphanumeric character
        errors = [f"must be no more than {longest} {unit}"] if len(name) > longest else []
        if not pattern.fullmatch(name):
            errors.append(rule)
        return errors

    return check


def address_errors(name: str, prefix: bool) -> list[str]:
    """An IPAddress is called by its address."""
    try:
        ip_address(name)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


subdomain_errors = _by_pattern(SUBDOMAIN, SUBDOMAIN_RULE, 253)
_declared_subdomain_errors = _by_pattern(SUBDOMAIN, SUBDOMAIN_RULE, 253, "bytes")
"""Of kinds whose rules upstream generates from their declarations: the same, in other words."""
label_errors = _by_pattern(LABEL, LABEL_RULE, 63)

_RULES = {
    ("", "namespaces"): label_errors,
    ("", "services"): label_errors,
    ("", "replicationcontrollers"): _declared_subdomain_errors,
    ("resource.k8s.io", "deviceclasses"): _declared_subdomain_errors,
    ("", "events"): path_segment_errors,
    ("policy", "poddisruptionbudgets"): path_segment_errors,
    ("apps", "statefulsets"): label_errors,
    ("networking.k8s.io", "ipaddresses"): address_errors,
    ("rbac.authorization.k8s.io", "roles"): path_segment_errors,
    ("rbac.authorization.k8s.io", "rolebindings"): path_segment_errors,
    ("rbac.authorization.k8s.io", "clusterroles"): path_segment_errors,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): path_segment_errors,
    ("apiregistration.k8s.io", "apiservices"): path_segment_errors,
}


def name_errors(resource: Resource, name: str, *, prefix: bool = False) -> list[str]:
    """`prefix`: this is a generateName."""
    return _RULES.get((resource.group, resource.plural), subdomain_errors)(name, prefix)
