"""The APIServices that nobody wrote: one for each version that this server serves itself.

Built-in versions are registered once, when the server starts (label `onstart`); those of custom resources come and go
with their definitions (label `true`), and come back when somebody deletes them. What has no such label is somebody's
own and is never touched.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from kajitori.api.apiregistration import API_SERVICE
from kajitori.api.meta import Object, is_deleting
from kajitori.apiserver.aggregation.priorities import (
    ALWAYS,
    MANAGED,
    METRICS_GROUP,
    ON_START,
    is_built_in,
    local_service,
    name_of_version,
)

GroupVersion = tuple[str, str]


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Step(NamedTuple):
    action: Action
    service: Object


def built_in(versions: Iterable[GroupVersion]) -> dict[str, Object]:
    """What is wanted when the server starts; the group of APIServices itself is never behind one.

    Metrics, which an installation of metrics-server may take over, get an APIService without a label: made once, and
    from then on whoever changes it owns it.
    """
    found = {}
    for group, version in versions:
        if is_built_in(group) and group != API_SERVICE.group:
            found[name_of_version(group, version)] = local_service(group, version, ON_START)
        elif group == METRICS_GROUP:
            found[name_of_version(group, version)] = local_service(group, version, "")
    return found


def of_definitions(definitions: Iterable[Object]) -> dict[str, Object]:
    """What is wanted for custom resources."""
    found = {}
    for definition in definitions:
        group = definition["spec"]["group"]
        for version in definition["spec"]["versions"]:
            if version.get("served") and not is_deleting(definition):
                found[name_of_version(group, version["name"])] = local_service(group, version["name"], ALWAYS)
    return found


def plan(wanted: Mapping[str, Object], current: Mapping[str, Object], managed: str) -> list[Step]:
    """What is missing is made; what this made before (label `managed`) is brought up to date or taken away."""
    steps = [Step(Action.CREATE, service) for name, service in wanted.items() if name not in current]
    for name, service in current.items():
        if _label(service) != managed:
            continue
        if name not in wanted:
            steps.append(Step(Action.DELETE, service))
        elif service["spec"] != wanted[name]["spec"]:
            steps.append(Step(Action.UPDATE, wanted[name]))
    return steps


def _label(service: Object) -> str:
    return str((service["metadata"].get("labels") or {}).get(MANAGED) or "")
