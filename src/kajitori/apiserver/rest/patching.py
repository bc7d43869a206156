"""Patch: JSON patch, merge patch, strategic merge patch, server-side apply, each as a change of the newest state."""

from typing import Any

import orjson

from kajitori.api.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    InternalError,
    Invalid,
    NotFound,
    StatusError,
)
from kajitori.api.field_errors import invalid
from kajitori.api.meta import Object
from kajitori.api.patch import apply, json_patch, merge, refusals, strategic
from kajitori.api.patch.configuration import check_configuration
from kajitori.api.resource import Resource
from kajitori.api.schema import patch_messages
from kajitori.api.schema.decode_errors import Undecodable
from kajitori.api.times import timestamp
from kajitori.apiserver.http_types import RequestContext
from kajitori.apiserver.rest.backend import Backend
from kajitori.apiserver.rest.creating import create_object
from kajitori.apiserver.rest.decoding import Repeated, check_kind, conform_object
from kajitori.apiserver.rest.options import STRICT, WARN, WriteOptions, patch_options
from kajitori.apiserver.rest.ownership import manager_of
from kajitori.apiserver.rest.patch_documents import (
    APPLY_PATCH,
    JSON_PATCH,
    STRATEGIC_PATCH,
    decode_patch,
    media_of_patch,
)
from kajitori.apiserver.rest.updating import Change, change_object
from kajitori.apiserver.yaml_documents import repeated_keys
from kajitori.kit.numbers import parse_unsigned
from kajitori.kit.syntax_errors import literal

_APPLY_ATTEMPTS = 5
"""How often an object may come and go between being looked for and being created."""


async def patch(backend: Backend, context: RequestContext) -> tuple[int, bytes]:
    resource, subresource = context.resource, context.attributes.subresource
    assert resource is not None
    media = media_of_patch(resource, context)
    options = patch_options(context.query, apply=media == APPLY_PATCH)
    document = await backend.aside.run(len(context.body), decode_patch, media, context.body)
    if media == APPLY_PATCH:
        return await _apply_patch(backend, context, resource, document, options)
    manager = manager_of(context, options.manager)

    def edit(current: Object) -> Object:
        return patched(resource, media, current, document, options, context)

    return 200, await change_object(backend, resource, context, Change(edit, options, manager, subresource))


def _tell_repeated_keys(context: RequestContext, repeated: list[str], validation: str) -> None:
    """Upstream looks for them when what is left of the configuration could be applied."""
    if repeated and validation == STRICT:
        why = "\n  ".join(("error converting YAML to JSON: yaml: unmarshal errors:", *repeated))
        raise BadRequest(f"error strict decoding YAML: {why}")
    context.warnings += [line for line in repeated if line not in context.warnings]


async def _apply_patch(
    backend: Backend, context: RequestContext, resource: Resource, document: Any, options: WriteOptions
) -> tuple[int, bytes]:
    """Server-side apply: changes what exists, creates what does not."""
    size, subresource = len(context.body), context.attributes.subresource
    judged = options.field_validation in (STRICT, WARN)
    repeated = await backend.aside.run(size, repeated_keys, context.body) if judged else []

    def applied(live: Object | None) -> Object:
        config = check_configuration(resource, orjson.loads(orjson.dumps(document)))
        config["metadata"] = config.get("metadata") or {}
        now = timestamp(backend.clock.now())
        obj = apply.apply(resource, live, config, options.manager, now, force=options.force, subresource=subresource)
        _tell_repeated_keys(context, repeated, options.field_validation)
        _check_identity(resource, obj["metadata"], live, context)
        return obj

    for _ in range(_APPLY_ATTEMPTS):
        try:
            return 200, await change_object(backend, resource, context, Change(applied, options, None, subresource))
        except NotFound:
            if subresource:
                raise
            new = await backend.aside.run(size, applied, None)
            _check_revision(new["metadata"].pop("resourceVersion", None) or "0")
        try:
            return 201, await create_object(backend, resource, new, context, options, None)
        except AlreadyExists:
            continue
    raise Conflict.modified(resource.group, resource.plural, context.name)


def _check_revision(version: str) -> None:
    """Any that is one will do for what is new."""
    try:
        parse_unsigned(version)
    except ValueError as error:
        raise StatusError(str(error)) from None


def _check_identity(resource: Resource, metadata: Object, live: Object | None, context: RequestContext) -> None:
    """Of what was applied: whether it is the object that the path names. Raises Conflict, BadRequest, Invalid."""
    uid = metadata.get("uid")
    if uid and live is None:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise Conflict.of(resource.group, resource.plural, context.name, why)
    _check_namespace(resource, metadata, context)
    check_name(metadata, context)
    if live is not None:
        _check_uid(resource, metadata, live, context)


