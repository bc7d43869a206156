"""Create: decode, default, admit, fill in, validate, store."""

import orjson

from kajitori.api.errors import AlreadyExists, BadRequest, Invalid, StatusError
from kajitori.api.meta import Object
from kajitori.api.patch import managed_fields
from kajitori.api.patch.configuration import untyped
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.apiserver.documents import key_in_store, stored_resource
from kajitori.apiserver.http_types import RequestContext, WriteContext
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.apiserver.rest import converting
from kajitori.apiserver.rest import metadata as object_meta
from kajitori.apiserver.rest.admitting import admit_mutating, admit_validating
from kajitori.apiserver.rest.backend import Backend, shown_bytes, stored_bytes
from kajitori.apiserver.rest.decoding import decode_object, shown_as_sent
from kajitori.apiserver.rest.options import WriteOptions, write_options
from kajitori.apiserver.rest.ownership import manager_of
from kajitori.apiserver.rest.understood import tell_audit
from kajitori.kit.numbers import unsigned
from kajitori.storage.interface import ABSENT, Conflict, Put, Record

NAME_ATTEMPTS = 8
"""How often a generated name that is taken is replaced by another."""

_NAMED_BY_THE_SERVER = {("", "limitranges")}
"""Kinds that get a name when the client gives none."""

_STATUS_AT_CREATION = {("", "nodes")}
"""A kubelet registers its node with its status; of every other kind a create says only the spec."""


async def create(backend: Backend, context: RequestContext) -> bytes:
    """The answer's bytes (201)."""
    assert context.resource is not None
    resource = context.resource
    options = write_options(context.query)
    decode = backend.aside.run(len(context.body), decode_object, resource, context, options.field_validation)
    obj = await decode
    tell_audit(resource, context, obj, resource.default)
    return await create_object(backend, resource, obj, context, options, manager_of(context, options.manager))


async def create_object(
    backend: Backend,
    resource: Resource,
    obj: Object,
    context: RequestContext,
    options: WriteOptions,
    manager: str | None,
) -> bytes:
    """`manager` owns what the object says; None where it brings its managedFields."""
    namespace = context.namespace if resource.namespaced else ""
    _check_place(resource, obj["metadata"], namespace)
    if namespace:  # admission sees it, whether the client wrote it or not
        obj["metadata"]["namespace"] = namespace
    size, aside = len(context.body) + resource.weight_bytes, backend.aside
    if resource.default is not None:
        await aside.run(size, resource.default, obj)
    if manager is not None:
        await aside.run(size, _track, backend, resource, obj, manager)
    request = AdmissionRequest(
        user=context.user,
        operation=Operation.CREATE,
        resource=resource,
        namespace=namespace,
        name=obj["metadata"].get("name") or "",
        object=obj,
        dry_run=options.dry_run,
        options=options.document("CreateOptions"),
        warnings=context.warnings,
        annotations=context.annotations,
        timeout=context.query.get("timeout"),
    )
    await admit_mutating(backend, request)
    assert request.object is not None
    obj = request.object
    _check_place(resource, obj["metadata"], namespace)  # admission may have moved it
    revision = obj["metadata"].pop("resourceVersion", None) or "0"
    owned = obj["metadata"].get("managedFields")
    prepare(backend, resource, obj, namespace)
    if owned:
        obj["metadata"]["managedFields"] = owned
    generate = not obj["metadata"]["name"] and bool(obj["metadata"].get("generateName"))
    for attempt in range(NAME_ATTEMPTS):
        if generate:
            obj["metadata"]["name"] = object_meta.generated_name(obj["metadata"]["generateName"], backend.rng)
        if attempt == 0:
            await aside.attempt(size, check, resource, obj, context)
            if resource.warnings is not None:
                context.warnings += resource.warnings(obj, None)
            request.object, request.name = obj, request.name or obj["metadata"]["name"]
            await admit_validating(backend, request)
            if unsigned(revision):  # the store refuses it upstream, so everything else comes first
                raise StatusError("resourceVersion should not be set on objects to be created")
        try:
            return await store(backend, resource, obj, WriteContext(context.user, options.dry_run))
        except AlreadyExists:
            if not generate:
                raise
    raise AlreadyExists(
        f'{resource.qualified_name} "{obj["metadata"]["name"]}" already exists, the server was not able to generate a '
        "unique name for the object",
    )


