"""Ingresses, network policies, addresses and address ranges."""

import contextlib
import ipaddress

from kajitori.api.field_errors import FieldError, InOrder, forbidden, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.validation.checks import (
    IMMUTABLE,
    Errors,
    domain_prefixed_path,
    each,
    label_selector,
    must,
    must_be_given,
    one_of,
    optional_one_of,
    port_number,
    port_number_or_name,
    same_as_before,
    when_given,
)
from kajitori.api.validation.formats import (
    cidr_errors,
    is_ip,
    label_errors,
    path_segment_errors,
    port_name_errors,
    subdomain_errors,
    wildcard_errors,
)

_CONTROLLER_BYTES_MAX = 250
_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_SUFFIXES = ("/..", "/.")


def validate_ingress(ingress: Object) -> list[FieldError]:
    return list(_ingress(ingress.get("spec") or {}))


def _ingress(spec: Object) -> Errors:
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        yield FieldError("FieldValueInvalid", "spec", spec.get("rules"), detail, value_field="spec.rules")
    if (backend := spec.get("defaultBackend")) is not None:
        yield from _backend("spec.defaultBackend", backend)
    for rule, at in each(spec, "rules", "spec"):
        yield from _host(f"{at}.host", rule.get("host") or "")
        if (http := rule.get("http")) is not None:
            if not http.get("paths"):
                yield required(f"{at}.http.paths")
            for path, path_at in each(http, "paths", f"{at}.http"):
                yield from _path(path_at, path)
    for tls, at in each(spec, "tls", "spec"):
        for index, host in enumerate(tls.get("hosts") or ()):
            form = wildcard_errors if "*" in host else subdomain_errors
            yield from must(f"{at}.hosts[{index}]", host, form(host))
        yield from when_given(f"{at}.secretName", tls.get("secretName"), subdomain_errors)
    if spec.get("ingressClassName") is not None:
        name = spec["ingressClassName"]
        yield from must("spec.ingressClassName", name, subdomain_errors(name))


def _host(path: str, host: str) -> Errors:
    if not host:
        return
    if is_ip(host):
        yield invalid(path, host, "must be a DNS name, not an IP address")
    yield from must(path, host, wildcard_errors(host) if "*" in host else subdomain_errors(host))


def _path(path: str, rule: Object) -> Errors:
    kind, given = rule.get("pathType"), rule.get("path") or ""
    if kind is None:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    elif kind in ("Exact", "Prefix"):
        if not given.startswith("/"):
            yield invalid(f"{path}.path", given, "must be an absolute path")
        if given:
            for sequence in _SEQUENCES:
                if sequence in given:
                    yield invalid(f"{path}.path", given, f"must not contain '{sequence}'")
            for suffix in _SUFFIXES:
                if given.endswith(suffix):
                    yield invalid(f"{path}.path", given, f"cannot end with '{suffix}'")
    elif kind == "ImplementationSpecific":
        if given and not given.startswith("/"):
            yield invalid(f"{path}.path", given, "must be an absolute path")
    else:
        yield from one_of(f"{path}.pathType", kind, ("Exact", "ImplementationSpecific", "Prefix"))
    yield from _backend(f"{path}.backend", rule.get("backend") or {})


def _backend(path: str, backend: Object) -> Errors:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from when_given(f"{path}.resource.apiGroup", resource.get("apiGroup"), subdomain_errors)
        yield from must_be_given(f"{path}.resource.kind", resource.get("kind"))
        yield from must_be_given(f"{path}.resource.name", resource.get("name"))
    elif service is None:
        yield invalid(path, "", "resource or service backend is required")
    else:
        yield from must_be_given(f"{path}.service.name", service.get("name"), label_errors)
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            yield invalid(path, "", "cannot set both port name & port number")
        elif port.get("name"):
            yield from must(f"{path}.service.port.name", port["name"], port_name_errors(port["name"]))
        elif port.get("number"):
            yield from port_number(f"{path}.service.port.number", port["number"])
        else:
            yield required(path, "port name or number is required")


def validate_ingress_class(ingress_class: Object) -> list[FieldError]:
    return list(_ingress_class(ingress_class.get("spec") or {}))


def _ingress_class(spec: Object) -> Errors:
    controller = spec.get("controller") or ""
    if len(controller) > _CONTROLLER_BYTES_MAX:
        yield too_long("spec.controller", controller, _CONTROLLER_BYTES_MAX)
    yield from domain_prefixed_path("spec.controller", controller)
    parameters = spec.get("parameters")
    if parameters is None:
        return
    yield from must_be_given("spec.parameters.kind", parameters.get("kind"))
    yield from must_be_given("spec.parameters.name", parameters.get("name"))
    scope = parameters.get("scope")
    yield from optional_one_of("spec.parameters.scope", scope, ("Cluster", "Namespace"))
    namespace = parameters.get("namespace")
    if scope == "Namespace" and namespace is not None:
        yield from must("spec.parameters.namespace", namespace, label_errors(namespace))
    elif scope == "Namespace":
        yield required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'")
    if scope == "Cluster" and parameters.get("namespace") is not None:
        yield forbidden("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'")


