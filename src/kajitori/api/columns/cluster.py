"""How nodes, namespaces, configuration, events, RBAC and scheduling show."""

from kajitori.api.columns.cells import AGE, NAME, NONE, UNKNOWN, at, column, joined
from kajitori.api.durations import human_duration, time_since
from kajitori.api.meta import Object, is_deleting
from kajitori.api.resource import Column

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _node_status(node: Object) -> str:
    said = [condition for condition in at(node, "status.conditions", ()) if condition.get("type") == "Ready"]
    ready = said[-1] if said else None
    status = "Unknown" if ready is None else ("Ready" if ready.get("status") == "True" else "NotReady")
    return f"{status},SchedulingDisabled" if at(node, "spec.unschedulable") else status


def node_roles(node: Object) -> list[str]:
    """What the labels say a node is for."""
    found = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        role = key.removeprefix(_ROLE_PREFIX) if key.startswith(_ROLE_PREFIX) else ""
        if key == _ROLE_LABEL:
            role = value
        if role:
            found.add(role)
    return sorted(found)


def _address(node: Object, kind: str) -> str:
    return next((a["address"] for a in at(node, "status.addresses", ()) if a.get("type") == kind), NONE)


def _node_info(field: str) -> Column:
    names = {
        "osImage": "OS-Image",
        "containerRuntimeVersion": "Container-Runtime",
    }
    return column(names[field], lambda node: at(node, f"status.nodeInfo.{field}") or UNKNOWN, wide=True)


def _kernel(node: Object) -> str:
    """With the architecture that it is for."""
    version, architecture = (at(node, f"status.nodeInfo.{field}") for field in ("kernelVersion", "architecture"))
    return f"{version or UNKNOWN} ({architecture})" if architecture else version or UNKNOWN


NODE = (
    NAME,
    column("Status", _node_status),
    column("Roles", lambda node: joined(node_roles(node))),
    AGE,
    column("Version", "status.nodeInfo.kubeletVersion"),
    column("Internal-IP", lambda node: _address(node, "InternalIP"), wide=True),
    column("External-IP", lambda node: _address(node, "ExternalIP"), wide=True),
    _node_info("osImage"),
    column("Kernel-Version", _kernel, wide=True),
    _node_info("containerRuntimeVersion"),
)

NAMESPACE = (NAME, column("Status", "status.phase"), AGE)
CONFIG_MAP = (NAME, column("Data", lambda obj: len(obj.get("data") or ()) + len(obj.get("binaryData") or ())), AGE)
SECRET = (NAME, column("Type", "type"), column("Data", lambda obj: len(obj.get("data") or ())), AGE)
NAME_AND_AGE = (NAME, AGE)


def _quota(obj: Object, *, limits: bool) -> str:
    hard, used = at(obj, "status.hard", {}), at(obj, "status.used", {})
    names = (name for name in sorted(hard) if name.startswith("limits") is limits)
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


RESOURCE_QUOTA = (
    NAME,
    column("Request", lambda obj: _quota(obj, limits=False)),
    column("Limit", lambda obj: _quota(obj, limits=True)),
    AGE,
)

COMPONENT_STATUS = (
    NAME,
    column(
        "Status",
        lambda obj: (
            "Healthy"
            if any(c.get("type") == "Healthy" and c.get("status") == "True" for c in obj.get("conditions") or ())
            else "Unhealthy"
        ),
    ),
    column("Message", lambda obj: next((c.get("message", "") for c in obj.get("conditions") or ()), "")),
    column("Error", lambda obj: next((c.get("error", "") for c in obj.get("conditions") or ()), "")),
)


def _first_seen(event: Object, now_s: float) -> str:
    first = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")
    return time_since(first, now_s)


def _last_seen(event: Object, now_s: float) -> str:
    last = at(event, "series.lastObservedTime") or event.get("lastTimestamp") or event.get("deprecatedLastTimestamp")
    return time_since(last, now_s) if last else _first_seen(event, now_s)


def _count(event: Object) -> int:
    return at(event, "series.count") or event.get("count") or event.get("deprecatedCount") or 1


def _involved(event: Object) -> Object:
    return event.get("involvedObject") or event.get("regarding") or {}


def _involved_name(event: Object) -> str:
    involved = _involved(event)
    kind = str(involved.get("kind", "")).lower()
    return f"{kind}/{involved['name']}" if involved.get("name") else kind


def _source(event: Object) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    reporter = event.get("reportingComponent") or event.get("reportingController") or ""
    component = source.get("component") or reporter
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


EVENT = (
    Column(name="Last Seen", cell=_last_seen),
    column("Type", "type"),
    column("Reason", "reason"),
    column("Object", _involved_name),
    column("Subobject", lambda event: _involved(event).get("fieldPath", ""), wide=True),
    column("Source", _source, wide=True),
    column("Message", lambda event: (event.get("message") or event.get("note") or "").strip()),
    Column(name="First Seen", cell=_first_seen, priority=1),
    column("Count", _count, wide=True),
    Column(name="Name", cell=lambda obj, _: obj["metadata"].get("name", ""), format="name", priority=1),
)


def _subjects(binding: Object, kind: str) -> str:
    found = [s for s in binding.get("subjects") or () if s.get("kind") == kind]
    names = (f"{s.get('namespace', '')}/{s['name']}" if kind == "ServiceAccount" else s["name"] for s in found)
    return ", ".join(names)


ROLE_BINDING = (
    NAME,
    column("Role", lambda obj: f"{at(obj, 'roleRef.kind', '')}/{at(obj, 'roleRef.name', '')}"),
    AGE,
    column("Users", lambda obj: _subjects(obj, "User"), wide=True),
    column("Groups", lambda obj: _subjects(obj, "Group"), wide=True),
    column("ServiceAccounts", lambda obj: _subjects(obj, "ServiceAccount"), wide=True),
)

PRIORITY_CLASS = (
    NAME,
    column("Value", "value", type="integer", default=0),
    column("Global-Default", "globalDefault", type="boolean", default=False),
    AGE,
    column("PreemptionPolicy", "preemptionPolicy"),
)

LEASE = (NAME, column("Holder", "spec.holderIdentity"), AGE)
RUNTIME_CLASS = (NAME, column("Handler", "handler"), AGE)


def _csr_condition(request: Object) -> str:
    found = {c.get("type") for c in at(request, "status.conditions", ())}
    decided = [kind for kind in ("Denied", "Approved") if kind in found][:1] or ["Pending"]
    failed = ["Failed"] if "Failed" in found else []
    issued = ["Issued"] if at(request, "status.certificate") else []
    return ",".join(decided + failed + issued)


def _csr_duration(request: Object) -> str:
    seconds = at(request, "spec.expirationSeconds")
    return NONE if seconds is None else human_duration(seconds)


CERTIFICATE_SIGNING_REQUEST = (
    NAME,
    AGE,
    column("SignerName", "spec.signerName"),
    column("Requestor", "spec.username"),
    column("RequestedDuration", _csr_duration),
    column("Condition", _csr_condition),
)


def _claim_state(claim: Object) -> str:
    states = ["deleted"] if is_deleting(claim) else []
    if at(claim, "status.allocation") is not None:
        states += ["allocated"] + (["reserved"] if at(claim, "status.reservedFor") else [])
    elif not states:
        states = ["pending"]
    return ",".join(states)


RESOURCE_CLAIM = (NAME, column("State", _claim_state), AGE)
RESOURCE_SLICE = (
    NAME,
    column("Node", "spec.nodeName"),
    column("Driver", "spec.driver"),
    column("Pool", "spec.pool.name"),
    AGE,
)
