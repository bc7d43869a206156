"""Get, list and watch: from memory, as new as was asked for."""

from collections.abc import Callable
from dataclasses import replace

import orjson

from kajitori.api.errors import BadRequest, Expired, Timeout
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.selectors import parse_field_selector, parse_label_selector
from kajitori.apiserver.documents import prefix_of, stored_resource
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import Form, accepted, accepted_of_watch
from kajitori.apiserver.rest import converting
from kajitori.apiserver.rest.backend import Backend, in_version, not_found
from kajitori.apiserver.rest.continuation import Position, decode_token, encode_token
from kajitori.apiserver.rest.converting_watch import ConvertingWatch, framed
from kajitori.apiserver.rest.options import ListOptions, list_options
from kajitori.apiserver.rest.rendering import (
    body_in_version,
    bytes_to_render,
    event_encoder,
    event_form,
    list_response,
    object_response,
)
from kajitori.apiserver.watch_cache.audience import Line, plain_line
from kajitori.apiserver.watch_cache.entry import ADDED, CachedEvent, Entry
from kajitori.apiserver.watch_cache.kind import KindCache, TooOld
from kajitori.apiserver.watch_cache.selection import Selection
from kajitori.apiserver.watch_cache.stream import WatchStream
from kajitori.kit.numbers import parse_unsigned
from kajitori.storage.interface import Compacted, FutureRevision, Record

WATCH_TIMEOUT_S = 1800
"""A watch without timeoutSeconds ends after this long, or up to twice as long, so that not all end together."""
_SCAN_PAGE = 500
_EXPIRED_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class ExpiredToken(Expired):
    """Its Status offers a token that goes on with what is there now."""

    def __init__(self, token: str) -> None:
        super().__init__(_EXPIRED_TOKEN)
        self._token = token

    def status(self) -> Object:
        return {**super().status(), "metadata": {"continue": self._token}}


_REFUSAL = "field label not supported: {}"
_REFUSAL_BY_NAME = '"{}" is not a known field selector: only "metadata.name", "metadata.namespace"'
"""Of the built-in kinds that have no selectable fields of their own."""
_REFUSALS = {
    ("batch", "jobs"): 'field label "{}" not supported for Job',
    ("resource.k8s.io", "resourceslices"): "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}",
}


def parse_revision(text: str) -> int:
    try:
        return parse_unsigned(text)
    except ValueError as error:
        raise BadRequest(f'resourceVersion: Invalid value: "{text}": {error}') from None


async def as_new_as(backend: Backend, resource_version: str) -> None:
    """ "" is the newest that is committed, "0" whatever is at hand, a number at least that."""
    if resource_version == "":
        await backend.cache.caught_up()
    elif resource_version != "0":
        await backend.cache.reached(parse_revision(resource_version))