def validate_ingress_class_update(new: Object, old: Object) -> list[FieldError]:
    return list(same_as_before("spec.controller", new["spec"].get("controller") or "", old["spec"].get("controller")))


def validate_network_policy(policy: Object) -> list[FieldError]:
    return list(_network_policy(policy.get("spec") or {}))


def _network_policy(spec: Object) -> Errors:
    yield from label_selector("spec.podSelector", spec.get("podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule, at in each(spec, direction, "spec"):
            for port, port_at in each(rule, "ports", at):
                yield from _policy_port(port_at, port)
            for peer, peer_at in each(rule, peers, at):
                yield from _peer(peer_at, peer)
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        yield from one_of(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))


def _policy_port(path: str, port: Object) -> Errors:
    yield from optional_one_of(f"{path}.protocol", port.get("protocol"), ("TCP", "UDP", "SCTP"))
    number, last = port.get("port"), port.get("endPort")
    if number is not None:
        yield from port_number_or_name(f"{path}.port", number)
        if isinstance(number, int):
            if last is not None and last < number:
                yield invalid(f"{path}.endPort", number, "must be greater than or equal to `port`")
            if last is not None:
                yield from port_number(f"{path}.endPort", last)
        elif last is not None:
            yield invalid(f"{path}.endPort", last, "may not be specified when `port` is non-numeric")
    elif last is not None:
        yield invalid(f"{path}.endPort", last, "may not be specified when `port` is not specified")


def _peer(path: str, peer: Object) -> Errors:
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    for name in given:
        if name == "ipBlock":
            yield from _ip_block(f"{path}.ipBlock", peer["ipBlock"])
        else:
            yield from label_selector(f"{path}.{name}", peer[name])
    if not given:
        yield required(path, "must specify a peer")
    elif len(given) > 1 and "ipBlock" in given:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _ip_block(path: str, block: Object) -> Errors:
    cidr = block.get("cidr") or ""
    if not cidr:
        yield required(f"{path}.cidr")
        return
    problems = cidr_errors(cidr)
    yield from must(f"{path}.cidr", cidr, problems)
    for index, excluded in enumerate(block.get("except") or ()):
        at = f"{path}.except[{index}]"
        excluded_problems = cidr_errors(excluded)
        yield from must(at, excluded, excluded_problems)
        if not problems and not excluded_problems and not _strictly_inside(excluded, cidr):
            yield invalid(at, excluded, "must be a strict subset of `cidr`")


def _strictly_inside(inner: str, outer: str) -> bool:
    small, large = ipaddress.ip_network(inner, strict=False), ipaddress.ip_network(outer, strict=False)
    return small.version == large.version and small.prefixlen > large.prefixlen and small.network_address in large


def validate_ip_address(address: Object) -> list[FieldError]:
    return list(_ip_address(address.get("spec") or {}))


def _ip_address(spec: Object) -> Errors:
    parent = spec.get("parentRef")
    if parent is None:
        yield required("spec.parentRef")
        return
    yield from when_given("spec.parentRef.group", parent.get("group"), subdomain_errors)
    yield from must_be_given("spec.parentRef.resource", parent.get("resource"), path_segment_errors)
    yield from must_be_given("spec.parentRef.name", parent.get("name"), path_segment_errors)
    yield from when_given("spec.parentRef.namespace", parent.get("namespace"), path_segment_errors)


def validate_ip_address_update(new: Object, old: Object) -> list[FieldError]:
    def parent(address: Object) -> InOrder | None:
        named = address["spec"].get("parentRef")
        fields = ("group", "resource", "namespace", "name")
        return None if named is None else InOrder({field.title(): named.get(field) or "" for field in fields})

    return list(same_as_before("spec.parentRef", parent(new), parent(old)))


def validate_service_cidr(service_cidr: Object) -> list[FieldError]:
    return list(_service_cidr((service_cidr.get("spec") or {}).get("cidrs") or []))


def _service_cidr(cidrs: list[str]) -> Errors:
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required")
        return
    if len(cidrs) > 2:
        yield invalid("spec.cidrs", {"CIDRs": cidrs}, "may only hold up to 2 values")
        return
    families = []
    for index, cidr in enumerate(cidrs):
        at = f"spec.cidrs[{index}]"
        problems = cidr_errors(cidr)
        yield from must(at, cidr, problems)
        with contextlib.suppress(ValueError):
            network = ipaddress.ip_network(cidr, strict=False)
            families.append(network.version)
            if not problems and str(network) != cidr:
                yield invalid(at, cidr, f'must be in canonical form ("{network}")')
    if len(families) > len(set(families)):
        rule = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        yield invalid("spec.cidrs", cidrs, rule)


def revalidate_service_cidr(new: Object, old: Object) -> list[FieldError]:
    """A range of the other family may be added, no other change be made."""
    has, had = new["spec"].get("cidrs") or [], old["spec"].get("cidrs") or []
    if len(has) != len(had) and (len(had), len(has)) != (1, 2):
        return [invalid("spec.cidrs", new["spec"].get("cidrs"), IMMUTABLE)]
    errors = [invalid(f"spec.cidrs[{i}]", has[i], IMMUTABLE) for i in range(len(had)) if has[i] != had[i]]
    return errors + (list(_service_cidr(has)) if len(has) > len(had) else [])
