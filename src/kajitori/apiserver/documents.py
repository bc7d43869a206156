"""Objects as they are stored: JSON that begins with kind, apiVersion and metadata, without a resourceVersion.

The store gives a record its revision; the revision is put into the bytes once, when they come from the store, so that
what a GET, a LIST or a watch sends is never decoded.
"""

import re
from functools import lru_cache
from typing import Any

import orjson

from kajitori.api.errors import RequestEntityTooLarge
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.storage.interface import Unavailable

ROOT = "/registry/"
STORED_BYTES_MAX = 1536 * 1024
"""What etcd takes by default, and so what every cluster of upstream's holds; patches and managers add to an object
without end otherwise, and each write costs as much as the object is large."""
SEALED = b"k8s:enc:"
"""How every encrypted value begins (upstream's format). No JSON document does."""
_KINDS_MAX = 1024
"""Kinds in use at a time, custom ones among them; beyond, what is derived of a kind is derived again."""
_METADATA = b'"metadata":{'


def stored_resource(resource: Resource) -> Resource:
    """The version in which a kind is stored."""
    return resource.stored_as or resource


@lru_cache(maxsize=_KINDS_MAX)
def prefix_of(resource: Resource) -> str:
    stored = resource.stored_as or resource
    return f"{ROOT}{stored.group or 'core'}/{stored.plural}/"


def key_in_store(resource: Resource, namespace: str, name: str) -> str:
    """`/registry/<group or core>/<plural>/<namespace>/<name>`; cluster-scoped objects have no namespace part."""
    prefix = prefix_of(resource)
    return f"{prefix}{namespace}/{name}" if resource.namespaced else prefix + name


@lru_cache(maxsize=_KINDS_MAX)
def head_of(resource: Resource) -> bytes:
    """How every stored document of this kind begins."""
    return orjson.dumps({"kind": resource.kind, "apiVersion": resource.api_version})[:-1] + b","


def encode(resource: Resource, obj: Object) -> bytes:
    """The bytes to store; `resource` is the stored version. Drops the resourceVersion from `obj`, and the
    managedFields of what is too large with them. Raises RequestEntityTooLarge."""
    metadata = obj["metadata"]
    metadata.pop("resourceVersion", None)
    document = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata, **obj}
    value = orjson.dumps(document)
    if resource.schema is not None and _WHOLE.search(value):
        value = orjson.dumps(_with_whole_numbers(document))
    if len(value) > STORED_BYTES_MAX:
        if metadata.pop("managedFields", None):
            return encode(resource, obj)
        raise RequestEntityTooLarge(
            f'{resource.plural} "{metadata.get("name", "")}" is too large to be stored: {len(value)} bytes, of which '
            f"{STORED_BYTES_MAX} are possible; spread it over several objects"
        )
    return value


_WHOLE = re.compile(rb"\.0[,}\]]")
_INT64_MAX = 2**63 - 1


def _with_whole_numbers(value: Any) -> Any:
    """1.0 is written as 1, as Go writes it: what reads an integer of a custom object may take no fraction."""
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _INT64_MAX else value


def with_revision(value: bytes, revision: int) -> bytes:
    """Stored bytes with their resourceVersion. Raises Unavailable for what is stored encrypted and came undecrypted."""
    try:
        at = value.index(_METADATA) + len(_METADATA)
    except ValueError:
        if value.startswith(SEALED):
            raise Unavailable(
                "the store holds encrypted objects that no configuration covers: give --encryption-provider-config "
                "with their key and resources (`identity: {}` first decrypts what is written again)"
            ) from None
        raise
    return b'%b"resourceVersion":"%d",%b' % (value[:at], revision, value[at:])


def revised(body: bytes, old: int, new: int) -> bytes:
    """The same document at another revision: a deletion shows the last state at the deletion's own revision."""
    return body.replace(b'"resourceVersion":"%d"' % old, b'"resourceVersion":"%d"' % new, 1)


def forget_kinds() -> None:
    """Nothing here holds on to a kind that is served no more."""
    prefix_of.cache_clear()
    head_of.cache_clear()
