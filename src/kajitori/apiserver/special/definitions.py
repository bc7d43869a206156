"""CustomResourceDefinitions at work: names accepted, kinds served while they stand, instances deleted when they go."""

import asyncio
import logging
import random
from collections.abc import Callable

from kajitori.api import apiextensions
from kajitori.api import resource as kept_names
from kajitori.api.defaults.extensions import CLEANUP_FINALIZER
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, condition_is, condition_of, is_deleting, name_of, namespace_of, set_condition
from kajitori.api.patch import managed_fields, reset_fields
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.api.schema import structural
from kajitori.api.times import timestamp
from kajitori.apiserver import documents
from kajitori.apiserver.http_types import RestHooks, WriteContext
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.rest.metadata import new_uid
from kajitori.apiserver.special.conversion_webhooks import Call, WebhookConversion
from kajitori.apiserver.special.custom_resources import Kinds, kinds_of, schemas_of
from kajitori.apiserver.special.definition_status import status_of
from kajitori.apiserver.special.shown_documents import Memory, Shown
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

CRD = apiextensions.CUSTOM_RESOURCE_DEFINITION
_IN_PROGRESS = "InstanceDeletionInProgress"
_RETRY_S = 1.0
# Deletions of instances under way at once.
_PARALLEL = 16

_FORGET = (kept_names.forget_kinds, managed_fields.forget_kinds, reset_fields.forget_kinds, documents.forget_kinds)
"""What remembers kinds: one that is replaced may be hundreds of megabytes, with its schema and its compiled rules."""


