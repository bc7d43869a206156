"""Which addresses and IP families a Service asks for, and what is wrong with that, before anything is given out.

A Service names its address twice (`clusterIP` and the first of `clusterIPs`) and may leave out what the cluster or an
earlier write has settled. Upstream brings that in order first and refuses what cannot be meant, before it looks at
anything else of the Service; so do we. This cluster has one family, IPv4 (KEP-563 for clusters of two).
"""

from ipaddress import ip_address

from kajitori.api.field_errors import FieldError, duplicate, invalid, required
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors, must, one_of
from kajitori.api.validation.formats import ip_errors, is_ip

NONE = "None"
SINGLE_STACK, PREFER_DUAL_STACK, REQUIRE_DUAL_STACK = "SingleStack", "PreferDualStack", "RequireDualStack"
CLUSTER_FAMILIES = ("IPv4",)
FAMILIES = ("IPv4", "IPv6")


def has_cluster_ip(spec: Object) -> bool:
    return bool(spec["type"] != "ExternalName")


def settle_new_addresses(spec: Object) -> None:
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def settle_addresses(new: Object, old: Object) -> None:
    """Who changes the address in one of its two places means both; who leaves it out means to keep it."""
    if has_cluster_ip(new) and has_cluster_ip(old):
        for field in ("clusterIP", "clusterIPs"):
            if not new.get(field) and old.get(field):
                new[field] = old[field]
    had, has = old.get("clusterIPs") or [], new.get("clusterIPs") or []
    address = new.get("clusterIP") or ""
    if address == (old.get("clusterIP") or ""):
        if had and not has:
            new["clusterIPs"] = had
    elif has == had:
        new["clusterIPs"] = [address] if address else []


def settle_families(spec: Object, before: Object | None = None) -> None:
    """Fill in what follows from the rest. `spec` has no `address_errors`."""
    if not has_cluster_ip(spec) or _stays_as_it_is(spec, before):
        return
    policy = spec["ipFamilyPolicy"] = _policy(spec, before)
    if before is not None and policy == SINGLE_STACK:
        for field in ("clusterIPs", "ipFamilies"):
            if spec.get(field) == before.get(field) and len(spec.get(field) or ()) > 1:
                spec[field] = spec[field][:1]
    families = list(spec.get("ipFamilies") or ())
    addresses = [ip for ip in spec.get("clusterIPs") or () if ip != NONE]
    families += [_family(ip) for ip in addresses[len(families) :]]
    families = families or [CLUSTER_FAMILIES[0]]
    if _is_aside(spec) and policy != SINGLE_STACK and len(families) == 1:
        # Its endpoints are given by hand, of whatever family.
        families += [family for family in FAMILIES if family not in families]
    spec["ipFamilies"] = families


def address_errors(spec: Object, before: Object | None = None) -> list[FieldError]:
    """In the steps of upstream's: where one finds something, the next are not taken."""
    if not has_cluster_ip(spec) or _stays_as_it_is(spec, before):
        return []
    for step in (_related_fields(spec), _choice(spec, before), _within_the_cluster(spec, before)):
        if errors := list(step):
            return errors
    return []


def change_errors(spec: Object, before: Object) -> Errors:
    """An address and the first family stay for the life of a Service, unless it becomes or was an ExternalName."""
    if not (has_cluster_ip(before) and has_cluster_ip(spec)):
        return
    headless = is_headless(spec)
    if not (headless and is_headless(before)):
        had, has = before.get("clusterIPs") or [], spec.get("clusterIPs") or []
        for index in range(min(len(had), len(has))):
            if had[index] != has[index]:
                yield invalid(f"spec.clusterIPs[{index}]", has, "may not change once set")
    if headless or is_headless(before):
        return
    had, has = before.get("ipFamilies") or [], spec.get("ipFamilies") or []
    if had and has and had[0] != has[0]:
        yield invalid("spec.ipFamilies[0]", has, "may not change once set")


def is_headless(spec: Object) -> bool:
    return (spec.get("clusterIPs") or [spec.get("clusterIP")]) == [NONE]


def _is_aside(spec: Object) -> bool:
    return spec.get("clusterIP") == NONE and not spec.get("selector")


