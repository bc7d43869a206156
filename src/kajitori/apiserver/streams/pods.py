"""pods/log, exec, attach, portforward: which container is meant, and the kubelet's own path for it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import itemgetter
from urllib.parse import urlencode

from kajitori.api import core
from kajitori.api.errors import BadRequest, Forbidden, InternalError, NotFound, ServiceUnavailable, StatusError
from kajitori.api.meta import Object, name_of
from kajitori.apiserver.http_types import Handler, HandlerKey, Query, RequestContext, Response
from kajitori.apiserver.interfaces import Authorizer, Objects, Verdict, decided
from kajitori.apiserver.refusals import forbidden
from kajitori.apiserver.special.bodies import only
from kajitori.apiserver.streams import messages
from kajitori.apiserver.streams.dial_words import dial_words
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.relay import relay
from kajitori.apiserver.streams.translating import translate
from kajitori.apiserver.streams.tunnel import pass_through, wants_upgrade
from kajitori.apiserver.streams.websocket import is_websocket, offered_protocols
from kajitori.apiserver.streams.wires import TUNNELLED, V5, RemoteCommand, Tunnel
from kajitori.client.connection import Address

_LOG_OPTIONS = (
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
)
# The API's word for a stream -> the kubelet's.
_STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_REFUSAL_BYTES_MAX = 10 * 1024
_REFUSALS: Mapping[int, type[StatusError]] = {400: BadRequest, 403: Forbidden, 404: NotFound, 503: ServiceUnavailable}


class PodStreams:
    def __init__(self, objects: Objects, kubelets: Kubelets, authorizer: Authorizer) -> None:
        self._objects = objects
        self._kubelets = kubelets
        self._authorizer = authorizer

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {
            ("", "pods", "log"): self._log,
            ("", "pods", "exec"): self._exec,
            ("", "pods", "attach"): self._attach,
            ("", "pods", "portforward"): self._port_forward,
        }

    async def _log(self, context: RequestContext) -> Response:
        only(context, "GET")
        agreement = messages.agree(context)
        response = await self._log_text(context)
        return response if agreement is None else await messages.tell(context, agreement, response)

    async def _log_text(self, context: RequestContext) -> Response:
        pod = await self._pod(context)
        container = container_of(pod, context.query.get("container"))
        if not pod["spec"].get("nodeName"):
            # Not scheduled yet: there is no log, and that is no error.
            return Response(204, b"", "")
        options = {name: context.query.get(name) for name in _LOG_OPTIONS if context.query.get(name)}
        check_log_options(options)
        target = f"/containerLogs/{_where(pod)}/{container}"
        query = f"?{_in_order(options.items())}" if options else ""
        address = self._address(pod)
        try:
            answer = await relay(address, "GET", target + query, {"accept": "*/*"})
        except ServiceUnavailable as error:
            why = dial_words(address, error.__cause__ or error)
            raise StatusError(f'Get "https://{address}{target}{query}": {why}') from error
        return await _or_refusal(answer)

    async def _exec(self, context: RequestContext) -> Response:
        pod = await self._pod(context)
        container = container_of(pod, context.query.get("container"))
        if not context.query.all("command"):
            raise BadRequest("you must specify at least one command for the container")
        query = [("command", word) for word in context.query.all("command")]
        return await self._tunnel(context, pod, f"/exec/{_where(pod)}/{container}", query + _streams(context.query))

    async def _attach(self, context: RequestContext) -> Response:
        pod = await self._pod(context)
        container = container_of(pod, context.query.get("container"))
        return await self._tunnel(context, pod, f"/attach/{_where(pod)}/{container}", _streams(context.query))

    async def _port_forward(self, context: RequestContext) -> Response:
        pod = await self._pod(context)
        ports = [("ports", port) for port in context.query.all("ports")]
        ports += [("port", port) for _, port in ports]
        return await self._tunnel(context, pod, f"/portForward/{_where(pod)}", ports)

    async def _tunnel(
        self, context: RequestContext, pod: Object, target: str, query: list[tuple[str, str]]
    ) -> Response:
        only(context, "GET", "POST")
        if not wants_upgrade(context):
            raise BadRequest("Upgrade request required")
        await self._check_may_create(context)
        address = self._address(pod)
        target = f"{target}?{_in_order(query)}" if query else target
        if is_websocket(context.headers):
            # What the runtimes do not speak themselves, as upstream's API server does since v1.30.
            for protocol in offered_protocols(context.headers):
                if protocol == V5 and context.attributes.subresource != "portforward":
                    asked = [name for name in _STREAMS if context.query.flag(name)]
                    return await translate(context, address, target, protocol, RemoteCommand(asked))
                if protocol.startswith(TUNNELLED) and context.attributes.subresource == "portforward":
                    return await translate(context, address, target, protocol, Tunnel())
        return await pass_through(context, address, target)

    async def _check_may_create(self, context: RequestContext) -> None:
        """A WebSocket begins with GET, but does what `create` stands for: to read is not to run commands."""
        asked = replace(context.attributes, verb="create")
        verdict, reason = await decided(self._authorizer, asked)
        if verdict is not Verdict.ALLOW:
            raise forbidden(asked, reason)

    async def _pod(self, context: RequestContext) -> Object:
        found = self._objects.cached(core.POD, context.name, context.namespace)
        return found or await self._objects.get(core.POD, context.name, context.namespace)

    def _address(self, pod: Object) -> Address:
        node = pod["spec"].get("nodeName")
        if not node:
            raise BadRequest(f"pod {name_of(pod)} does not have a host assigned")
        return self._kubelets.address_of(node)


async def _or_refusal(answer: Response) -> Response:
    """The kubelet refuses in plain text, which becomes the message of a Status. Raises StatusError."""
    if answer.status < 300:
        return answer
    text = b""
    if answer.stream is not None:
        async for piece in answer.stream:
            text += piece
            if len(text) >= _REFUSAL_BYTES_MAX:
                break
    message = text[:_REFUSAL_BYTES_MAX].decode(errors="replace")
    raise _REFUSALS.get(answer.status, InternalError)(message)


def _in_order(query: Iterable[tuple[str, str]]) -> str:
    """By name, as Go writes a query: messages show it."""
    return urlencode(sorted(query, key=itemgetter(0)))


def _where(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{name_of(pod)}"


def _streams(query: Query) -> list[tuple[str, str]]:
    asked = [(theirs, "1") for ours, theirs in _STREAMS.items() if query.flag(ours)]
    if not any(name != "tty" for name, _ in asked):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return asked


def container_of(pod: Object, asked: str) -> str:
    """The container that is meant: the only one when none is named. Raises BadRequest."""
    spec, name = pod["spec"], name_of(pod)
    main, init, ephemeral = (_names(spec.get(f)) for f in ("containers", "initContainers", "ephemeralContainers"))
    if not asked:
        if len(main) == 1:
            return main[0]
        text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
        if init:
            text += f" or one of the init containers: [{' '.join(init)}]"
        if ephemeral:
            text += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
        raise BadRequest(text)
    if asked not in (*main, *init, *ephemeral):
        raise BadRequest(f"container {asked} is not valid for pod {name}")
    return asked


def _names(containers: Iterable[Object] | None) -> list[str]:
    return [container["name"] for container in containers or ()]


_NUMBER = re.compile(r"-?[0-9]{1,19}")


def check_log_options(options: Mapping[str, str]) -> None:
    """Raises BadRequest for what cannot be meant."""
    for name in ("sinceSeconds", "tailLines", "limitBytes"):
        if name in options and not _NUMBER.fullmatch(options[name]):
            raise BadRequest(f'{name}: "{options[name]}" is not a number')
    if int(options.get("tailLines", "0")) < 0:
        raise BadRequest(f"tailLines: Invalid value: {options['tailLines']}: must be greater than or equal to 0")
    for name in ("sinceSeconds", "limitBytes"):
        if name in options and int(options[name]) < 1:
            raise BadRequest(f"{name}: Invalid value: {options[name]}: must be greater than 0")
    if "sinceSeconds" in options and "sinceTime" in options:
        raise Forbidden("at most one of `sinceTime` or `sinceSeconds` may be specified")