class CustomResourceDefinitions(RestHooks):
    """Accepts names before the write, so that a definition is established with its creation.

    The registry follows the stored definitions, whoever wrote them; so a restart restores every kind.
    """

    def __init__(self, objects: Objects, registry: Registry, clock: Clock, call: Call, rng: random.Random) -> None:
        """`call` reaches conversion webhooks."""
        self._objects = objects
        self._registry = registry
        self._clock = clock
        self._call = call
        self._rng = rng
        self._shown: Shown = Memory()
        self._served: dict[str, tuple[tuple[object, ...], Kinds]] = {}
        self._leaving: dict[str, Callable[[], None]] = {}
        self._refused: set[str] = set()
        self._work = asyncio.Event()
        self._unsubscribe = objects.subscribe(CRD, self._changed)

    def stop(self) -> None:
        self._unsubscribe()
        for unsubscribe in self._leaving.values():
            unsubscribe()

    async def before_create(self, obj: Object, context: WriteContext) -> None:
        if not context.dry_run:
            self._accept(obj)

    async def before_update(self, new: Object, old: Object, context: WriteContext) -> None:
        if context.subresource or is_deleting(new):
            return
        if new["spec"] != old["spec"]:
            self._accept(new)

    def after_create(self, obj: Object) -> None:
        """At once, so that the client's next request finds the kind."""
        self._serve(obj)

    def after_update(self, new: Object, old: Object) -> None:
        self._serve(new)

    async def run(self) -> None:
        """Deletes what is left of definitions that go, and takes up names that have become free."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                for name in list(self._leaving):
                    await self._clean_up(name)
                for name in list(self._refused):
                    await self._reconsider(name)
            except StatusError as error:
                log.warning("custom resource definitions: %s; retrying", error)
                await self._clock.sleep(_RETRY_S)
                self._work.set()

    def _accept(self, definition: Object) -> None:
        """Judge the names and write the conditions."""
        definition["status"] = status_of(definition, self._objects.cached_list(CRD), self._now())
        if (refused := condition_of(definition, "NamesAccepted")) is not None and refused["status"] != "True":
            log.info("CustomResourceDefinition %s: %s", name_of(definition), refused["message"])

    def _changed(self, event: str, definition: Object) -> None:
        name = name_of(definition)
        if event == "DELETED":
            self._withdraw(name)
            self._refused.discard(name)
            if unsubscribe := self._leaving.pop(name, None):
                unsubscribe()
            if self._refused:
                self._work.set()
            return
        if condition_is(definition, "NamesAccepted"):
            self._refused.discard(name)
        else:
            self._refused.add(name)
        self._serve(definition)
        if is_deleting(definition) and name not in self._leaving:
            resource = self._stored_kind(definition)
            self._leaving[name] = self._objects.subscribe(resource, lambda event, obj: self._work.set())
            self._work.set()

    def _serve(self, definition: Object) -> None:
        name = name_of(definition)
        established = condition_is(definition, "Established")
        names = (definition.get("status") or {}).get("acceptedNames")
        state = (definition["metadata"]["uid"], definition["spec"], is_deleting(definition), established, names)
        served = self._served.get(name)
        if served is not None and served[0] == state:
            return
        if served is not None:
            _, spec, *_ = served[0]
            self._withdraw(name, ends=spec != definition["spec"])
            if self._refused:
                self._work.set()  # names may have become free
        if not established:
            return
        kinds = self._kinds(definition)
        for resource in kinds.served:
            self._registry.add(resource)
        self._served[name] = (state, kinds)

    def _withdraw(self, name: str, *, ends: bool = True) -> None:
        """Watches end with the kind as it was: who watched lists again, and sees it as it is."""
        served = self._served.pop(name, None)
        if served is None:
            return
        kinds = served[1]
        for resource in kinds.served:
            self._registry.remove(resource)
            structural.forget(resource.schema or {})
        for forget in _FORGET:
            forget()
        if ends:
            self._objects.end_watches(kinds.stored)

    def _kinds(self, definition: Object) -> Kinds:
        webhook = (definition["spec"].get("conversion") or {}).get("strategy") == "Webhook"
        conversion = None
        if webhook:
            schemas = schemas_of(definition)
            conversion = WebhookConversion(definition, schemas, self._call, lambda: new_uid(self._rng), self._shown)
        return kinds_of(definition, conversion, self._shown)

    def _stored_kind(self, definition: Object) -> Resource:
        served = self._served.get(name_of(definition))
        return served[1].stored if served is not None else self._kinds(definition).stored

    async def _clean_up(self, name: str) -> None:
        """Delete the instances; when none is left, let the definition go. Instances' finalizers are waited for."""
        definition = self._objects.cached(CRD, name)
        if definition is None:
            return
        resource = self._stored_kind(definition)
        instances = list(self._objects.cached_list(resource))
        if not instances:
            await self._release(name)
            return
        said = condition_of(definition, "Terminating")
        if said is None or said.get("reason") != _IN_PROGRESS:
            await self._terminating(name)
        room = asyncio.Semaphore(_PARALLEL)

        async def delete(instance: Object) -> None:
            async with room:
                try:
                    await self._objects.delete(resource, name_of(instance), namespace_of(instance))
                except NotFound:
                    return

        await asyncio.gather(*(delete(instance) for instance in instances if not is_deleting(instance)))

    async def _terminating(self, name: str) -> None:
        condition = {
            "type": "Terminating",
            "status": "True",
            "reason": _IN_PROGRESS,
            "message": "CustomResource deletion is in progress",
        }

        def change(definition: Object) -> Object:
            set_condition(definition.setdefault("status", {}).setdefault("conditions", []), condition, self._now())
            return definition

        await self._objects.update(CRD, name, "", change)

    async def _release(self, name: str) -> None:
        def change(definition: Object) -> Object:
            meta = definition["metadata"]
            meta["finalizers"] = [f for f in meta.get("finalizers") or () if f != CLEANUP_FINALIZER]
            return definition

        try:
            await self._objects.update(CRD, name, "", change)
        except NotFound:
            return

    async def _reconsider(self, name: str) -> None:
        definition = self._objects.cached(CRD, name)
        if definition is None or is_deleting(definition):
            return
        others = list(self._objects.cached_list(CRD))
        if status_of(definition, others, self._now()) == definition.get("status"):
            return

        def change(found: Object) -> Object:
            found["status"] = status_of(found, others, self._now())
            return found

        await self._objects.update(CRD, name, "", change)

    def _now(self) -> str:
        return timestamp(self._clock.now())