def _check_uid(resource: Resource, metadata: Object, current: Object, context: RequestContext) -> None:
    """What the patch was made for comes first."""
    uid, made_for = metadata.get("uid"), metadata.get("resourceVersion")
    if uid and uid != current["metadata"]["uid"]:
        if made_for and made_for != current["metadata"]["resourceVersion"]:
            raise Conflict.modified(resource.group, resource.plural, context.name)
        changed = invalid("metadata.uid", uid, "field is immutable")
        times = 1 if resource.schema is None else 2  # metadata of custom objects is judged with them once more
        raise Invalid.of(resource.group, resource.kind, context.name, [changed] * times)


def _check_namespace(resource: Resource, metadata: Object, context: RequestContext) -> None:
    given = metadata.get("namespace")
    if resource.namespaced and given and given != context.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def check_name(metadata: Object, context: RequestContext) -> None:
    name = metadata.get("name") or ""
    if not name:
        raise BadRequest(
            f"the name of the object ({context.name} based on URL) was undeterminable: name must be provided"
        )
    if name != context.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({context.name})")


def patched(
    resource: Resource, media: str, current: Object, document: Any, options: WriteOptions, context: RequestContext
) -> Object:
    """The object as the patch wants it, conforming to the schema."""
    wanted = result_of_patch(resource, media, current, document, options, context)
    if _is_custom_status(resource, context):  # of which only the status is taken
        wanted["metadata"]["uid"] = current["metadata"]["uid"]
    _check_uid(resource, wanted["metadata"], current, context)
    return wanted


def _is_custom_status(resource: Resource, context: RequestContext) -> bool:
    return resource.schema is not None and context.attributes.subresource == "status"


def result_of_patch(
    resource: Resource, media: str, current: Object, document: Any, options: WriteOptions, context: RequestContext
) -> Object:
    """What the patch makes of a document, if that is of its kind, conforms and stays at its place."""
    told = patch_messages(context.body, document) if options.field_validation in (STRICT, WARN) else []
    wanted = _apply(resource, media, current, document)
    if media == STRATEGIC_PATCH:  # merged by type: what the patch says of that means nothing
        wanted = {**wanted, "kind": resource.kind, "apiVersion": resource.api_version}
    if resource.schema is not None:
        _check_type_is_said(wanted)
        if _is_custom_status(resource, context):
            wanted = {**wanted, "kind": resource.kind, "apiVersion": resource.api_version}
    kind, api_version = wanted.get("kind") or resource.kind, wanted.get("apiVersion")
    if not api_version:
        check_name({}, context)
    wanted["kind"] = kind
    if (kind, api_version) != (resource.kind, resource.api_version):
        if resource.schema is not None:
            check_name(wanted["metadata"], context)
            raise _another_type(resource, kind, api_version, context.name)
        raise refusals.bad_result(wanted, refusals.not_registered(kind, api_version))
    try:
        check_kind(resource, wanted)
        conform_object(resource, wanted, options.field_validation, context.warnings, Repeated(of_patch=told))
    except Undecodable as error:
        if media == STRATEGIC_PATCH:
            raise refusals.bad_strategic_result(document, error.conversion) from None
        # `wanted` has lost what is unknown, and so has what it shares with `document`.
        whole = _apply(resource, media, current, decode_patch(media, context.body))
        raise refusals.bad_result(whole, error.why, ordered=resource.schema is not None) from None
    _check_namespace(resource, wanted["metadata"], context)
    check_name(wanted["metadata"], context)
    return wanted


def _check_type_is_said(wanted: Object) -> None:
    """Custom objects are read without a type that would say it."""
    for field in ("apiVersion", "kind"):
        if (value := wanted.get(field)) is not None and not isinstance(value, str):
            why = f"json: cannot unmarshal {literal(value)} into Go struct field .{field} of type string"
            raise refusals.bad_result(wanted, f"couldn't get version/kind; json parse error: {why}", ordered=True)
    if wanted.get("kind") in (None, ""):
        shown = orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS).decode()
        raise refusals.bad_result(wanted, f"Object 'Kind' is missing in '{shown}'", ordered=True)
    if wanted.get("apiVersion") in (None, ""):
        raise InternalError.of("Object 'apiVersion' is missing in 'object has no apiVersion field'")


def _another_type(resource: Resource, kind: str, api_version: Any, name: str) -> Invalid:
    """Custom objects have no Go type that would not decode: their kind is a field that may not change."""
    wrong = [
        invalid(field, value, f"must be {wanted}")
        for field, value, wanted in (
            ("kind", kind, resource.kind),
            ("apiVersion", api_version, resource.api_version),
        )
        if value != wanted
    ]
    return Invalid.of(api_version.rpartition("/")[0], kind, name, wrong)


def _apply(resource: Resource, media: str, current: Object, document: Any) -> Object:
    if media == STRATEGIC_PATCH:
        return strategic.apply(current, document, resource)
    return json_patch.apply(current, document) if media == JSON_PATCH else merge.apply(current, document)
