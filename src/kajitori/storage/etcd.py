"""The store in an etcd v3 cluster: its own revisions, transactions, watches and history, shared by several servers.

Beside the keys `<prefix>/...` stand two of the store's own, outside every range that is read or watched:
`<prefix>.revision` is written in the same transaction as each change, so that its revision is that of the newest
change of ours, whatever else is kept in the same etcd; `<prefix>.turn.<task>` says when a periodic task was last done.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import grpc
import grpc.aio

from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.storage.etcd_api import rpc_pb2 as pb
from kajitori.storage.etcd_channel import UNREACHABLE, EtcdAddress, Members
from kajitori.storage.interface import (
    ABSENT,
    FIRST,
    LATEST,
    Change,
    Compacted,
    Conflict,
    Event,
    FutureRevision,
    Key,
    Page,
    Put,
    Record,
    Revision,
    StorageError,
    Unanswered,
    Unavailable,
)
from kajitori.storage.ranges import prefix_end

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Older revisions are compacted even before the API server asks for it. Every server of a shared cluster does so; only
# the first asking has an effect.
HISTORY_REVISIONS = 100_000
SLACK_REVISIONS = 500
# A watch whose member went away is taken up again at another; after this many tries in a row it ends with Unavailable.
WATCH_TRIES = 8
# Consistent reads wait three seconds for the watch: a cluster that has recovered must be noticed within that.
BACKOFF = Backoff(initial_s=0.1, max_s=1.0)
# How every key begins.
_SLASH = "/"
# A member that has lost the others ends the watch instead of falling silent.
_WITH_LEADER = (("hasleader", "true"),)
# What gRPC says when a request never left: there was no connection to send it on.
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_NOT_SENT = ("failed to connect to all addresses", "Connection refused", "no leader")


class EtcdStorage:
    """Implements `kajitori.storage.interface.Storage`. Keys live under the address's prefix."""

    def __init__(self, address: EtcdAddress, clock: Clock, history_revisions: int = HISTORY_REVISIONS) -> None:
        self._members = Members(address)
        self._prefix = address.prefix
        self._revision_key = f"{address.prefix}.revision".encode()
        self._clock = clock
        self._history_revisions = history_revisions
        self._compacted_to: Revision = FIRST
        self._compaction: asyncio.Task[None] | None = None
        self._streams: set[Any] = set()
        self._waits: set[asyncio.Future[Any]] = set()
        self._closed: Unavailable | None = None

    async def read(self, key: Key, at: Revision = LATEST) -> Record | None:
        found = await self._range(pb.RangeRequest(key=self._key(key), revision=at))
        return self._record(found.kvs[0]) if found.kvs else None

    async def scan(self, prefix: Key, start: Key = "", limit: int = 0, at: Revision = LATEST) -> Page:
        begin = self._key(max(prefix, start) or _SLASH)
        found = await self._range(pb.RangeRequest(key=begin, range_end=self._end(prefix), limit=limit, revision=at))
        records = tuple(self._record(kv) for kv in found.kvs)
        return Page(records, at or found.header.revision, found.more, found.count - len(records))

    async def commit(self, change: Change, expect: Revision | None = None) -> Revision:
        answer = await self._write(self._transaction(change, expect))
        if not answer.succeeded:
            found = answer.responses[0].response_range.kvs
            if expect is None:
                return await self.revision()  # a deletion of what is not there
            raise Conflict(change.key, self._record(found[0]) if found else None)
        self._compact_if_due(answer.header.revision)
        return int(answer.header.revision)

    def _transaction(self, change: Change, expect: Revision | None) -> pb.TxnRequest:
        key = self._key(change.key)
        if isinstance(change, Put):
            write = pb.RequestOp(request_put=pb.PutRequest(key=key, value=change.value))
        else:
            write = pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key))
        mark = pb.RequestOp(request_put=pb.PutRequest(key=self._revision_key))
        request = pb.TxnRequest(success=[write, mark], failure=[pb.RequestOp(request_range=pb.RangeRequest(key=key))])
        if expect is not None:
            request.compare.append(_is_at(key, expect))
        elif not isinstance(change, Put):
            there = pb.Compare(result=pb.Compare.NOT_EQUAL, target=pb.Compare.MOD, key=key, mod_revision=ABSENT)
            request.compare.append(there)
        return request

    async def _write(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """A member that could not even be asked is passed over; one that was asked and went silent is Unanswered."""
        for _ in self._members.address.members[1:]:
            try:
                return await self._call("KV/Txn", request, pb.TxnResponse.FromString)
            except Unanswered:
                raise
            except Unavailable:
                if self._closed is not None:
                    raise
        return await self._call("KV/Txn", request, pb.TxnResponse.FromString)

    async def watch(self, prefix: Key, after: Revision) -> AsyncIterator[Event]:
        position, failures = max(after, FIRST), 0
        while True:
            member = self._members.chosen
            try:
                async with aclosing(self._watch_once(prefix, position)) as stream:
                    async for event in stream:
                        failures = 0
                        yield event
                        position = event.revision
                reason = "the member ended the watch"
            except grpc.aio.AioRpcError as error:
                reason = error.details() or error.code().name
            except asyncio.CancelledError:
                # Either `close` cancelled the wait, or the caller itself was cancelled.
                if self._closed is None:
                    raise
                reason = "closed"
            if self._closed is not None:
                raise self._closed
            failures += 1
            if failures >= WATCH_TRIES:
                raise self._unreachable(member, reason)
            self._members.turn_from(member)
            await self._clock.sleep(BACKOFF.delay_s(failures))

    async def history(self, prefix: Key, after: Revision, until: Revision, limit: int) -> Sequence[Event]:
        until = min(until, await self.revision())
        position = max(after, FIRST)
        return await self._translated(self._past(prefix, position, until, limit), position) if position < until else ()

    async def revision(self) -> Revision:
        found = await self._range(pb.RangeRequest(key=self._revision_key))
        return int(found.kvs[0].mod_revision if found.kvs else found.header.revision)

    def known_revision(self) -> None:
        """Other servers write too."""

    async def compact(self, before: Revision) -> None:
        await self._translated(self._compact(before), before)

    async def take_turn(self, task: str, since: Revision) -> bool:
        key = f"{self._prefix}.turn.{task}".encode()
        found = await self._range(pb.RangeRequest(key=key))
        last = found.kvs[0].mod_revision if found.kvs else ABSENT
        if last > since:
            return False
        put = pb.RequestOp(request_put=pb.PutRequest(key=key))
        answer = await self._write(pb.TxnRequest(compare=[_is_at(key, last)], success=[put]))
        return bool(answer.succeeded)

    async def size_bytes(self) -> int:
        status = await self._call("Maintenance/Status", pb.StatusRequest(), pb.StatusResponse.FromString)
        return int(status.dbSize)

    async def close(self) -> None:
        if self._closed is not None:
            return
        self._closed = Unavailable("the store is closed")
        if self._compaction is not None:
            self._compaction.cancel()
        for wait in (*self._waits, *self._streams):
            wait.cancel()
        await self._members.close()

    # keys and records

    def _key(self, key: Key) -> bytes:
        return (self._prefix + key).encode()

    def _end(self, prefix: Key) -> bytes:
        end = prefix_end(self._prefix + (prefix or _SLASH))
        assert end is not None, "the store's own prefix has an end"
        return end.encode()

    def _record(self, kv: pb.KeyValue) -> Record:
        return Record(self._name(kv), kv.value, kv.create_revision, kv.mod_revision)

    def _name(self, kv: pb.KeyValue) -> Key:
        return kv.key.decode()[len(self._prefix) :]

    def _event(self, event: pb.WatchEvent) -> Event:
        """Raises Compacted when what stood there before has been forgotten already."""
        kv = event.kv
        deleted = event.type == pb.WatchEvent.DELETE
        previous = self._record(event.prev_kv) if event.HasField("prev_kv") else None
        if previous is None and (deleted or kv.create_revision != kv.mod_revision):
            raise Compacted(kv.mod_revision - 1, kv.mod_revision)
        return Event(self._name(kv), kv.mod_revision, None if deleted else self._record(kv), previous)

    # calls

    async def _range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        """Reads may be asked of every member in turn."""
        for _ in self._members.address.members[1:]:
            try:
                return await self._call("KV/Range", request, pb.RangeResponse.FromString, request.revision)
            except Unavailable:
                if self._closed is not None:
                    raise
        return await self._call("KV/Range", request, pb.RangeResponse.FromString, request.revision)

    async def _call(self, method: str, request: Any, response: Callable[[bytes], T], at: Revision = LATEST) -> T:
        if self._closed is not None:
            raise self._closed
        return await self._translated(self._members.call(f"/etcdserverpb.{method}", request, response), at)

    async def _compact(self, before: Revision) -> None:
        if self._closed is not None:
            raise self._closed
        request = pb.CompactionRequest(revision=before)
        try:
            await self._members.call("/etcdserverpb.KV/Compact", request, pb.CompactionResponse.FromString)
        except grpc.aio.AioRpcError as error:
            if "has been compacted" not in (error.details() or ""):
                raise

    async def _translated(self, call: Awaitable[T], at: Revision) -> T:
        member = self._members.chosen
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            if self._closed is not None:
                raise self._closed from None
            if error.code() in UNREACHABLE:
                self._members.turn_from(member)
            raise await self._meaning(error, member, at) from error
        except asyncio.CancelledError:
            if self._closed is not None:
                raise self._closed from None
            raise

    async def _meaning(self, error: grpc.aio.AioRpcError, member: str, at: Revision) -> StorageError:
        details = error.details() or ""
        if "has been compacted" in details:
            return Compacted(at, await self._oldest(at))
        if "future revision" in details:
            return FutureRevision(at, await self.revision())
        if error.code() in _REFUSED:
            return Unavailable(
                f"etcd {member}: {details}: give a certificate of an etcd user who may use {self._prefix}"
            )
        if "database space exceeded" in details:
            return Unavailable(
                f"etcd {member}: its database is full: compact and defragment it, then `etcdctl alarm disarm`"
            )
        return self._unreachable(member, details or error.code().name)

    def _unreachable(self, member: str, reason: str) -> Unavailable:
        sent = not any(words in reason for words in _NOT_SENT)
        remedy = "check that most members of the cluster are up and reachable"
        if "SSL" in reason.upper():
            remedy = "check its address and --etcd-cafile, --etcd-certfile and --etcd-keyfile"
        elif not self._members.secured:
            remedy += ", and whether they want TLS (--etcd-cafile)"
        return (Unanswered if sent else Unavailable)(f"etcd {member}: {reason}: {remedy}")

    # watches

    async def _watch_once(self, prefix: Key, after: Revision) -> AsyncGenerator[Event, None]:
        """One gRPC stream. Raises Compacted, AioRpcError."""
        if self._closed is not None:
            raise self._closed
        async with aclosing(self._watched(self._key(prefix or _SLASH), self._end(prefix), after)) as events:
            async for event in events:
                yield self._event(event)

    async def _past(self, prefix: Key, after: Revision, until: Revision, limit: int) -> list[Event]:
        """By a watch of all there is of ours: the key that every transaction writes last says how far it has come."""
        ours, found = self._key(prefix or _SLASH), list[Event]()
        async with aclosing(self._watched(self._revision_key, self._end(""), after)) as events:
            async for event in events:
                if event.kv.key.startswith(ours):
                    found.append(self._event(event))
                done = event.kv.key == self._revision_key and event.kv.mod_revision >= until
                if done or len(found) >= limit:
                    return found
        raise self._unreachable(self._members.chosen, "the member ended the watch")

    async def _watched(self, begin: bytes, end: bytes, after: Revision) -> AsyncGenerator[pb.WatchEvent, None]:
        async with aclosing(self._responses(begin, end, after)) as responses:
            async for response in responses:
                if response.compact_revision:
                    raise Compacted(after, response.compact_revision)
                if response.canceled:
                    return
                for event in response.events:
                    yield event

    async def _responses(self, begin: bytes, end: bytes, after: Revision) -> AsyncGenerator[pb.WatchResponse, None]:
        create = pb.WatchCreateRequest(
            key=begin,
            range_end=end,
            start_revision=after + 1,
            prev_kv=True,
            fragment=True,
        )
        call = self._members.channel().stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )(metadata=_WITH_LEADER)
        self._streams.add(call)
        try:
            await self._until_closed(call.write(pb.WatchRequest(create_request=create)))
            while (response := await self._until_closed(call.read())) is not grpc.aio.EOF:
                yield response
        finally:
            self._streams.discard(call)
            call.cancel()

    async def _until_closed(self, step: Awaitable[T]) -> T:
        """Await something that `close` may cancel."""
        wait = asyncio.ensure_future(step)
        self._waits.add(wait)
        try:
            return await wait
        finally:
            self._waits.discard(wait)

    async def _oldest(self, at: Revision) -> Revision:
        """A watch from a compacted revision is told the oldest one there is."""
        async with aclosing(self._responses(self._key(_SLASH), self._end(""), at - 1)) as responses:
            async for response in responses:
                if response.compact_revision:
                    return int(response.compact_revision)
                if not response.created:
                    break
        return at

    # history

    def _compact_if_due(self, newest: Revision) -> None:
        due = newest - self._compacted_to >= self._history_revisions + SLACK_REVISIONS
        if due and (self._compaction is None or self._compaction.done()):
            self._compaction = asyncio.ensure_future(self._compact_quietly(newest - self._history_revisions))

    async def _compact_quietly(self, before: Revision) -> None:
        """Tried again after a later write."""
        try:
            await self.compact(before)
            self._compacted_to = before
        except StorageError as error:
            logger.info("compaction at %d: %s", before, error)


def _is_at(key: bytes, revision: Revision) -> pb.Compare:
    return pb.Compare(result=pb.Compare.EQUAL, target=pb.Compare.MOD, key=key, mod_revision=revision)
