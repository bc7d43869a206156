"""One plain HTTP/1.1 GET, as a probe or a lifecycle hook makes it: no certificate check, few redirects, short body."""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from kajitori.api.meta import Object
from kajitori.kit.clock import Clock, within
from kajitori.kubelet.config import VERSION

HEADER_BYTES_MAX = 64 * 1024
REDIRECTS_MAX = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    scheme: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()


class UnknownPort(Exception):
    """A port name that the container does not have."""


def resolve_port(port: int | str, container: Object) -> int:
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    if port.isdigit():
        return int(port)
    raise UnknownPort(f"couldn't find port: {port}")


def request_of(http: Object, container: Object, pod_ip: str) -> HttpRequest:
    headers = tuple((h["name"], h.get("value") or "") for h in http.get("httpHeaders") or ())
    path = http.get("path") or "/"
    return HttpRequest(
        (http.get("scheme") or "HTTP").lower(),
        http.get("host") or pod_ip,
        resolve_port(http["port"], container),
        path if path.startswith("/") else "/" + path,
        headers,
    )


def _insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def probe_http(request: HttpRequest, clock: Clock, timeout_s: float) -> Outcome:
    """Passed for 200 to 399."""
    url = f"{request.scheme}://{_host(request)}{request.path}"
    try:
        return await within(clock, timeout_s, _get(request, REDIRECTS_MAX))
    except TimeoutError:
        return Outcome(
            False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        )
    except (OSError, ssl.SSLError) as error:
        return Outcome(False, f'Get "{url}": dial tcp {_host(request)}: {describe(error)}')
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return Outcome(False, f'Get "{url}": malformed HTTP response')


def describe(error: OSError) -> str:
    """As the system calls of Go's errors read."""
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    return f"connect: {(error.strerror or str(error)).lower()}"


def _host(request: HttpRequest) -> str:
    host = f"[{request.host}]" if ":" in request.host else request.host
    return f"{host}:{request.port}"


async def _get(request: HttpRequest, redirects_left: int) -> Outcome:
    tls = _insecure() if request.scheme == "https" else None
    reader, writer = await asyncio.open_connection(request.host, request.port, ssl=tls, limit=HEADER_BYTES_MAX)
    try:
        writer.write(_head(request))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        location = headers.get("location")
        if status in (301, 302, 303, 307, 308) and location:
            return await _redirected(request, location, redirects_left)
        if 200 <= status < 400:
            return Outcome(True)
        return Outcome(False, f"HTTP probe failed with statuscode: {status}")
    finally:
        writer.close()


async def _redirected(request: HttpRequest, location: str, left: int) -> Outcome:
    """A redirect to another host is as good as an answer (upstream warns and passes)."""
    target = urlsplit(location)
    if target.hostname and target.hostname != request.host:
        return Outcome(True, f"Probe terminated redirects, Response body: {location}")
    if left <= 0:
        return Outcome(False, f'Get "{location}": stopped after {REDIRECTS_MAX} redirects')
    scheme = target.scheme or request.scheme
    port = target.port or (request.port if not target.hostname else {"https": 443}.get(scheme, 80))
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    return await _get(HttpRequest(scheme, request.host, port, path, request.headers), left - 1)


def _head(request: HttpRequest) -> bytes:
    given = {name.lower() for name, _ in request.headers}
    headers = list(request.headers)
    if "host" not in given:
        headers.append(("Host", _host(request)))
    if "user-agent" not in given:
        headers.append(("User-Agent", f"kube-probe/{'.'.join(VERSION.lstrip('v').split('.')[:2])}"))
    if "accept" not in given:
        headers.append(("Accept", "*/*"))
    headers.append(("Connection", "close"))
    lines = [f"GET {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
