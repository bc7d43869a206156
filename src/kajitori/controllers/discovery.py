"""Keeping the list of served kinds current: it changes when a CustomResourceDefinition or an APIService does."""

from collections.abc import Iterable

from kajitori.api.apiextensions import CUSTOM_RESOURCE_DEFINITION
from kajitori.api.apiregistration import API_SERVICE
from kajitori.api.meta import Object, ObjectKey, condition_is
from kajitori.controllers.controller import Controller, Source, mapped

ALL = ObjectKey("", "kinds")
# An established definition may appear in discovery a moment later than in its own status.
LOOK_AGAIN_S = 1.0


class DiscoveryController(Controller):
    name = "kind-discovery"
    workers = 1

    def sources(self) -> Iterable[Source]:
        return (
            mapped(CUSTOM_RESOURCE_DEFINITION, lambda _: (ALL,), changed=_matters),
            mapped(API_SERVICE, lambda _: (ALL,), changed=_matters),
        )

    async def run(self) -> None:
        self.queue.add(ALL)
        await super().run()

    async def reconcile(self, key: ObjectKey) -> float | None:
        await self.context.kinds.refresh()
        definitions = self.context.informer(CUSTOM_RESOURCE_DEFINITION).list()
        missing = any(condition_is(d, "Established") and not self._is_served(d) for d in definitions)
        return LOOK_AGAIN_S if missing else None

    def _is_served(self, definition: Object) -> bool:
        spec = definition["spec"]
        return any(
            self.context.kinds.by_kind(f"{spec['group']}/{version['name']}", spec["names"]["kind"]) is not None
            for version in spec["versions"]
            if version.get("served")
        )


def _matters(new: Object, old: Object) -> bool:
    return new.get("spec") != old.get("spec") or new.get("status") != old.get("status")
