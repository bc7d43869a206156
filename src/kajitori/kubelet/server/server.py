"""Routes of the node's API and what answers them."""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from kajitori.api.meta import Object, name_of, namespace_of, uid_of
from kajitori.kit.clock import Clock
from kajitori.kit.numbers import unsigned
from kajitori.kubelet.container_spec import log_path
from kajitori.kubelet.pod_state import container_named
from kajitori.kubelet.pod_worker import PodWorker
from kajitori.kubelet.runtime import ContainerRecord, ContainerState, RuntimeFailure
from kajitori.kubelet.server.access import Access, server_context
from kajitori.kubelet.server.agent_metrics import agent_metrics
from kajitori.kubelet.server.http_messages import (
    HEAD_BYTES_MAX,
    Answer,
    BadMessage,
    ChunkedBody,
    Failure,
    Request,
    read_request,
    send_answer,
)
from kajitori.kubelet.server.logs import LogOptions, read_log
from kajitori.kubelet.server.passthrough import pass_through
from kajitori.kubelet.server.stats import CpuRates, PodContainers, read_node_usage, resource_metrics, summary
from kajitori.kubelet.server.system_logs import SYSTEM_LOGS, chunks, open_log

if TYPE_CHECKING:
    from kajitori.kubelet.kubelet import Kubelet

logger = logging.getLogger(__name__)

Plain = Callable[[Request, list[str]], Awaitable[Answer]]
Url = Callable[[Request, list[str]], Awaitable[str]]
TLS_HANDSHAKE_TIMEOUT_S = 10.0


