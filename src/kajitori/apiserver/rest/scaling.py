"""The scale subresource: autoscaling/v1 Scale as a view of any kind that says where its replicas are."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from kajitori.api.columns import workloads
from kajitori.api.errors import BadRequest, Conflict, InternalError, Invalid, NotFound, StatusError
from kajitori.api.field_errors import invalid
from kajitori.api.meta import Object
from kajitori.api.patch import apply, managed_fields, scale_fields
from kajitori.api.patch.configuration import check_configuration
from kajitori.api.resource import Resource, ScalePaths
from kajitori.api.selectors import from_label_selector, from_label_set
from kajitori.api.times import timestamp
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import accepted
from kajitori.apiserver.rest.backend import Backend
from kajitori.apiserver.rest.decoding import decode_object
from kajitori.apiserver.rest.options import WriteOptions, patch_options, write_options
from kajitori.apiserver.rest.ownership import manager_of
from kajitori.apiserver.rest.patch_documents import APPLY_PATCH, decode_patch, media_of_patch
from kajitori.apiserver.rest.patching import check_name, result_of_patch
from kajitori.apiserver.rest.reading import read_object
from kajitori.apiserver.rest.rendering import object_response
from kajitori.apiserver.rest.understood import tell_audit
from kajitori.apiserver.rest.updating import Change, Facade, change_object, check_url

_DEFINITION = "io.k8s.api.autoscaling.v1.Scale"
_EMPTY = "cannot be empty"
_NOT_SET = -(2**31)
"""Replicas that nobody has said, while a patch is applied."""
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")

SCALE = Resource(
    group="autoscaling",
    version="v1",
    kind="Scale",
    plural="scales",
    definition=_DEFINITION,
    columns=workloads.SCALE,
)
"""Not served by itself: how a scale is decoded and shown."""
_CUSTOM_SCALE = replace(SCALE, columns=())


def _at(obj: Any, path: str) -> Any:
    for part in path.strip(".").split("."):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(part)
    return obj


def _with(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value


def selector_text(selector: Any) -> str:
    """A label selector as one string: metav1.LabelSelector, a plain map, or a string already."""
    if not selector:
        return ""
    if isinstance(selector, str):
        return selector
    if "matchLabels" in selector or "matchExpressions" in selector:
        return str(from_label_selector(selector))
    return str(from_label_set(selector))


def scale_of(paths: ScalePaths, obj: Object) -> Object:
    metadata = {field: obj["metadata"][field] for field in _METADATA if field in obj["metadata"]}
    status: Object = {"replicas": _at(obj, paths.status_replicas) or 0}
    if selector := selector_text(_at(obj, paths.selector)):
        status["selector"] = selector
    replicas = _at(obj, paths.spec_replicas)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": replicas} if replicas else {},  # none are not said
        "status": status,
    }


def _paths(resource: Resource) -> ScalePaths:
    if resource.scale is None:
        raise NotFound("the server could not find the requested resource")
    return resource.scale


async def get_scale(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    paths, obj = _paths(resource), await read_object(backend, context)
    if resource.schema is not None and _at(obj, paths.spec_replicas) is None:
        raise _no_replicas(paths, "does not exist")
    return _shown(backend, context, scale_of(paths, obj))


def _no_replicas(paths: ScalePaths, why: str) -> StatusError:
    """A custom object that has said nothing of replicas has no scale until it is given one."""
    message = f'the spec replicas field ".{paths.spec_replicas.strip(".")}" {why}'
    if why == _EMPTY:
        return BadRequest(message)
    return InternalError.of(message)


def _shown(backend: Backend, context: RequestContext, scale: Object) -> Response:
    """In the form that the client asked for."""
    kind = SCALE if context.resource is None or context.resource.schema is None else _CUSTOM_SCALE
    accept = accepted(context.headers.get("accept", ""))
    include = context.query.get("includeObject", "Metadata")
    return object_response(kind, orjson.dumps(scale), accept, backend.clock.now(), include=include)


def _decode_for_custom_object(kind: Resource, context: RequestContext, validation: str) -> Object:
    """Upstream's handler of custom objects does not know by what name to call what it could not read."""
    try:
        return decode_object(kind, context, validation)
    except BadRequest:
        scheme = "k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go:781"
        raise BadRequest(f'no kind is registered for the type v1.Scale in scheme "{scheme}"') from None


