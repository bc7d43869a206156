"""Delete: at once, after a grace period (pods), or when the last finalizer has gone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import orjson

from kajitori.api.deletions import SHOWS_DELETED
from kajitori.api.errors import Conflict, Forbidden, NotFound, StatusError
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import key_in_store, stored_resource, with_revision
from kajitori.apiserver.http_types import RequestContext, WriteContext
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.apiserver.rest import converting
from kajitori.apiserver.rest.admitting import admit_validating
from kajitori.apiserver.rest.backend import (
    Backend,
    Current,
    cached,
    confirm,
    in_version,
    newest,
    not_found,
    shown_bytes,
    stored_bytes,
)
from kajitori.apiserver.rest.deletion_options import DeleteOptions
from kajitori.apiserver.rest.marking import mark
from kajitori.apiserver.rest.updating import precondition_failed
from kajitori.storage import interface as stores

_SYSTEM_CLASSES = ("system-node-critical", "system-cluster-critical")
_JOB_KEEPS_PODS = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)
PARALLEL_DELETES = 16


Admit = Callable[[Object], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deleted:
    """`body` is the object as it was or as it is now; `gone` says which."""

    body: bytes
    gone: bool


@dataclass(frozen=True, slots=True)
class Deletion:
    """Of one object. `admit`, of what is there, where a request asks for it and not the server itself."""

    resource: Resource
    namespace: str
    name: str
    options: DeleteOptions
    write: WriteContext
    admit: Admit | None = None


async def delete(backend: Backend, context: RequestContext, options: DeleteOptions) -> Deleted:
    """With admission. Raises NotFound, Conflict for a precondition that does not hold."""
    resource = context.resource
    assert resource is not None
    namespace = context.namespace if resource.namespaced else ""
    one = context.attributes.verb == "delete"
    if resource.plural == "priorityclasses" and context.name in _SYSTEM_CLASSES and one:
        why = "this is a system priority class and cannot be deleted"
        details = {"name": context.name, "group": resource.group, "kind": resource.plural}
        raise Forbidden(f'{resource.qualified_name} "{context.name}" is forbidden: {why}', details)
    if one:
        warn_of_kept_pods(resource, context, options)

    async def admit(old: Object) -> None:
        asked = options.document()
        if (resource.group, resource.plural) in _CHECKED_APART:  # that very object, not one that takes its place
            asked["preconditions"] = {"uid": old["metadata"]["uid"], **asked.get("preconditions", {})}
        request = AdmissionRequest(
            user=context.user,
            operation=Operation.DELETE,
            resource=resource,
            namespace=namespace,
            name=context.name if one else "",  # a request for all of a collection names none
            object=None,
            old=old,
            dry_run=options.dry_run,
            options=asked,
            warnings=context.warnings,
            annotations=context.annotations,
            timeout=context.query.get("timeout"),
        )
        for plugin in backend.admission:
            await plugin.mutate(request)
        await admit_validating(backend, request)

    write = WriteContext(context.user, options.dry_run)
    return await delete_object(backend, Deletion(resource, namespace, context.name, options, write, admit))


def warn_of_kept_pods(resource: Resource, context: RequestContext, options: DeleteOptions) -> None:
    """Once, however many jobs there are to delete."""
    if not options.policy and (resource.group, resource.plural) == ("batch", "jobs"):
        context.warnings.append(_JOB_KEEPS_PODS)


async def delete_object(backend: Backend, deletion: Deletion) -> Deleted:
    """As the DELETE verb does, with or without admission.

    Begins with the cached state, which the store's compare-and-swap proves; for a refusal that may rest on an old state
    and for an outcome that writes nothing, the store itself is asked.
    """
    resource, namespace, name = deletion.resource, deletion.namespace, deletion.name
    fresh = backend.cache.is_caught_up
    current = cached(backend, resource, namespace, name)
    while True:
        if current is None and not fresh:
            current, fresh = await newest(backend, resource, namespace, name), True
        if current is None:
            raise not_found(resource, name)
        try:
            return await _attempt(backend, deletion, current)
        except stores.Conflict as conflict:
            record = conflict.current
            current = Current(with_revision(record.value, record.modified), record.modified) if record else None
            fresh = True
        except StatusError:
            if fresh:
                raise
            now = await newest(backend, resource, namespace, name)
            if now is not None and now.revision == current.revision:
                raise
            current, fresh = now, True


async def _attempt(backend: Backend, deletion: Deletion, current: Current) -> Deleted:
    """With `current` as the newest state. Raises storage's Conflict when it is not."""
    resource, options, write = deletion.resource, deletion.options, deletion.write
    converts = resource.conversion is not None
    if converts:
        current = await converting.current_in_version(resource, current)
    old = current.decode(resource)
    _check_preconditions(resource, old["metadata"], options)
    if deletion.admit is not None:
        await deletion.admit(old)
    marked, stays = mark(resource, old, options, backend.clock.now())
    hooks = backend.hooks_of(resource)
    for hook in hooks:
        await hook.before_delete(old, write)
    key = key_in_store(resource, deletion.namespace, deletion.name)
    if not stays:
        if write.dry_run:
            await confirm(backend, resource, deletion.namespace, deletion.name, current.revision)
            return Deleted(orjson.dumps(marked), True)
        revision = await backend.storage.commit(stores.Delete(key), expect=current.revision)
        for hook in hooks:
            hook.after_delete(old)
        marked["metadata"]["resourceVersion"] = str(revision)
        return Deleted(orjson.dumps(marked), True)
    if converts:
        marked["metadata"] = {**marked["metadata"]}
        value = await converting.value_to_store(resource, marked)
    else:
        value = stored_bytes(resource, marked)

    async def shown(revision: int) -> Deleted:
        if converts:
            return Deleted(await converting.shown_value(resource, value, revision), False)
        return Deleted(shown_bytes(resource, value, revision, marked), False)

    if with_revision(value, current.revision) == current.body or write.dry_run:
        await confirm(backend, resource, deletion.namespace, deletion.name, current.revision)
        return await shown(current.revision)
    revision = await backend.storage.commit(stores.Put(key, value), expect=current.revision)
    for hook in hooks:
        hook.after_update(marked, old)
    return await shown(revision)