def _track(backend: Backend, resource: Resource, obj: Object, manager: str) -> None:
    """What the client says and the defaults belong to the client; what admission and the server add is nobody's."""
    obj["metadata"].pop("managedFields", None)
    if resource.schema is not None and untyped(resource, obj):
        return
    managed_fields.update(resource, obj, None, manager, timestamp(backend.clock.now()))


def _check_place(resource: Resource, metadata: Object, namespace: str) -> None:
    given = metadata.get("namespace") or ""
    if given and given != namespace and resource.namespaced:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def prepare(backend: Backend, resource: Resource, obj: Object, namespace: str) -> None:
    """What only the server says about a new object."""
    obj["metadata"] = object_meta.fill_in(
        obj["metadata"], namespace, object_meta.new_uid(backend.rng), timestamp(backend.clock.now())
    )
    metadata = obj["metadata"]
    if (resource.group, resource.plural) in _NAMED_BY_THE_SERVER and not (
        metadata["name"] or metadata.get("generateName")
    ):
        metadata["name"] = object_meta.new_uid(backend.rng)
    if resource.has_subresource("status") and (resource.group, resource.plural) not in _STATUS_AT_CREATION:
        obj.pop("status", None)
    if resource.prepare_create is not None:
        resource.prepare_create(obj)
    if resource.counts_generation:
        obj["metadata"]["generation"] = 1


def check(resource: Resource, obj: Object, context: RequestContext | None = None) -> None:
    """`context` is of the request that the object came by."""
    errors = object_meta.validate(resource, obj["metadata"])
    if resource.validate is not None:
        errors += resource.validate(obj)
    if errors:
        if context is not None and any(error.value is None for error in errors):
            errors = shown_as_sent(errors, context)
        raise Invalid.of(stored_resource(resource).group, resource.kind, obj["metadata"].get("name", ""), errors)


def _taken(resource: Resource, name: str, record: Record | None) -> AlreadyExists:
    """The refusal of a name that `record` has."""
    refusal = AlreadyExists.of(resource.group, resource.plural, name)
    if record is not None and orjson.loads(record.value)["metadata"].get("deletionTimestamp"):
        return AlreadyExists(f"object is being deleted: {refusal.message}", refusal.details)
    return refusal


async def store(backend: Backend, resource: Resource, obj: Object, write: WriteContext) -> bytes:
    """Run the hooks and commit. Raises AlreadyExists."""
    metadata = obj["metadata"]
    hooks = backend.hooks_of(resource)
    ready = 0
    committed = False
    try:
        for hook in hooks:
            ready += 1
            await hook.before_create(obj, write)
        converts = resource.conversion is not None
        value = await converting.value_to_store(resource, obj) if converts else stored_bytes(resource, obj)
        key = key_in_store(resource, metadata.get("namespace", ""), metadata["name"])
        if write.dry_run:
            if (record := await backend.storage.read(key)) is not None:
                raise _taken(resource, metadata["name"], record)
            shown = (
                await converting.shown_value(resource, value, 0) if converts else shown_bytes(resource, value, 0, obj)
            )
            return shown.replace(b'"resourceVersion":"0",', b"", 1)
        try:
            revision = await backend.storage.commit(Put(key, value), expect=ABSENT)
        except Conflict as conflict:
            raise _taken(resource, metadata["name"], conflict.current) from None
        committed = True
    finally:
        if not committed:
            for hook in hooks[:ready]:
                hook.rollback(obj)
    for hook in hooks:
        hook.after_create(obj)
    if converts:
        return await converting.shown_value(resource, value, revision)
    return shown_bytes(resource, value, revision, obj)
