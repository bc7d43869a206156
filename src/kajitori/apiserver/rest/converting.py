"""Reads and writes of kinds whose versions a webhook converts (`Resource.conversion`): the same steps as of all
others, but each may wait. Everything here expects such a kind."""

from collections.abc import Iterable
from dataclasses import replace

import orjson

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.selectors import FieldSelector
from kajitori.apiserver.documents import encode, stored_resource, with_revision
from kajitori.apiserver.rest.backend import Current
from kajitori.apiserver.watch_cache.selection import Selection

_INDEXED = ("metadata.name", "metadata.namespace")


async def in_version(resource: Resource, bodies: Iterable[bytes]) -> list[bytes]:
    """Stored documents as this version shows them. Raises StatusError when the webhook fails."""
    assert resource.conversion is not None
    return await resource.conversion.shown(list(bodies), resource.api_version)


async def current_in_version(resource: Resource, current: Current) -> Current:
    """One that decodes to an object of this version."""
    (shown,) = await in_version(resource, [current.body])
    return Current(current.body, current.revision, shown)


async def value_to_store(resource: Resource, obj: Object) -> bytes:
    """What is stored for an object of this version. Takes the resourceVersion out of `obj`."""
    assert resource.conversion is not None
    obj["metadata"].pop("resourceVersion", None)
    return encode(stored_resource(resource), await resource.conversion.stored(obj))


async def shown_value(resource: Resource, value: bytes, revision: int) -> bytes:
    """The answer to a write: what was stored, back in the version of the request."""
    (shown,) = await in_version(resource, [with_revision(value, revision)])
    return shown


def same_document(value: bytes, current: Current) -> bool:
    """A webhook need not write fields in the same order every time."""
    return with_revision(value, current.revision) == current.body or bool(
        orjson.loads(with_revision(value, current.revision)) == orjson.loads(current.body)
    )


def by_index(selection: Selection) -> Selection:
    """The part that can be decided on what is stored: everything but this version's own fields."""
    return replace(
        selection, fields=FieldSelector(tuple(r for r in selection.fields.requirements if _indexed(r.field)))
    )


def own_fields(selection: Selection) -> FieldSelector:
    """The part that only the converted object can decide."""
    return FieldSelector(tuple(r for r in selection.fields.requirements if not _indexed(r.field)))


def _indexed(field: str) -> bool:
    return field in _INDEXED


def matches(resource: Resource, fields: FieldSelector, body: bytes) -> bool:
    """Whether a document of this version has these values in its own fields."""
    if fields.empty:
        return True
    obj = orjson.loads(body)
    return fields.matches({path: read(obj) for path, read in resource.selectable_fields.items()})