async def get(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    accept = accepted(context.headers.get("accept", ""))
    query = context.query
    if query.flag("export"):
        raise BadRequest("the export parameter, deprecated since v1.14, is no longer supported")
    wanted = query.get("resourceVersion")
    if wanted or not backend.cache.is_caught_up:
        await as_new_as(backend, wanted)
    name = context.name
    key = f"{context.namespace}/{name}" if resource.namespaced else name
    entry = backend.cache.kind(resource).get(key)
    if entry is None:
        raise not_found(resource, name)
    if resource.conversion is not None:
        (body,) = await converting.in_version(resource, [entry.body])
    else:
        body = body_in_version(resource, entry.body)
    include = query.get("includeObject", "Metadata")
    if accept.plain:
        return Response(200, body)
    now_s = backend.clock.now()
    return await backend.aside.run(len(body), object_response, resource, body, accept, now_s, include=include)


async def read_object(backend: Backend, context: RequestContext) -> Object:
    """The newest state, decoded; raises NotFound."""
    resource = context.resource
    assert resource is not None
    await backend.cache.caught_up()
    key = f"{context.namespace}/{context.name}" if resource.namespaced else context.name
    entry = backend.cache.kind(resource).get(key)
    if entry is None:
        raise not_found(resource, context.name)
    if resource.conversion is not None:
        (body,) = await converting.in_version(resource, [entry.body])
        return orjson.loads(body)  # type: ignore[no-any-return]
    return in_version(resource, entry.copy())


def selection_of(resource: Resource, context: RequestContext, options: ListOptions) -> Selection:
    """Raises BadRequest for a selector that is malformed or names a field that cannot be selected by."""
    labels, fields = parse_label_selector(options.label_selector), parse_field_selector(options.field_selector)
    if not fields.empty:
        own = resource.stored_field_names
        custom = resource.schema is not None
        known = {"metadata.name", *(own if own or custom else stored_resource(resource).selectable_fields)}
        plain = not custom and known == {"metadata.name"}
        if resource.namespaced or plain:
            known |= {"metadata.namespace"}
        fields.check(known, _REFUSALS.get((resource.group, resource.plural), _REFUSAL_BY_NAME if plain else _REFUSAL))
        fields = fields.renamed(own)
    namespace = (context.namespace or fields.required("metadata.namespace") or "") if resource.namespaced else ""
    name = context.name if context.attributes.verb == "watch" else ""
    if name and options.field_selector:
        if fields.required("metadata.name") not in (None, name):
            raise BadRequest("fieldSelector metadata.name doesn't match requested name")
        name = "" if fields.required("metadata.name") else name
    return Selection(namespace, name, labels, fields)


async def list_objects(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    accept = accepted(context.headers.get("accept", ""), lists=True)
    options = list_options(context.query)
    bodies, metadata = await shown_bodies(backend, resource, selection_of(resource, context, options), options)
    include = context.query.get("includeObject", "Metadata")
    size, now_s = bytes_to_render(resource, bodies, accept), backend.clock.now()
    return await backend.aside.run(size, list_response, resource, bodies, metadata, accept, now_s, include)


async def shown_bodies(
    backend: Backend, resource: Resource, selection: Selection, options: ListOptions
) -> tuple[list[bytes], Object]:
    """What `list_response` takes, and the list's metadata. Where only converted objects can be selected from, all come
    at once: the limit would be one of the objects that are looked at."""
    if resource.conversion is None:
        return await list_bodies(backend, resource, selection, options)
    fields = converting.own_fields(selection)
    if not fields.empty:
        options = replace(options, limit=0)
    bodies, metadata = await list_bodies(backend, resource, converting.by_index(selection), options)
    shown = await converting.in_version(resource, bodies)
    return [body for body in shown if converting.matches(resource, fields, body)], metadata


async def list_bodies(
    backend: Backend, resource: Resource, selection: Selection, options: ListOptions
) -> tuple[list[bytes], Object]:
    """Stored bodies and the list's metadata."""
    kind = backend.cache.kind(resource)
    limit = 0 if options.resource_version == "0" else options.limit
    if options.continue_token:
        position = decode_token(options.continue_token)
        if options.resource_version not in ("", "0"):
            raise BadRequest("specifying resource version is not allowed when using continue")
        revision = position.revision
        await backend.cache.caught_up()
        if revision < 0:
            revision = backend.cache.revision
        if revision == backend.cache.revision:
            return _from_cache(kind, selection, limit, position.start, revision)
        return await _from_store(backend, resource, selection, limit, Position(revision, position.start), paging=True)
    if options.resource_version:
        try:
            parse_revision(options.resource_version)
        except BadRequest as error:
            raise BadRequest(f"invalid resource version: {error.message}") from None
    key = _single_key(resource, selection)
    if options.resource_version_match == "Exact" or (not key and _exact_by_limit(options)):
        revision = parse_revision(options.resource_version)
        await backend.cache.reached(revision)
        if revision != backend.cache.revision:
            return await _from_store(backend, resource, selection, limit, Position(revision, ""))
    else:
        await as_new_as(backend, options.resource_version)
    if key:
        entry = kind.get(key)
        found = [entry.body] if entry is not None and selection.matches(entry) else []
        return found, {"resourceVersion": str(backend.cache.revision)}
    return _from_cache(kind, selection, limit, "", backend.cache.revision)


def _single_key(resource: Resource, selection: Selection) -> str:
    """Of the one object that can be meant; "" when it may be several."""
    name = selection.fields.required("metadata.name")
    if not name or not resource.namespaced:
        return name or ""
    return f"{selection.namespace}/{name}" if selection.namespace else ""


def _exact_by_limit(options: ListOptions) -> bool:
    """A limit with a resourceVersion and no match means exactly that version (the API's oldest rule)."""
    return options.limit > 0 and options.resource_version not in ("", "0") and not options.resource_version_match


def _token(selection: Selection, revision: int, namespace: str, name: str) -> str:
    """That goes on behind an object."""
    key = name if selection.namespace or not namespace else f"{namespace}/{name}"
    return encode_token(Position.behind(key, revision))


def _from_cache(
    kind: KindCache, selection: Selection, limit: int, start: str, revision: int
) -> tuple[list[bytes], Object]:
    """A full page says how to go on when there is anything more, be it selected or not."""
    metadata: Object = {"resourceVersion": str(revision)}
    found: list[bytes] = []
    if start and selection.namespace:
        start = f"{selection.namespace}/{start}"
    entries = kind.range(selection.namespace, start)
    plain = not selection.has_selector
    for entry in entries:
        if not plain and not selection.matches(entry):
            continue
        found.append(entry.body)
        if limit and len(found) >= limit:
            if next(entries, None) is not None:
                metadata["continue"] = _token(selection, revision, entry.namespace, entry.name)
                if plain:
                    metadata["remainingItemCount"] = 1 + sum(1 for _ in entries)
            break
    return found, metadata


async def _from_store(
    backend: Backend, resource: Resource, selection: Selection, limit: int, position: Position, *, paging: bool = False
) -> tuple[list[bytes], Object]:
    """As it was at a past revision. Raises Expired when that has been compacted."""
    root = prefix_of(resource)
    prefix = f"{root}{selection.namespace}/" if selection.namespace else root
    revision, start = position.revision, prefix + position.start
    metadata: Object = {"resourceVersion": str(revision)}
    found: list[bytes] = []
    stored = stored_resource(resource)
    try:
        while True:
            want = limit - len(found) + 1 if limit and not selection.has_selector else _SCAN_PAGE
            page = await backend.storage.scan(prefix, start=start, limit=want, at=revision)
            for index, record in enumerate(page.records, start=1):
                entry = _entry_of(stored, root, record)
                if selection.has_selector and not selection.matches(entry):
                    continue
                found.append(entry.body)
                if limit and len(found) >= limit:
                    remaining = len(page.records) - index + page.remaining
                    if remaining:
                        metadata["continue"] = _token(selection, revision, entry.namespace, entry.name)
                        if not selection.has_selector:
                            metadata["remainingItemCount"] = remaining
                    return found, metadata
            if not page.more:
                return found, metadata
            start = page.records[-1].key + "\0"
    except Compacted:
        if paging:
            raise ExpiredToken(encode_token(Position(-1, position.start))) from None
        raise Expired("The resourceVersion for the provided list is too old.") from None
    except FutureRevision:
        raise Timeout.too_large(revision, backend.cache.revision) from None


def _entry_of(stored: Resource, root: str, record: Record) -> Entry:
    namespace, _, name = record.key[len(root) :].rpartition("/")
    entry = Entry(namespace, name, record.value, record.modified)
    entry.index(stored)
    return entry


async def watch(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    accept = accepted_of_watch(context.headers.get("accept", ""))
    options = list_options(context.query, watch=True)
    include = context.query.get("includeObject", "Metadata")
    selection = selection_of(resource, context, options)
    if resource.conversion is not None:
        show = event_form(resource, accept, backend.clock.now, include)
        bookmark = show if accept.form is not Form.OBJECT else bytes
        converted = ConvertingWatch(resource, converting.own_fields(selection), show, bookmark)
        inner = await open_watch(backend, resource, converting.by_index(selection), options, framed)
        return Response(200, content_type=accept.content_type, source=converted.over(inner))
    line, bookmark_line = event_encoder(resource, accept, backend.clock.now, include)
    stream = await open_watch(backend, resource, selection, options, line, bookmark_line)
    return Response(200, content_type=accept.content_type, source=stream)


async def open_watch(
    backend: Backend,
    resource: Resource,
    selection: Selection,
    options: ListOptions,
    line: Line = plain_line,
    bookmark_line: Callable[[bytes], bytes] | None = None,
) -> WatchStream:
    """Begin a watch. One from before the history is told so in its stream (410), as upstream does.

    One from a revision that does not come (the store was replaced) is told the same after a while: every client lists
    again on 410. Upstream would leave it waiting in silence.
    """
    kind = backend.cache.kind(resource)
    version = options.resource_version
    everything = version in ("", "0") or options.send_initial_events
    if options.send_initial_events is False:
        everything = False
    if version not in ("", "0"):
        after = parse_revision(version)
    else:
        if version == "":
            await backend.cache.caught_up()
        after = backend.cache.revision
    too_old = ""
    backlog: list[tuple[CachedEvent, str]] = []
    try:
        if after > backend.cache.revision:
            await backend.cache.reached(after)
        if not everything:
            await backend.cache.reach_back(kind, after)
        backlog = _existing(kind, selection) if everything else _missed(kind, selection, after)
    except (TooOld, Timeout) as error:
        too_old = str(error)
    stream = WatchStream(
        backend.cache,
        kind,
        resource,
        selection,
        backend.clock,
        backlog=backlog,
        line=line,
        timeout_s=float(options.timeout_s or WATCH_TIMEOUT_S * (1 + backend.rng.random())),
        bookmarks=options.bookmarks,
        initial_end=bool(options.send_initial_events) and options.bookmarks,
        bookmark_line=bookmark_line,
    )
    if too_old:
        stream.expire(too_old)
    return stream


def _existing(kind: KindCache, selection: Selection) -> list[tuple[CachedEvent, str]]:
    entries = [entry for entry in kind.range(selection.namespace) if selection.matches(entry)]
    return [(CachedEvent(entry.revision, entry, None), ADDED) for entry in entries]


def _missed(kind: KindCache, selection: Selection, after: int) -> list[tuple[CachedEvent, str]]:
    return [(event, type) for event in kind.since(after) if (type := selection.classify(event))]
