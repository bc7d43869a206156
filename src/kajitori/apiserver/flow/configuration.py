"""The priority levels and flow schemas in force, kept as their objects change."""

from collections.abc import Callable

from kajitori.api.flowcontrol import FLOW_SCHEMA, PRIORITY_LEVEL_CONFIGURATION
from kajitori.api.meta import Object, name_of
from kajitori.apiserver.bootstrap.flowcontrol import flow_control
from kajitori.apiserver.flow.level import Level
from kajitori.apiserver.flow.limits import seat_limits
from kajitori.apiserver.flow.matching import matches, precedence
from kajitori.apiserver.interfaces import Attributes, Objects, Watcher

MANDATORY = ("exempt", "catch-all")
"""In force even before the objects exist, and when somebody has deleted them."""


class Configuration:
    """`levels` by name; a level keeps those it serves through every change. `changed` is called after each."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._level_objects: dict[str, Object] = {}
        self._schema_objects: dict[str, Object] = {}
        self.levels: dict[str, Level] = {}
        self.schemas: list[Object] = []
        self.changed: Callable[[], None] = lambda: None
        self._mandatory = [obj for _, obj in flow_control() if name_of(obj) in MANDATORY]
        self._rebuild()

    def follow(self, objects: Objects) -> list[Callable[[], None]]:
        """What ends it."""
        return [
            objects.subscribe(PRIORITY_LEVEL_CONFIGURATION, self._note(self._level_objects)),
            objects.subscribe(FLOW_SCHEMA, self._note(self._schema_objects)),
        ]

    def _note(self, known: dict[str, Object]) -> Watcher:
        def note(type: str, obj: Object) -> None:
            name = name_of(obj)
            before = known.pop(name, None)
            if type != "DELETED":
                known[name] = obj
            if before is None or type == "DELETED" or not _alike(before, obj):
                self._rebuild()
                self.changed()

        return note

    def _rebuild(self) -> None:
        levels, schemas = dict(self._level_objects), dict(self._schema_objects)
        for obj in self._mandatory:
            (schemas if obj["kind"] == "FlowSchema" else levels).setdefault(name_of(obj), obj)
        seats = seat_limits(self._total, {name: obj["spec"] for name, obj in levels.items()})
        before, self.levels = self.levels, {}
        for name, obj in levels.items():
            uid = obj["metadata"].get("uid", "")
            level = before.get(name)
            if level is None:
                level = Level(name, uid, obj["spec"], seats[name])
            else:
                level.configure(uid, obj["spec"], seats[name])
            self.levels[name] = level
        self.schemas = sorted(
            (schema for schema in schemas.values() if level_name(schema) in self.levels), key=precedence
        )

    def schema_of(self, asked: Attributes) -> Object:
        """The first that matches; catch-all is there for those that none does, unauthenticated strangers among them."""
        for schema in self.schemas:
            if matches(schema["spec"], asked):
                return schema
        return next(obj for obj in self._mandatory if obj["kind"] == "FlowSchema" and name_of(obj) == "catch-all")


def level_name(schema: Object) -> str:
    return str((schema["spec"].get("priorityLevelConfiguration") or {}).get("name") or "")


def _alike(before: Object, now: Object) -> bool:
    return bool(before["spec"] == now["spec"] and before["metadata"].get("uid") == now["metadata"].get("uid"))
