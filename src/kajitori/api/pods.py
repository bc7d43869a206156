"""What a Pod document means to several parts: its resource needs, its quality of service, whether it is ready or over.

Amounts are whole numbers: `cpu` in thousandths of a core, everything else in its own unit (bytes, devices), rounded
up, as the scheduler counts them.
"""

from collections.abc import Collection, Iterable, Mapping

from kajitori.api.meta import Object, condition_is, is_deleting
from kajitori.api.quantity import Quantity, milli, parse, value

Amounts = dict[str, int]

HostPort = tuple[str, str, int]
"""Protocol, host IP, port."""

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that a node runs of its own accord."""
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"

SAFE_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)
"""Those that cannot harm the node or other pods (upstream's list)."""

_QOS_RESOURCES = ("cpu", "memory")
_POD_LEVEL_RESOURCES = ("cpu", "memory")


def is_terminal(pod: Object) -> bool:
    """Whether its containers will never run again."""
    return phase(pod) in ("Succeeded", "Failed")


def phase(pod: Object) -> str:
    return (pod.get("status") or {}).get("phase") or ""


def is_ready(pod: Object) -> bool:
    """Whether the pod may serve: its Ready condition is True."""
    return condition_is(pod, "Ready")


def node_name(pod: Object) -> str:
    return pod["spec"].get("nodeName") or ""


def is_active(pod: Object) -> bool:
    """Neither over nor on its way out: what a controller counts as one of its own."""
    return not is_terminal(pod) and not is_deleting(pod)


def is_sidecar(container: Object) -> bool:
    """An init container that keeps running beside the main ones (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def containers_of(pod_spec: Object) -> Iterable[Object]:
    """Every container that may run: init, main and ephemeral, in that order."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod_spec.get(field) or ()


def host_ports(pod_spec: Object) -> frozenset[HostPort]:
    """What the containers that last take of the node's own ports."""
    lasting = list(pod_spec.get("containers") or ())
    lasting += [c for c in pod_spec.get("initContainers") or () if is_sidecar(c)]
    return frozenset(
        (port.get("protocol") or "TCP", port.get("hostIP") or _ANY_ADDRESS, port["hostPort"])
        for container in lasting
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def host_ports_clash(wanted: Iterable[HostPort], taken: Collection[HostPort]) -> bool:
    """A port on every address clashes with that port on any."""
    return any(
        protocol == other and port == number and (_ANY_ADDRESS in (address, at) or address == at)
        for protocol, address, port in wanted
        for other, at, number in taken
    )


def amount(resource: str, quantity: str | int | float) -> int:
    """A quantity in the unit in which its resource is counted."""
    return milli(quantity) if resource == "cpu" else value(quantity)


def amounts(resource_list: Mapping[str, str] | None) -> Amounts:
    return {name: amount(name, quantity) for name, quantity in (resource_list or {}).items()}


def pod_requests(pod: Object) -> Amounts:
    """What the node must set aside: the larger of running and initialising, and the overhead of its runtime class."""
    return _needs(pod["spec"], "requests", with_overhead=True)


def pod_limits(pod: Object) -> Amounts:
    """What the pod may use at most. A resource that not every container limits is counted for those that do."""
    limits = _needs(pod["spec"], "limits", with_overhead=False)
    for name, extra in amounts(pod["spec"].get("overhead")).items():
        if name in limits:
            limits[name] += extra
    return limits


def qos_class(pod: Object) -> str:
    """The class by which a node chooses whom to evict first.

    Guaranteed when every container limits both CPU and memory and requests exactly that; BestEffort when nothing asks
    for either; Burstable otherwise. Resources of the whole pod stand in for those of its containers (KEP-2837).
    """
    spec = pod["spec"]
    bearers: list[Object] = [{"resources": spec["resources"]}] if spec.get("resources") is not None else []
    if not bearers:
        bearers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    requests: Amounts = {}
    limits: Amounts = {}
    all_limited = bool(bearers)
    for bearer in bearers:
        resources = bearer.get("resources") or {}
        _add(requests, _qos_relevant(resources.get("requests")))
        limited = _qos_relevant(resources.get("limits"))
        _add(limits, limited)
        all_limited = all_limited and len(limited) == len(_QOS_RESOURCES)
    if not requests and not limits:
        return BEST_EFFORT
    return GUARANTEED if all_limited and requests == limits else BURSTABLE


def _qos_relevant(resource_list: Mapping[str, str] | None) -> Amounts:
    wanted = {k: v for k, v in (resource_list or {}).items() if k in _QOS_RESOURCES}
    return {name: number for name, number in amounts(wanted).items() if number > 0}


def _needs(spec: Object, side: str, *, with_overhead: bool) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _side(container, side))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        needed = _side(container, side)
        if is_sidecar(container):
            _add(total, needed)
            _add(sidecars, needed)
            _raise_to(peak, sidecars)
        else:
            _add(needed, sidecars)
            _raise_to(peak, needed)
    _raise_to(total, peak)
    of_pod = amounts((spec.get("resources") or {}).get(side))
    for name, number in of_pod.items():
        if name in _POD_LEVEL_RESOURCES or name.startswith("hugepages-"):
            total[name] = number
    if with_overhead:
        _add(total, amounts(spec.get("overhead")))
    return total


def _side(container: Object, side: str) -> Amounts:
    return amounts((container.get("resources") or {}).get(side))


def _add(total: Amounts, more: Amounts) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def _raise_to(total: Amounts, least: Amounts) -> None:
    for name, number in least.items():
        total[name] = max(total.get(name, 0), number)


def needed_together(spec: Object, side: str) -> dict[str, str]:
    """What a pod's containers have among `requests` or `limits`: those that run side by side together, or as much as an
    init container with the sidecars before it, where that is more."""
    total: dict[str, Quantity] = {}
    sidecars: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        _add_quantities(total, _quantities(container, side))
    for container in spec.get("initContainers") or ():
        needed = _quantities(container, side)
        if is_sidecar(container):
            _add_quantities(total, needed)
            _add_quantities(sidecars, needed)
            needed = sidecars
        else:
            _add_quantities(needed, sidecars)
        for name, quantity in needed.items():
            peak[name] = max(peak.get(name, quantity), quantity, key=lambda each: each.nanos)
    for name, quantity in peak.items():
        total[name] = max(total.get(name, quantity), quantity, key=lambda each: each.nanos)
    return {name: str(quantity) for name, quantity in total.items()}


def _quantities(container: Object, side: str) -> dict[str, Quantity]:
    return {name: parse(text) for name, text in ((container.get("resources") or {}).get(side) or {}).items()}


def _add_quantities(total: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
    for name, quantity in more.items():
        total[name] = total[name].plus(quantity) if name in total else quantity