def _policy(spec: Object, before: Object | None) -> str:
    said = spec.get("ipFamilyPolicy") or (before or {}).get("ipFamilyPolicy")
    return str(said or (REQUIRE_DUAL_STACK if _is_aside(spec) else SINGLE_STACK))


def _family(address: str) -> str:
    return f"IPv{ip_address(address).version}"


def _stays_as_it_is(spec: Object, before: Object | None) -> bool:
    """A Service that takes what it gets is left alone when the cluster has since got another family."""
    fields = ("type", "clusterIPs", "ipFamilies")
    return (
        before is not None
        and spec.get("ipFamilyPolicy") == PREFER_DUAL_STACK == before.get("ipFamilyPolicy")
        and all((spec.get(field) or []) == (before.get(field) or []) for field in fields)
    )


def _related_fields(spec: Object) -> Errors:
    """Each field by itself, and the addresses against each other and their families."""
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    families, policy = spec.get("ipFamilies") or [], spec.get("ipFamilyPolicy")
    if address and not addresses:
        yield required("spec.clusterIPs")
    elif address and addresses[0] != address:
        yield invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`")
    elif addresses and not address:
        yield invalid("spec.clusterIPs", addresses, "must be empty when `clusterIP` is not specified")
    for index, family in enumerate(families):
        yield from one_of(f"spec.ipFamilies[{index}]", family, FAMILIES)
        if family in families[:index]:
            yield duplicate(f"spec.ipFamilies[{index}]", family)
    if policy is not None:
        yield from one_of("spec.ipFamilyPolicy", policy, (PREFER_DUAL_STACK, REQUIRE_DUAL_STACK, SINGLE_STACK))
    yield from _addresses(addresses, families)


def _addresses(addresses: list[str], families: list[str]) -> Errors:
    several, legible = len(addresses) > 1, True
    for index, address in enumerate(addresses):
        if address == NONE and not index:
            if several:
                legible = False
                yield invalid("spec.clusterIPs", addresses, "'None' must be the first and only value")
        elif not is_ip(address):
            legible = False
            yield from must(f"spec.clusterIPs[{index}]", address, ip_errors(address))
    if len(addresses) > 2:
        yield invalid("spec.clusterIPs", addresses, "may only hold up to 2 values")
    if not legible or addresses == [NONE]:
        return
    found = [_family(address) for address in addresses]
    if several and sorted(set(found)) != list(FAMILIES):
        yield invalid("spec.clusterIPs", addresses, "may specify no more than one IP for each IP family")
    for index, (address, is_family, family) in enumerate(zip(addresses, found, families, strict=False)):
        if family in FAMILIES and is_family != family:
            detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield invalid(f"spec.clusterIPs[{index}]", address, detail)


def _choice(spec: Object, before: Object | None) -> Errors:
    """What the policy says against how many addresses and families there are and were."""
    at, policy = "spec.ipFamilyPolicy", _policy(spec, before)
    for field, one, several in (
        ("clusterIPs", "cluster IP", "cluster IPs"),
        ("ipFamilies", "IP family", "IP families"),
    ):
        has, had = spec.get(field) or [], (before or {}).get(field) or []
        if policy != SINGLE_STACK and 0 < len(has) < len(had):
            yield invalid(at, policy, f"must be 'SingleStack' to release the secondary {one}")
        if policy == SINGLE_STACK and len(has) == 2 and has != had:
            yield invalid(
                at, policy, f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
            )
    if is_headless(spec):
        return
    said = len(spec.get("ipFamilies") or ())
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        if index >= said and _family(address) not in CLUSTER_FAMILIES:
            detail = f"{_family(address)} is not configured on this cluster"
            yield invalid(f"spec.clusterIPs[{index}]", spec["clusterIPs"], detail)


def _within_the_cluster(spec: Object, before: Object | None) -> Errors:
    if _is_aside(spec):
        return
    if _policy(spec, before) == REQUIRE_DUAL_STACK:
        detail = "this cluster is not configured for dual-stack services"
        yield invalid("spec.ipFamilyPolicy", REQUIRE_DUAL_STACK, detail)
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in CLUSTER_FAMILIES:
            yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