async def put_scale(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    paths = _paths(resource)
    options = write_options(context.query, "UpdateOptions")
    decode = decode_object if resource.schema is None else _decode_for_custom_object
    document = await backend.aside.run(len(context.body), decode, SCALE, context, options.field_validation)
    tell_audit(SCALE, context, {**document, "status": document.get("status") or {"replicas": 0}})
    check_url(SCALE, document["metadata"], context)
    manager = manager_of(context, options.manager)

    def put(scale: Object) -> Object:
        wanted: Object = orjson.loads(orjson.dumps(document))
        managed_fields.update(SCALE, wanted, scale, manager, timestamp(backend.clock.now()), "scale")
        return wanted

    return await _write(backend, context, resource, paths, put, options)


async def patch_scale(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    paths = _paths(resource)
    media = media_of_patch(resource, context)
    options = patch_options(context.query, apply=media == APPLY_PATCH)
    document = await backend.aside.run(len(context.body), decode_patch, media, context.body)
    manager = manager_of(context, options.manager)

    def patch(scale: Object) -> Object:
        now = timestamp(backend.clock.now())
        if media == APPLY_PATCH:
            config = check_configuration(SCALE, orjson.loads(orjson.dumps(document)))
            check_name(config.get("metadata") or {}, context)
            return apply.apply(SCALE, scale, config, options.manager, now, force=options.force, subresource="scale")
        wanted = result_of_patch(SCALE, media, scale, document, options, context)
        managed_fields.update(SCALE, wanted, scale, manager, now, "scale")
        return wanted

    return await _write(backend, context, resource, paths, patch, options)


def _check(resource: Resource, scale: Object, current: Object) -> None:
    metadata, before = scale["metadata"], current["metadata"]
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0 and resource.schema is None:  # a custom object is judged as a whole
        error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise Invalid.of("autoscaling", "Scale", before["name"], [error])
    if (uid := metadata.get("uid")) and uid != before["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
        raise Conflict.of(resource.group, f"{resource.plural}/scale", before["name"], why)


async def _write(
    backend: Backend,
    context: RequestContext,
    resource: Resource,
    paths: ScalePaths,
    wanted: Callable[[Object], Object],
    options: WriteOptions,
) -> Response:
    """`wanted` makes of the Scale, with the managedFields that concern it, another."""

    sent: list[Object] = []

    def before(current: Object) -> Object:
        scale = scale_of(paths, current)
        owners = current["metadata"].get("managedFields")
        if fields := scale_fields.to_scale(resource, paths.spec_replicas, owners):
            scale["metadata"]["managedFields"] = fields
        return scale

    def edit(current: Object) -> Object:
        scale, metadata = before(current), current["metadata"]
        unsaid = resource.schema is not None and _at(current, paths.spec_replicas) is None
        if unsaid:
            scale["spec"]["replicas"] = _NOT_SET
        new = wanted(scale)
        if unsaid and (new.get("spec") or {}).get("replicas") == _NOT_SET:
            raise _no_replicas(paths, _EMPTY)
        _check(resource, new, current)
        sent[:] = [new]
        metadata["resourceVersion"] = new["metadata"].get("resourceVersion") or metadata["resourceVersion"]
        _with(current, paths.spec_replicas, (new.get("spec") or {}).get("replicas") or 0)
        # Of a custom resource whoever scales only takes the replicas from who had them: upstream knows no type for it.
        owners = new["metadata"].get("managedFields") if resource.schema is None else None
        scale_fields.to_parent(resource, paths.spec_replicas, current, owners)
        return current

    facade = Facade(
        SCALE,
        lambda obj: scale_of(paths, obj),
        lambda scale, obj: _with(obj, paths.spec_replicas, (scale.get("spec") or {}).get("replicas", 0)),
        lambda: sent[0],
        before,
    )
    body = await change_object(backend, resource, context, Change(edit, options, None, "scale", facade))
    return _shown(backend, context, scale_of(paths, orjson.loads(body)))
