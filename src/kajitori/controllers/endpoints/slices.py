"""Spreading endpoints over EndpointSlices so that a change touches as few of them as possible. Pure."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kajitori.api.meta import Object, annotations_of, labels_of, name_of, owner_reference

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
ENDPOINTS_PER_SLICE_MAX = 100


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints that share ports and address type, and so may share slices."""

    address_type: str
    ports: list[Object]
    endpoints: list[Object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    create: list[Object]
    update: list[Object]
    delete: list[Object]


@dataclass(frozen=True, slots=True)
class Dress:
    """What slices of one owner wear besides endpoints. `prefix` begins a generated name."""

    owner: Object
    prefix: str
    labels: dict[str, str]
    annotations: dict[str, str]


def group(entries: Iterable[tuple[str, list[Object], Object]]) -> list[Group]:
    """From (address type, ports, endpoint)."""
    groups: dict[str, Group] = {}
    for address_type, ports, endpoint in entries:
        found = groups.setdefault(f"{address_type} {ports}", Group(address_type, ports))
        found.endpoints.append(endpoint)
    return list(groups.values())


def plan(groups: Sequence[Group], existing: Sequence[Object], dress: Dress) -> Plan:
    """Every endpoint stays in the slice it is in; new ones fill gaps; what stays empty goes."""
    free = sorted(existing, key=name_of)
    result = Plan([], [], [])
    for wanted in groups:
        mine = [s for s in free if s["addressType"] == wanted.address_type and (s.get("ports") or []) == wanted.ports]
        if not wanted.endpoints:
            # A placeholder tells a Service without endpoints from one that is not yet known.
            mine = mine or [s for s in free if s["addressType"] == wanted.address_type]
            mine = mine[:1]
        free = [s for s in free if s not in mine]
        _fill(wanted, mine, dress, result)
    result.delete.extend(free)
    return result


def _fill(wanted: Group, slices: list[Object], dress: Dress, result: Plan) -> None:
    missing = {_identity(endpoint): endpoint for endpoint in wanted.endpoints}
    contents: list[list[Object]] = []
    for present in slices:
        kept = [missing.pop(_identity(e)) for e in present.get("endpoints") or () if _identity(e) in missing]
        contents.append(kept[:ENDPOINTS_PER_SLICE_MAX])
    rest = list(missing.values())
    # Slices that must be written anyway take newcomers first, then the fullest, so that gaps close.
    order = sorted(
        range(len(slices)), key=lambda i: (contents[i] == (slices[i].get("endpoints") or []), -len(contents[i]))
    )
    for index in order:
        room = ENDPOINTS_PER_SLICE_MAX - len(contents[index])
        contents[index] += rest[:room]
        rest = rest[room:]
    for present, endpoints in zip(slices, contents, strict=True):
        if not endpoints and wanted.endpoints:
            result.delete.append(present)
            continue
        changed = _dressed(present, wanted, endpoints, dress)
        if changed != present:
            result.update.append(changed)
    while rest or (not slices and not wanted.endpoints):
        result.create.append(_new(wanted, rest[:ENDPOINTS_PER_SLICE_MAX], dress))
        rest = rest[ENDPOINTS_PER_SLICE_MAX:]
        if not rest:
            break


def _identity(endpoint: Object) -> str:
    target = endpoint.get("targetRef") or {}
    return f"{target.get('uid', '')} {endpoint['addresses'][0]}"


def _dressed(present: Object, wanted: Group, endpoints: list[Object], dress: Dress) -> Object:
    meta = present["metadata"]
    if (
        (present.get("endpoints") or []) == endpoints
        and (present.get("ports") or []) == wanted.ports
        and labels_of(present) == dress.labels
        and annotations_of(present) == dress.annotations
    ):
        return present
    metadata = {**meta, "labels": dict(dress.labels), "annotations": dict(dress.annotations)}
    return {**present, "metadata": metadata, "endpoints": endpoints, "ports": wanted.ports}


def _new(wanted: Group, endpoints: list[Object], dress: Dress) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{dress.prefix}-",
            "namespace": dress.owner["metadata"]["namespace"],
            "labels": dict(dress.labels),
            "annotations": dict(dress.annotations),
            "ownerReferences": [owner_reference(dress.owner)],
        },
        "addressType": wanted.address_type,
        "ports": copy.deepcopy(wanted.ports),
        "endpoints": endpoints,
    }
