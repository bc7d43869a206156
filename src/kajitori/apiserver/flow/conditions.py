"""Every FlowSchema says whether the priority level that it names exists (condition `Dangling`)."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from kajitori.api.errors import NotFound, StatusError
from kajitori.api.flowcontrol import FLOW_SCHEMA, PRIORITY_LEVEL_CONFIGURATION
from kajitori.api.meta import Object, name_of
from kajitori.api.times import timestamp
from kajitori.apiserver.flow.configuration import level_name
from kajitori.apiserver.interfaces import Objects
from kajitori.kit.clock import Clock
from kajitori.storage.interface import StorageError

log = logging.getLogger(__name__)
_TYPE = "Dangling"


class DanglingConditions:
    """Runs until cancelled; waits for changes, not for time. Several servers that write the same agree."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._changed = asyncio.Event()

    async def run(self) -> None:
        stops: list[Callable[[], None]] = [
            self._objects.subscribe(resource, lambda type, obj: self._changed.set())
            for resource in (PRIORITY_LEVEL_CONFIGURATION, FLOW_SCHEMA)
        ]
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._write()
        finally:
            for stop in stops:
                stop()

    async def _write(self) -> None:
        for schema in list(self._objects.cached_list(FLOW_SCHEMA)):
            wanted = self._condition(level_name(schema))
            if _says(schema, wanted):
                continue
            try:
                await self._objects.update(FLOW_SCHEMA, name_of(schema), "", partial(_with, wanted))
            except NotFound:
                continue
            except (StatusError, StorageError) as error:
                log.warning("the status of FlowSchema %s cannot be written: %s", name_of(schema), error)

    def _condition(self, level: str) -> Object:
        exists = self._objects.cached(PRIORITY_LEVEL_CONFIGURATION, level) is not None
        subject = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
        return {
            "type": _TYPE,
            "status": "False" if exists else "True",
            "lastTransitionTime": timestamp(self._clock.now()),
            "reason": "Found" if exists else "NotFound",
            "message": f"{subject} and it exists" if exists else f"{subject} but there is no such object",
        }


def _says(schema: Object, wanted: Object) -> bool:
    for found in (schema.get("status") or {}).get("conditions") or ():
        if found.get("type") == _TYPE:
            return all(found.get(field) == wanted[field] for field in ("status", "reason", "message"))
    return False


def _with(wanted: Object, schema: Object) -> Object:
    if _says(schema, wanted):
        return schema
    status = schema.get("status") or {}
    others = []
    for condition in status.get("conditions") or ():
        if condition.get("type") != _TYPE:
            others.append(condition)
        elif condition.get("status") == wanted["status"]:
            wanted = {**wanted, "lastTransitionTime": condition.get("lastTransitionTime")}
    return {**schema, "status": {**status, "conditions": [*others, wanted]}}
