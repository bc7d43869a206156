"""The scale subresource: autoscaling/v1 Scale as a view of any kind that says where its replicas are."""

from dataclasses import replace
from typing import Any

import orjson

from kajitori.api.columns import workloads
from kajitori.api.errors import BadRequest, InternalError, Invalid, NotFound, StatusError
from kajitori.api.field_errors import invalid
from kajitori.api.meta import Object
from kajitori.api.patch import apply, refusals
from kajitori.api.patch.configuration import check_configuration
from kajitori.api.resource import Resource, ScalePaths
from kajitori.api.selectors import from_label_selector, from_label_set
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import accepted
from kajitori.apiserver.rest.backend import Backend
from kajitori.apiserver.rest.decoding import check_kind, conform_object, decode_object
from kajitori.apiserver.rest.options import WriteOptions, write_options
from kajitori.apiserver.rest.ownership import manager_of
from kajitori.apiserver.rest.patch_documents import APPLY_PATCH, decode_patch
from kajitori.apiserver.rest.patching import merged_patch
from kajitori.apiserver.rest.reading import read_object
from kajitori.apiserver.rest.rendering import object_response
from kajitori.apiserver.rest.updating import Change, Facade, change_object, check_preconditions

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
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": _at(obj, paths.spec_replicas) or 0},
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
    return InternalError(f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def _shown(backend: Backend, context: RequestContext, scale: Object) -> Response:
    """In the form that the client asked for."""
    kind = SCALE if context.resource is None or context.resource.schema is None else _CUSTOM_SCALE
    accept = accepted(context.headers.get("accept", ""))
    include = context.query.get("includeObject", "Metadata")
    return object_response(kind, orjson.dumps(scale), accept, backend.clock.now(), include=include)


async def put_scale(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    paths = _paths(resource)
    validation = write_options(context.query, "UpdateOptions").field_validation
    document = await backend.aside.run(len(context.body), decode_object, SCALE, context, validation)
    _check(document, context.name)
    return await _write(backend, context, resource, paths, document)


async def patch_scale(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    paths = _paths(resource)
    media = context.headers.get("content-type", "").partition(";")[0].strip().lower()
    document = await backend.aside.run(len(context.body), decode_patch, resource, media, context.body)
    if media == APPLY_PATCH:
        return await _apply(backend, context, resource, paths, document)
    return await _write(backend, context, resource, paths, document, media)


async def _apply(
    backend: Backend, context: RequestContext, resource: Resource, paths: ScalePaths, document: Any
) -> Response:
    """Server-side apply: the manager owns the replicas of the object itself, through this endpoint."""
    options = write_options(context.query, "PatchOptions")
    config = await backend.aside.run(len(context.body), check_configuration, SCALE, document)
    _check(config, context.name)
    said: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": context.name}}
    if (replicas := (config.get("spec") or {}).get("replicas")) is not None:
        _with(said, paths.spec_replicas, replicas)

    def change(current: Object) -> Object:
        force, no_time = options.force, ""  # upstream keeps none of what is applied here
        return apply.apply(resource, current, said, options.manager, no_time, force=force, subresource="scale")

    return await _changed(backend, context, resource, paths, change, options, options.manager, track_fields=False)


def _check(scale: Object, name: str) -> None:
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise Invalid.of("autoscaling", "Scale", name, [error])


async def _write(
    backend: Backend, context: RequestContext, resource: Resource, paths: ScalePaths, document: Any, media: str = ""
) -> Response:
    options = write_options(context.query, "UpdateOptions")

    def change(current: Object) -> Object:
        scale = document
        if media:
            scale = scale_of(paths, current)
            if resource.schema is not None and _at(current, paths.spec_replicas) is None:
                scale["spec"]["replicas"] = _NOT_SET
            scale = merged_patch(media, scale, document, _DEFINITION)
            typed = scale.get("kind") or SCALE.kind, scale.get("apiVersion") or SCALE.api_version
            if typed != (SCALE.kind, SCALE.api_version):
                raise refusals.bad_result(scale, refusals.not_registered(*typed))
            conform_object(SCALE, check_kind(SCALE, scale), options.field_validation, context.warnings)
            if (scale.get("spec") or {}).get("replicas") == _NOT_SET:
                raise _no_replicas(paths, _EMPTY)
            _check(scale, context.name)
        check_preconditions(resource, {**current["metadata"], **_given(scale)}, current["metadata"])
        _with(current, paths.spec_replicas, (scale.get("spec") or {}).get("replicas", 0))
        return current

    return await _changed(backend, context, resource, paths, change, options, manager_of(context, options.manager))


async def _changed(
    backend: Backend,
    context: RequestContext,
    resource: Resource,
    paths: ScalePaths,
    change: Change,
    options: WriteOptions,
    manager: str,
    *,
    track_fields: bool = True,
) -> Response:
    facade = Facade(
        SCALE,
        lambda obj: scale_of(paths, obj),
        lambda scale, obj: _with(obj, paths.spec_replicas, (scale.get("spec") or {}).get("replicas", 0)),
        owns=resource.schema is None,
    )
    body = await change_object(
        backend,
        resource,
        context,
        change,
        options,
        manager,
        subresource="scale",
        track_fields=track_fields,
        facade=facade,
    )
    return _shown(backend, context, scale_of(paths, orjson.loads(body)))


def _given(scale: Object) -> Object:
    metadata = scale.get("metadata") or {}
    return {field: metadata[field] for field in ("uid", "resourceVersion") if metadata.get(field)}
