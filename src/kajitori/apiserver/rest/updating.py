"""Update and patch share one path: read, change, validate, compare and swap; again from the newest after a conflict."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kajitori.api.errors import BadRequest, Conflict, Invalid, StatusError
from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object
from kajitori.api.patch import managed_fields
from kajitori.api.patch.configuration import untyped
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.apiserver.documents import key_in_store, stored_resource, with_revision
from kajitori.apiserver.http_types import RequestContext, WriteContext
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.apiserver.rest import converting, judged_again
from kajitori.apiserver.rest import metadata as object_meta
from kajitori.apiserver.rest.admitting import admit_mutating, admit_validating
from kajitori.apiserver.rest.backend import (
    Backend,
    Current,
    cached,
    confirm,
    newest,
    not_found,
    shown_bytes,
    stored_bytes,
)
from kajitori.apiserver.rest.creating import create_object
from kajitori.apiserver.rest.decoding import decode_object, shown_as_sent
from kajitori.apiserver.rest.options import WriteOptions, write_options
from kajitori.apiserver.rest.ownership import manager_of
from kajitori.apiserver.rest.scopes import prepare_part, scope_of
from kajitori.apiserver.rest.understood import tell_audit
from kajitori.kit.numbers import parse_unsigned
from kajitori.storage import interface as stores


@dataclass(frozen=True, slots=True)
class Facade:
    """What admission sees in the place of the object: a Scale. `take` writes what it says back into the object;
    `sent` is what the client wants, and `before` what there was, both with their managedFields."""

    kind: Resource
    show: Callable[[Object], Object]
    take: Callable[[Object, Object], None]
    sent: Callable[[], Object]
    before: Callable[[Object], Object]

    def put_up(self, request: AdmissionRequest, old: Object) -> None:
        """For mutation, which sees what was sent."""
        request.document, request.object, request.old = self.kind, self.sent(), self.before(old)

    def put_down(self, request: AdmissionRequest, new: Object, old: Object) -> None:
        """For validation, which sees what will be."""
        request.object, request.old = self.show(new), self.show(old)


@dataclass(frozen=True, slots=True)
class Change:
    """What a request does to an object. `edit` makes of the current one (a private copy, with its resourceVersion) the
    wanted one; it is pure, because large ones are worked on in another thread, and raises StatusError. `manager` owns
    the fields that it changes; None where `edit` says the owners itself."""

    edit: Callable[[Object], Object]
    options: WriteOptions
    manager: str | None
    subresource: str = ""
    facade: Facade | None = None


PATCH_ATTEMPTS = 100
"""A write without a resourceVersion is tried again after each conflict, and each means that another got through."""

_CREATE_ON_UPDATE = {
    ("", "endpoints"),
    ("", "events"),
    ("", "limitranges"),
    ("", "services"),
    ("events.k8s.io", "events"),
    ("coordination.k8s.io", "leases"),
    ("node.k8s.io", "runtimeclasses"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
}
"""Kinds whose PUT creates what does not exist."""

_ADMISSION = (
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
)
_CONDITIONAL = frozenset(
    (
        *(("admissionregistration.k8s.io", plural) for plural in _ADMISSION),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apiregistration.k8s.io", "apiservices"),
        ("coordination.k8s.io", "leases"),
        ("node.k8s.io", "runtimeclasses"),
        ("policy", "poddisruptionbudgets"),
        *(("storage.k8s.io", plural) for plural in ("csidrivers", "csinodes", "csistoragecapacities")),
        ("storage.k8s.io", "volumeattachments"),
    )
)
"""Kinds whose PUT must bring the resourceVersion that it replaces; custom resources are, too."""


async def update(backend: Backend, context: RequestContext) -> tuple[int, bytes]:
    """PUT of an object or of a part of it."""
    resource, subresource = context.resource, context.attributes.subresource
    assert resource is not None
    options = write_options(context.query, "UpdateOptions")
    decode = backend.aside.run(len(context.body), decode_object, resource, context, options.field_validation)
    obj = await decode
    tell_audit(resource, context, obj, resource.default)
    check_url(resource, obj["metadata"], context)

    manager = manager_of(context, options.manager)
    try:
        body = await change_object(
            backend, resource, context, Change(lambda current: obj, options, manager, subresource)
        )
    except StatusError as error:
        creates = (resource.group, resource.plural) in _CREATE_ON_UPDATE and not subresource
        if error.code != 404 or not creates:
            raise
        if uid := obj["metadata"].get("uid"):
            raise uid_differs(resource, context.namespace, context.name, uid, "", dry_run=options.dry_run) from None
        obj["metadata"].pop("resourceVersion", None)
        return 201, await create_object(backend, resource, obj, context, options, manager)
    return 200, body


def check_url(resource: Resource, metadata: Object, context: RequestContext) -> None:
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if resource.namespaced and namespace and namespace != context.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if not name:
        raise BadRequest(
            f"the name of the object ({context.name} based on URL) was undeterminable: name must be provided"
        )
    if name != context.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({context.name})")


async def change_object(backend: Backend, resource: Resource, context: RequestContext, change: Change) -> bytes:
    """The answer's bytes. Begins with the cached state: when that proves stale, the store's own is taken."""
    namespace = context.namespace if resource.namespaced else ""
    current, fresh = cached(backend, resource, namespace, context.name), False
    for _ in range(PATCH_ATTEMPTS):
        if current is None:
            current, fresh = await newest(backend, resource, namespace, context.name), True
            if current is None:
                raise not_found(resource, context.name)
        if resource.conversion is not None:
            current = await converting.current_in_version(resource, current)
        try:
            return await _attempt(backend, resource, context, current, change)
        except stores.Conflict as conflict:
            record = conflict.current
            current = Current(with_revision(record.value, record.modified), record.modified) if record else None
            fresh = True
            if record is None:
                raise not_found(resource, context.name) from None
        except StatusError:
            if fresh:
                raise
            now = await newest(backend, resource, namespace, context.name)
            if now is not None and now.revision == current.revision:
                raise
            current, fresh = now, True
            if now is None:
                raise not_found(resource, context.name) from None
    raise Conflict.modified(resource.group, resource.plural, context.name)


async def _attempt(
    backend: Backend, resource: Resource, context: RequestContext, current: Current, change: Change
) -> bytes:
    options, subresource, facade = change.options, change.subresource, change.facade
    size, aside = max(len(context.body), len(current.body)) + resource.weight_bytes, backend.aside
    old = current.decode(resource)
    wanted = await aside.run(size, change.edit, current.decode(resource))
    wanted = {**wanted, "metadata": {**wanted["metadata"]}}
    if (uid := wanted["metadata"].get("uid")) and uid != old["metadata"]["uid"]:
        actual = old["metadata"]["uid"]
        raise uid_differs(resource, context.namespace, context.name, uid, actual, dry_run=options.dry_run)
    if resource.namespaced and not wanted["metadata"].get("namespace"):
        wanted["metadata"]["namespace"] = context.namespace
    if resource.default is not None:
        await aside.run(size, resource.default, wanted)
    request = AdmissionRequest(
        user=context.user,
        operation=Operation.UPDATE,
        resource=resource,
        namespace=old["metadata"].get("namespace", ""),
        name=old["metadata"]["name"],
        object=wanted,
        old=old,
        subresource=subresource,
        dry_run=options.dry_run,
        options=options.document("UpdateOptions"),
        warnings=context.warnings,
        annotations=context.annotations,
        timeout=context.query.get("timeout"),
    )
    now = timestamp(backend.clock.now())
    if change.manager is not None:  # before what the endpoint puts back and admission changes: that is nobody's
        await aside.run(size, _track, resource, wanted, old, change.manager, now, subresource)
    if facade is not None:
        facade.put_up(request, old)
    await admit_mutating(backend, request)  # sees what was sent: what the endpoint puts back comes later
    assert request.object is not None
    if facade is None:
        wanted = request.object
    else:
        facade.take(request.object, wanted)
    if resource.namespaced and (wanted["metadata"].get("namespace") or context.namespace) != context.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    check_resource_version(resource, wanted["metadata"], old["metadata"])
    new = settle(resource, wanted, old, subresource, now)
    await aside.attempt(size, check_update, resource, new, old, subresource, context)
    if resource.warnings is not None and not subresource:
        context.warnings += resource.warnings(new, old)
    if facade is None:
        request.object = new
    else:
        facade.put_down(request, new, old)
    await admit_validating(backend, request)
    return await commit(backend, resource, new, old, current, WriteContext(context.user, options.dry_run, subresource))


def check_resource_version(resource: Resource, wanted: Object, old: Object) -> None:
    """One that is given must be the current one; "0" is none, as upstream counts."""
    version = wanted.get("resourceVersion")
    if version == old["resourceVersion"]:
        return
    if version and _revision(version):
        raise Conflict.modified(resource.group, resource.plural, old["name"])
    if resource.schema is not None or (resource.group, resource.plural) in _CONDITIONAL:
        error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise Invalid.of(resource.group, resource.plural, old["name"], [error])


def _revision(version: str) -> int:
    try:
        return parse_unsigned(version)
    except ValueError as error:
        raise StatusError(str(error)) from None


_STORED_ELSEWHERE = {
    "endpoints": "services/endpoints",
    "ingresses": "ingress",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}
_STORED_BY_GROUP = ("apiextensions.k8s.io", "apiregistration.k8s.io")


def uid_differs(
    resource: Resource, namespace: str, name: str, wanted: str, actual: str, *, dry_run: bool = False
) -> Conflict:
    """Another object of this name. The message has upstream's keys, without their root in a dry run."""
    place = _STORED_ELSEWHERE.get(resource.plural, resource.plural)
    if resource.schema is not None or resource.group in _STORED_BY_GROUP:
        place = f"{resource.group}/{place}"
    key = "/".join(["" if dry_run else "/registry", place, *([namespace] if resource.namespaced else []), name])
    why = (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}"
    )
    return Conflict.of(resource.group, resource.plural, name, why)


