"""The gRPC health check (grpc.health.v1), encoded by hand: one string out, one enum back."""

import grpc
import grpc.aio

from kajitori.kubelet.http_probe import Outcome

CHECK = "/grpc.health.v1.Health/Check"
SERVING = 1
_STATUS = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


def _request(service: str) -> bytes:
    """HealthCheckRequest{service = 1}."""
    name = service.encode()
    if not name:
        return b""
    size, prefix = len(name), bytearray()
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return b"\x0a" + bytes(prefix) + bytes([size]) + name


def _status(answer: bytes) -> int:
    """HealthCheckResponse{status = 1}; absent means 0, UNKNOWN."""
    return answer[1] if len(answer) >= 2 and answer[0] == 0x08 else 0


async def probe_grpc(ip: str, port: int, service: str, timeout_s: float) -> Outcome:
    address = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    async with grpc.aio.insecure_channel(address) as channel:
        check = channel.unary_unary(CHECK)
        try:
            status = _status(await check(_request(service), timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            return Outcome(False, _failure(address, error, timeout_s))
    if status == SERVING:
        return Outcome(True)
    name = _STATUS[status] if status < len(_STATUS) else str(status)
    return Outcome(False, f'service unhealthy (responded with "{name}")')


def _failure(address: str, error: grpc.aio.AioRpcError, timeout_s: float) -> str:
    match error.code():
        case grpc.StatusCode.UNIMPLEMENTED:
            return "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"timeout: health rpc did not complete within {timeout_s:g}s"
        case grpc.StatusCode.UNAVAILABLE:
            return f'timeout: failed to connect service "{address}" within {timeout_s:g}s: {error.details()}'
    return f"error: health rpc probe failed: {error.details()}"