_CHECKED_APART = (("", "namespaces"), ("apiextensions.k8s.io", "customresourcedefinitions"))
"""Kinds with a deletion of their own upstream, whose words differ."""


def _check_preconditions(resource: Resource, metadata: Object, options: DeleteOptions) -> None:
    for what, wanted, actual, perhaps in (
        ("UID", options.uid, metadata["uid"], "deleted and then recreated"),
        ("ResourceVersion", options.resource_version, metadata["resourceVersion"], "modified"),
    ):
        if wanted is None or wanted == actual:
            continue
        if (resource.group, resource.plural) in _CHECKED_APART:
            raise precondition_failed(resource, metadata["name"], what, wanted, actual)
        why = f"the {what} in the precondition ({wanted}) does not match the {what} in record ({actual})."
        raise Conflict.of(
            stored_resource(resource).group,
            resource.kind,
            metadata["name"],
            f"{why} The object might have been {perhaps}",
        )


def deletion_status(resource: Resource, body: bytes) -> Object:
    """What a deletion answers that does not show the object."""
    metadata = orjson.loads(body)["metadata"]
    details = {"name": metadata["name"], "group": resource.group, "kind": resource.plural, "uid": metadata["uid"]}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def shows_object(resource: Resource, deleted: Deleted) -> bool:
    return not deleted.gone or (resource.group, resource.plural) in SHOWS_DELETED


async def delete_collection(
    backend: Backend, context: RequestContext, bodies: list[bytes], options: DeleteOptions
) -> None:
    """Each object as a DELETE of its own; what has gone meanwhile is no error. After a refusal none is begun."""
    resource = context.resource
    assert resource is not None
    room = asyncio.Semaphore(PARALLEL_DELETES)
    warn_of_kept_pods(resource, context, options)
    refused = False

    async def one(body: bytes) -> None:
        nonlocal refused
        metadata = in_version(resource, orjson.loads(body))["metadata"]
        attributes = _renamed(context, metadata["name"], metadata.get("namespace", ""))
        async with room:
            if refused:
                return
            try:
                await delete(backend, attributes, options)
            except NotFound:
                pass
            except BaseException:
                refused = True
                raise

    for outcome in await asyncio.gather(*(one(body) for body in bodies), return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _renamed(context: RequestContext, name: str, namespace: str) -> RequestContext:
    attributes = replace(context.attributes, name=name, namespace=namespace)
    return RequestContext(context.request, context.user, attributes, context.resource, context.warnings)