class NodeServer:
    def __init__(self, kubelet: "Kubelet", clock: Clock) -> None:
        self._kubelet = kubelet
        self._clock = clock
        self._access = Access(kubelet.client, clock, kubelet.config.node_name)
        self._rates = CpuRates()
        self._serving: set[asyncio.Task[None]] = set()
        self._plain: dict[str, Plain] = {
            "healthz": self._healthz,
            "pods": self._pods,
            "stats": self._stats,
            "metrics": self._metrics,
        }
        self._streams: dict[str, Url] = {
            "exec": self._exec_url,
            "attach": self._attach_url,
            "portForward": self._port_forward_url,
        }

    async def run(self) -> None:
        config = self._kubelet.config
        assert config.serving_certificate and config.serving_key and config.client_ca
        started = read_node_usage(config.root_dir, self._clock.now())
        self._rates.rate("node", started.timestamp_s, started.cpu_total_ns)
        server = await asyncio.start_server(
            self._connection,
            config.listen_address,
            config.port,
            ssl=server_context(config.serving_certificate, config.serving_key, config.client_ca),
            ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S,
            limit=HEAD_BYTES_MAX,
        )
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The loop holds tasks weakly, and the stream lets go of this one when its connection is lost.
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            await self._serve(reader, writer)
        except BadMessage as error:
            await send_answer(writer, Answer(str(error).encode(), status=HTTPStatus.BAD_REQUEST))
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        except Exception:
            logger.exception("a request of the node's API failed")
        finally:
            with contextlib.suppress(ConnectionError, ssl.SSLError, RuntimeError):
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        if request is None:
            return
        try:
            peer = writer.get_extra_info("ssl_object")
            await self._access.admit(request, peer.getpeercert() if peer else None)
            await self._route(request, reader, writer)
        except Failure as failure:
            await send_answer(writer, Answer(failure.message.encode(), status=failure.status))
        except RuntimeFailure as error:
            await send_answer(writer, Answer(str(error).encode(), status=HTTPStatus.INTERNAL_SERVER_ERROR))

    async def _route(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *rest = request.path.strip("/").split("/")
        if first == "containerLogs":
            await self._logs(request, rest, writer)
        elif first == "logs":
            await self._system_log(request, writer)
        elif first in self._streams:
            if not request.wants_upgrade:
                raise Failure(HTTPStatus.BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr")
            url = await self._streams[first](request, rest)
            await pass_through(request, reader, writer, url)
        elif first in self._plain:
            await send_answer(writer, await self._plain[first](request, rest))
        else:
            raise Failure(HTTPStatus.NOT_FOUND, "404 page not found")

    # --- finding what is meant

    def _worker(self, namespace: str, name: str, uid: str = "") -> PodWorker:
        for worker in self._kubelet.workers.values():
            pod = worker.state.pod
            if (namespace_of(pod), name_of(pod)) == (namespace, name) and uid in ("", uid_of(pod)):
                return worker
        raise Failure(HTTPStatus.NOT_FOUND, f'pod "{name}" not found')

    def _running(self, rest: list[str]) -> ContainerRecord:
        """`<namespace>/<pod>[/<uid>]/<container>`."""
        if len(rest) not in (3, 4):
            raise Failure(HTTPStatus.NOT_FOUND, "404 page not found")
        worker = self._worker(rest[0], rest[1], rest[2] if len(rest) == 4 else "")
        record = worker.state.latest(rest[-1])
        if record is None or record.state is not ContainerState.RUNNING:
            raise Failure(HTTPStatus.NOT_FOUND, f'container not found ("{rest[-1]}")')
        return record

    # --- streams

    async def _exec_url(self, request: Request, rest: list[str]) -> str:
        record = self._running(rest)
        return await self._kubelet.runtime.exec_url(
            record.id,
            request.query.get("command") or [],
            tty=request.flag("tty"),
            stdin=request.flag("input") or request.flag("stdin"),
            stdout=request.flag("output") or request.flag("stdout"),
            stderr=(request.flag("error") or request.flag("stderr")) and not request.flag("tty"),
        )

    async def _attach_url(self, request: Request, rest: list[str]) -> str:
        record = self._running(rest)
        worker = self._worker(rest[0], rest[1])
        container = container_named(worker.state.spec, record.name) or {}
        tty = bool(container.get("tty"))
        return await self._kubelet.runtime.attach_url(
            record.id,
            tty=tty,
            stdin=request.flag("input") or request.flag("stdin"),
            stdout=request.flag("output") or request.flag("stdout"),
            stderr=(request.flag("error") or request.flag("stderr")) and not tty,
        )

    async def _port_forward_url(self, request: Request, rest: list[str]) -> str:
        if len(rest) not in (2, 3):
            raise Failure(HTTPStatus.NOT_FOUND, "404 page not found")
        worker = self._worker(rest[0], rest[1], rest[2] if len(rest) == 3 else "")
        sandbox = worker.state.sandbox
        if sandbox is None:
            raise Failure(HTTPStatus.NOT_FOUND, f'pod "{rest[1]}" is not running')
        texts = [text for value in request.query.get("ports", []) for text in value.split(",")]
        texts += request.query.get("port", [])
        ports = [port for text in texts if (port := unsigned(text, 65_535))]
        return await self._kubelet.runtime.port_forward_url(sandbox.id, ports)

    # --- logs

    async def _logs(self, request: Request, rest: list[str], writer: asyncio.StreamWriter) -> None:
        if len(rest) != 3:
            raise Failure(HTTPStatus.NOT_FOUND, "404 page not found")
        worker = self._worker(rest[0], rest[1])
        record = log_record(worker, rest[2], previous=request.flag("previous"))
        try:
            options = LogOptions.of(request, self._clock.now())
        except ValueError as error:
            raise Failure(HTTPStatus.BAD_REQUEST, f"unable to decode log options: {error}") from None
        pod = worker.state.pod
        directory = self._kubelet.config.log_directory(namespace_of(pod), name_of(pod), uid_of(pod))
        path = directory / log_path(record.name, record.attempt)

        def is_over() -> bool:
            latest = worker.state.containers.get(record.name) or []
            known = next((r for r in latest if r.id == record.id), None)
            return known is None or known.state is not ContainerState.RUNNING

        body = ChunkedBody(writer)
        if not path.exists():
            raise Failure(HTTPStatus.INTERNAL_SERVER_ERROR, f"failed to try resolving symlinks in path {str(path)!r}")
        await body.begin()
        chunks: AsyncIterator[bytes] = read_log(path, options, is_over, worker.subscribe)
        async for chunk in chunks:
            await body.send(chunk)
        await body.end()

    async def _system_log(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method != "GET":
            raise Failure(HTTPStatus.METHOD_NOT_ALLOWED, "405: Method Not Allowed")
        found = await asyncio.to_thread(open_log, SYSTEM_LOGS, request.path)
        if isinstance(found, Answer):
            await send_answer(writer, found)
            return
        with found:
            body = ChunkedBody(writer)
            await body.begin()
            async for chunk in chunks(found):
                await body.send(chunk)
            await body.end()

    # --- plain answers

    async def _healthz(self, request: Request, rest: list[str]) -> Answer:
        return Answer(b"ok")

    async def _pods(self, request: Request, rest: list[str]) -> Answer:
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(self._kubelet.pods())})

    async def _stats(self, request: Request, rest: list[str]) -> Answer:
        if rest != ["summary"]:
            raise Failure(HTTPStatus.NOT_FOUND, "404 page not found")
        config = self._kubelet.config
        node = read_node_usage(config.root_dir, self._clock.now())
        usage = await self._kubelet.runtime.usage()
        return _json(summary(config.node_name, node, self._pod_containers(), usage, self._rates))

    async def _metrics(self, request: Request, rest: list[str]) -> Answer:
        if not rest:
            text = agent_metrics(self._kubelet.config, self._kubelet.workers.values())
        elif rest == ["resource"]:
            node = read_node_usage(self._kubelet.config.root_dir, self._clock.now())
            text = resource_metrics(node, self._pod_containers(), await self._kubelet.runtime.usage())
        else:
            raise Failure(HTTPStatus.NOT_FOUND, "404 page not found")
        return Answer(text.encode(), "text/plain; version=0.0.4; charset=utf-8")

    def _pod_containers(self) -> Iterator[PodContainers]:
        for worker in self._kubelet.workers.values():
            running = {record.id: (record.name, record.started_s) for record in worker.state.running()}
            if running:
                yield PodContainers(worker.state.pod, running, worker.state.started_s or 0.0)


def log_record(worker: PodWorker, name: str, *, previous: bool) -> ContainerRecord:
    """Which run of a container is meant. `previous`: the last one that ended, other than the one shown now."""
    pod = worker.state.pod
    if container_named(pod["spec"], name) is None:
        raise Failure(HTTPStatus.BAD_REQUEST, f"container {name} is not valid for pod {name_of(pod)}")
    records = worker.state.containers.get(name) or []
    waiting = worker.state.waiting.get(name)
    if previous:
        ended = [r for r in records if r.state is ContainerState.EXITED]
        if records and records[0].state is ContainerState.EXITED and waiting is None:
            ended = ended[1:]
        if not ended:
            message = f'previous terminated container "{name}" in pod "{name_of(pod)}" not found'
            raise Failure(HTTPStatus.BAD_REQUEST, message)
        return ended[0]
    begun = [r for r in records if r.state is not ContainerState.CREATED]
    if not begun:
        reason = waiting.reason if waiting else "ContainerCreating"
        message = f'container "{name}" in pod "{name_of(pod)}" is waiting to start: {reason}'
        raise Failure(HTTPStatus.BAD_REQUEST, message)
    return begun[0]


def _json(document: Object) -> Answer:
    return Answer(json.dumps(document).encode(), "application/json")