def precondition_failed(resource: Resource, name: str, what: str, wanted: str, actual: str) -> Conflict:
    why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}"
    return Conflict.of(resource.group, resource.plural, name, why)


def settle(resource: Resource, wanted: Object, old: Object, subresource: str, now: str) -> Object:
    """What this endpoint may change of `old`, and what only the server says. `now` is a timestamp."""
    object_meta.keep_server_fields(wanted, old)
    metadata = wanted["metadata"]
    metadata.setdefault("name", old["metadata"]["name"])
    if resource.namespaced:
        metadata.setdefault("namespace", old["metadata"]["namespace"])
    else:
        metadata.pop("namespace", None)
    metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
    merge = scope_of(resource, subresource)
    assert merge is not None, f"{subresource} is not a part of {resource.plural}"
    new = merge(wanted, old)
    if new["metadata"] is not metadata:
        new = {**new, "metadata": {**new["metadata"], "managedFields": metadata.get("managedFields")}}
        if new["metadata"]["managedFields"] is None:
            del new["metadata"]["managedFields"]
        if subresource == "status" and resource.schema is None:
            new["metadata"] |= object_meta.said_of_deletion(metadata)
    if resource.prepare_update is not None and not subresource:
        resource.prepare_update(new, old)
    of_pod = subresource == "status" and (resource.group, resource.plural) == ("", "pods")
    if of_pod and "deletionTimestamp" not in old["metadata"]:
        new["metadata"].pop("deletionTimestamp", None)
    if subresource:
        prepare_part(resource, subresource, new, old, now)
    if resource.counts_generation and subresource != "status" and _counts(resource, new, old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    return new


def _track(resource: Resource, wanted: Object, old: Object, manager: str, now: str, subresource: str) -> None:
    if resource.schema is not None and (untyped(resource, wanted) or untyped(resource, old)):
        wanted["metadata"].pop("managedFields", None)
    else:
        managed_fields.update(resource, wanted, old, manager, now, subresource)


def _counts(resource: Resource, new: Object, old: Object) -> bool:
    if _spec_changed(new, old, _identical if resource.schema is not None else _same):
        return True
    if (
        resource.schema is not None
        and not resource.has_subresource("status")
        and new.get("status") != old.get("status")
    ):
        return True  # to a kind without the subresource, its status is a field like any other
    before, after = old["metadata"].get("annotations"), new["metadata"].get("annotations")
    return resource.counts_annotations and (after or {}) != (before or {})


def _spec_changed(new: Object, old: Object, same: Callable[[Any, Any], bool]) -> bool:
    if not same(new.get("spec"), old.get("spec")):
        return True
    apart = ("metadata", "status", "spec", "kind", "apiVersion")
    return any(not same(new.get(key), old.get(key)) for key in {*new, *old} if key not in apart)


def _same(new: Any, old: Any) -> bool:
    """Equal as far as meaning goes: what is empty is as good as absent."""
    if new == old:
        return True
    if isinstance(new, dict) and isinstance(old, dict):
        return all(_same(new.get(key), old.get(key)) for key in {*new, *old})
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(_same(*pair) for pair in zip(new, old, strict=True))
    return new in (None, [], {}) and old in (None, [], {})


def _identical(new: Any, old: Any) -> bool:
    """Equal and of the same types: 1.0 is not 1, and neither is true."""
    if type(new) is not type(old):
        return False
    if isinstance(new, dict):
        return new.keys() == old.keys() and all(_identical(item, old[key]) for key, item in new.items())
    if isinstance(new, list):
        return len(new) == len(old) and all(map(_identical, new, old))
    return bool(new == old)


_CHANGES_FIRST = {
    ("", "configmaps"),
    ("", "secrets"),
    ("apps", "daemonsets"),
    ("networking.k8s.io", "ingressclasses"),
    ("resource.k8s.io", "resourceslices"),
    ("storage.k8s.io", "volumeattributesclasses"),
}
"""Kinds of whose update the forbidden changes are told before what is wrong with the object as it would be."""


def _own_errors(resource: Resource, new: Object, old: Object) -> list[FieldError]:
    if resource.revalidate is not None:
        return resource.revalidate(new, old)
    return resource.validate(new) if resource.validate is not None else []


def check_update(
    resource: Resource, new: Object, old: Object, subresource: str = "", context: RequestContext | None = None
) -> None:
    """`context` is of the request that the change came by."""
    errors = object_meta.validate(resource, new["metadata"])
    errors += object_meta.validate_update(resource, new["metadata"], old["metadata"])
    if errors:
        errors = judged_again.each_time(resource, errors, subresource)
    own, changes = _own_errors(resource, new, old), []
    if (validate_update := resource.validate_update_of(subresource)) is not None:
        changes = validate_update(new, old)
    first = (resource.group, resource.plural) in _CHANGES_FIRST
    errors += [*changes, *own] if first else [*own, *changes]
    if errors:
        if context is not None and any(error.value is None for error in errors):
            errors = shown_as_sent(errors, context)
        raise Invalid.of(stored_resource(resource).group, resource.kind, old["metadata"]["name"], errors)


def may_go(resource: Resource, obj: Object) -> bool:
    """An object that is being deleted goes when nothing holds it any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if (resource.group, resource.plural) == ("", "namespaces") and (obj.get("spec") or {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


async def commit(
    backend: Backend, resource: Resource, new: Object, old: Object, current: Current, write: WriteContext
) -> bytes:
    """Run the hooks and swap. Raises storage's Conflict. What changes nothing is not written."""
    hooks = backend.hooks_of(resource)
    metadata = new["metadata"]
    key = key_in_store(resource, metadata.get("namespace", ""), metadata["name"])
    ready, committed = 0, False
    try:
        for hook in hooks:
            ready += 1
            await hook.before_update(new, old, write)
        if resource.conversion is not None:
            value = await converting.value_to_store(resource, new)
            if converting.same_document(value, current) or write.dry_run:
                await confirm(backend, resource, metadata.get("namespace", ""), metadata["name"], current.revision)
                return await converting.shown_value(resource, value, current.revision)
        else:
            value = stored_bytes(resource, new)
            same = with_revision(value, current.revision) == current.body and key not in backend.stale
            if same or write.dry_run:
                await confirm(backend, resource, metadata.get("namespace", ""), metadata["name"], current.revision)
                return shown_bytes(resource, value, current.revision, new)
        if may_go(resource, new):
            revision = await backend.storage.commit(stores.Delete(key), expect=current.revision)
            gone = True
        else:
            revision = await backend.storage.commit(stores.Put(key, value), expect=current.revision)
            gone = False
        committed = True
    finally:
        if not committed:
            for hook in hooks[:ready]:
                hook.rollback(new)
    for hook in hooks:
        if gone:
            hook.after_delete(new)
        else:
            hook.after_update(new, old)
    if resource.conversion is not None:
        return await converting.shown_value(resource, value, revision)
    return shown_bytes(resource, value, revision, new)
