"""What an object may be called, kind by kind, and what is wrong with a name, in upstream's words."""

from collections.abc import Callable
from ipaddress import ip_address

from kajitori.api.resource import Resource
from kajitori.api.validation import formats
from kajitori.api.validation.formats import Format
from kajitori.api.validation.object_meta import path_segment_errors


def _of(form: Format) -> Callable[[str, bool], list[str]]:
    def errors(name: str, prefix: bool) -> list[str]:
        # What is generated begins with an alphanumeric character.
        return list(form(name[:-1] + "a" if prefix and name.endswith("-") else name))

    return errors


def address_errors(name: str, prefix: bool) -> list[str]:
    """An IPAddress is called by its address."""
    try:
        ip_address(name)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


subdomain_errors, label_errors = _of(formats.subdomain_errors), _of(formats.label_errors)
_declared_subdomain_errors = _of(formats.by_pattern(formats.SUBDOMAIN, formats.SUBDOMAIN_RULE, 253, "bytes"))
"""Of kinds whose rules upstream generates from their declarations: the same, in other words."""

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
