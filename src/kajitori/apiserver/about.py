"""What a server says of itself: the paths that it knows (/), since when it runs (/statusz), and its flags (/flagz,
KEP-4827 and KEP-4828)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from kajitori.api.errors import NotAcceptable
from kajitori.api.times import timestamp
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import Accepted, alternatives_of, encode_document
from kajitori.kit.clock import Clock

STATUS, FLAGS = "/statusz", "/flagz"
GO_VERSION = "none (Python)"
_NAME = "apiserver"
_LISTED = (FLAGS, "/healthz", "/livez", "/metrics", "/readyz", STATUS, "/version")
_TEXT = "text/plain; charset=utf-8"
_FOR_PEOPLE = (
    "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is "
    "for debugging purposes only."
)
_GROUP = "config.k8s.io"
_VERSIONS = ("v1beta1", "v1alpha1")


def index(paths: Sequence[str]) -> Response:
    document = {"paths": sorted(set(paths))}
    return Response(200, orjson.dumps(document, option=orjson.OPT_INDENT_2))


class About:
    """`version` is of this server ("v1.36.2"); `flags` are as they were given, `--name=value`."""

    def __init__(self, clock: Clock, version: str, flags: Sequence[str]) -> None:
        self._clock = clock
        self._began_s = clock.now()
        self._version = version.lstrip("v")
        self._flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in sorted(flags))

    def respond(self, context: RequestContext) -> Response | None:
        """None for other paths. Raises NotAcceptable."""
        if context.path == STATUS:
            return _shown(context, "Statusz", self._status, self._status_text)
        if context.path == FLAGS:
            return _shown(context, "Flagz", lambda: {"flags": self._flags}, self._flags_text)
        return None

    def _status(self) -> dict[str, Any]:
        return {
            "startTime": timestamp(self._began_s),
            "uptimeSeconds": int(self._clock.now() - self._began_s),
            "goVersion": GO_VERSION,
            "binaryVersion": self._version,
            "emulationVersion": ".".join(self._version.split(".")[:2]),
            "paths": list(_LISTED),
        }

    def _status_text(self) -> list[str]:
        status = self._status()
        minutes, seconds = divmod(status["uptimeSeconds"], 60)
        hours, minutes = divmod(minutes, 60)
        return [
            "",
            f"Started: {status['startTime']}",
            f"Up: {hours} hr {minutes:02} min {seconds:02} sec",
            f"Go version: {status['goVersion']}",
            f"Binary version: {status['binaryVersion']}",
            f"Emulation version: {status['emulationVersion']}",
            f"Paths: {' '.join(_LISTED)}",
        ]

    def _flags_text(self) -> list[str]:
        return [f"{name}={value}" for name, value in self._flags.items()]


def _shown(
    context: RequestContext, kind: str, document: Callable[[], Mapping[str, Any]], text: Callable[[], list[str]]
) -> Response:
    """As text for people, or as the object that the alternative asks for."""
    for media, parameters in alternatives_of(context.headers.get("accept") or "*/*"):
        if media in ("*/*", "text/*", "text/plain"):
            lines = [f"\n{_NAME} {kind.lower()}", _FOR_PEOPLE, *text()]
            return Response(200, ("\n".join(lines) + "\n").encode(), _TEXT)
        version = parameters.get("v", "")
        asks = (parameters.get("g"), parameters.get("as")) == (_GROUP, kind)
        if media in ("application/json", "application/yaml") and asks and version in _VERSIONS:
            if version != _VERSIONS[0]:
                endpoint = context.path.strip("/")
                context.warnings.append(
                    f"This version of the {endpoint} endpoint is deprecated. Please use a newer version."
                )
            shown = {"kind": kind, "apiVersion": f"{_GROUP}/{version}", "metadata": {"name": _NAME}, **document()}
            body = encode_document(shown, Accepted(yaml=media == "application/yaml"))
            return Response(200, body, f"{media};g={_GROUP};v={version};as={kind}")
    raise NotAcceptable(
        "only the following media types are accepted: application/json, application/yaml, text/plain", None
    )
