"""A custom resource's versions, converted by its webhook: in batches, each object and version once while it is new.

| held | bound | when full |
|---|---|---|
| conversions | `DOCUMENTS`, `BYTES` of `shown_documents` | the longest unused go; asked for again, converted again |
| one review | `BATCH_OBJECTS`, `BATCH_BYTES` | the rest goes into the next, one after the other |
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.api.schema import structural
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.special.conversion_review import (
    BadConversion,
    UnfitObject,
    accepted,
    answer,
    question,
    review_version,
)
from kajitori.apiserver.special.shown_documents import Shown

BATCH_OBJECTS = 256
BATCH_BYTES = 1 << 20
TIMEOUT_S = 30.0
"""Upstream's for conversion; a definition cannot say another."""

# How messages call what came back: alone, and among others.
_PLACES = {
    "kind": ("object at index {}", "converted object at index {}"),
    "object": ("object", "converted object at index {}"),
    "metadata": ("metadata", "metadata in object at index {}"),
}

Call = Callable[[Object, bytes, float], Awaitable[bytes]]
"""Post to a webhook: client configuration, body, seconds. Raises CallFailed."""


class WebhookConversion:
    """Of one definition as it stands: a changed definition gets a new one, which remembers nothing."""

    def __init__(
        self,
        definition: Object,
        schemas: Mapping[str, Object],
        call: Call,
        new_uid: Callable[[], str],
        memory: Shown,
    ) -> None:
        spec = definition["spec"]
        webhook = spec["conversion"]["webhook"]
        self._kind: str = spec["names"]["kind"]
        self._client: Object = webhook["clientConfig"]
        self._understood: list[str] = webhook.get("conversionReviewVersions") or []
        self._schemas = {f"{spec['group']}/{version}": schema for version, schema in schemas.items()}
        self._defaulted = {version: structural.has_default(schema) for version, schema in self._schemas.items()}
        self._stored = next(f"{spec['group']}/{v['name']}" for v in spec["versions"] if v.get("storage"))
        self._changed = (definition["metadata"].get("generation") or 1) > 1
        self._call = call
        self._new_uid = new_uid
        self._memory = memory
        self._under_way: dict[tuple[str, bytes], asyncio.Future[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def shown(self, bodies: Sequence[bytes], api_version: str) -> list[bytes]:
        """Who asks while another's question is under way waits for that answer; it arrives even if the other leaves."""
        head = _head(self._kind, api_version)
        as_stored = not self._changed and not self._defaulted.get(api_version)
        waiting: list[asyncio.Future[bytes] | bytes] = []
        asked: list[tuple[str, bytes]] = []
        for body in bodies:
            if as_stored and body.startswith(head):
                waiting.append(body)
                continue
            key = (api_version, body)
            known = self._memory.get((self, *key)) or self._under_way.get(key)
            if known is None:
                known = self._under_way[key] = asyncio.get_running_loop().create_future()
                asked.append(key)
            waiting.append(known)
        if asked:
            task = asyncio.create_task(self._answer(asked, api_version), name=f"conversion to {api_version}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return [each if isinstance(each, bytes) else await asyncio.shield(each) for each in waiting]

    async def stored(self, obj: Object) -> Object:
        (converted,) = await self._convert([obj], self._stored)
        return converted

    async def _answer(self, asked: list[tuple[str, bytes]], api_version: str) -> None:
        for batch in _batches(asked):
            try:
                objects = await self._convert([self._read(body) for _, body in batch], api_version)
                shown = [_encoded(obj) for obj in objects]
            except BaseException as error:
                failure = error if isinstance(error, StatusError) else StatusError(f"conversion failed: {error!r}")
                for key in batch:
                    future = self._under_way.pop(key)
                    future.set_exception(failure)
                    future.exception()  # whoever asked may have gone
                if not isinstance(error, Exception):
                    raise
            else:
                for key, body in zip(batch, shown, strict=True):
                    self._memory.put((self, *key), body, len(key[1]) + len(body))
                    self._under_way.pop(key).set_result(body)

    def _read(self, body: bytes) -> Object:
        """As it was stored, with the defaults of the version it was stored in."""
        obj: Object = orjson.loads(body)
        schema = self._schemas.get(obj["apiVersion"])
        if schema is not None:
            structural.drop_nulls(schema, obj)
            structural.default(schema, obj)
        return obj

    async def _convert(self, objects: list[Object], api_version: str) -> list[Object]:
        """Those of other versions by the webhook; all pruned by the version's schema. Raises StatusError."""
        others = [obj for obj in objects if obj["apiVersion"] != api_version]
        converted = iter(await self._ask(others, api_version)) if others else iter(())
        found = [obj if obj["apiVersion"] == api_version else next(converted) for obj in objects]
        for obj in found:
            structural.prune(self._schemas[api_version], obj)
        return found

    async def _ask(self, objects: list[Object], api_version: str) -> list[Object]:
        whose = f"conversion webhook for {objects[0]['apiVersion']}, Kind={self._kind}"
        uid = self._new_uid()
        try:
            version = review_version(self._understood)
            body = await self._call(self._client, question(objects, api_version, uid, version), TIMEOUT_S)
            came = answer(body, uid, version)
        except (CallFailed, BadConversion) as error:
            raise StatusError(f"{whose} failed: {error}") from error
        if len(came) != len(objects):
            raise StatusError(f"{whose} returned {len(came)} objects, expected {len(objects)}")
        found = []
        for index, (original, each) in enumerate(zip(objects, came, strict=True)):
            try:
                found.append(accepted(original, each, api_version))
            except UnfitObject as error:
                place = _PLACES[error.what][len(objects) > 1].format(index)
                raise StatusError(f"{whose} returned invalid {place}: {error}") from error
        return found


def _head(kind: str, api_version: str) -> bytes:
    return orjson.dumps({"kind": kind, "apiVersion": api_version})[:-1] + b","


def _encoded(obj: Object) -> bytes:
    first = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": obj["metadata"]}
    return orjson.dumps({**first, **obj})


def _batches(asked: list[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    found: list[list[tuple[str, bytes]]] = []
    size = BATCH_BYTES
    for key in asked:
        if size >= BATCH_BYTES or len(found[-1]) >= BATCH_OBJECTS:
            found.append([])
            size = 0
        found[-1].append(key)
        size += len(key[1])
    return found
