"""A KMS plugin at the other end of a unix socket: v2.KeyManagementService over gRPC."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from kajitori.apiserver.encryption.envelope import Wrapped, wrapped
from kajitori.apiserver.encryption.kms_api import api_pb2 as api

_SERVICE = "/v2.KeyManagementService/"
TIMEOUT_S = 3.0
Observe = Callable[[str, float, str], None]
"""Told of every call: the method, how long it took, gRPC's name of its outcome."""


class PluginFailed(Exception):
    """The plugin gave no answer, or a refusal; the message says which."""


@dataclass(frozen=True, slots=True)
class Status:
    version: str
    healthz: str
    key_id: str


class Plugin(Protocol):
    """Every method raises PluginFailed."""

    async def status(self) -> Status: ...

    async def encrypt(self, secret: bytes) -> Wrapped: ...

    async def decrypt(self, wrap: Wrapped) -> bytes: ...

    async def close(self) -> None: ...


class GrpcPlugin:
    """Connects with the first call. A call waits for the plugin to come up, but no longer than `timeout_s`."""

    def __init__(self, address: str, timeout_s: float, now_s: Callable[[], float], observe: Observe) -> None:
        """`address` as gRPC writes it: unix:/run/kms.sock or unix-abstract:name."""
        import grpc
        import grpc.aio

        self._grpc = grpc
        self._address = address
        self._timeout_s = timeout_s
        self._now_s = now_s
        self._observe = observe
        options = (("grpc.default_authority", "localhost"), ("grpc.max_reconnect_backoff_ms", 2_000))
        self._channel = grpc.aio.insecure_channel(address, options=options)
        self._calls: dict[str, Any] = {
            name: self._channel.unary_unary(
                _SERVICE + name,
                request_serializer=lambda m: m.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            for name, answer in (
                ("Status", api.StatusResponse),
                ("Encrypt", api.EncryptResponse),
                ("Decrypt", api.DecryptResponse),
            )
        }

    async def _call(self, name: str, request: Any) -> Any:
        began_s, outcome = self._now_s(), "OK"
        try:
            return await self._calls[name](request, timeout=self._timeout_s, wait_for_ready=True)
        except self._grpc.aio.AioRpcError as error:
            outcome = "".join(word.capitalize() for word in error.code().name.split("_"))
            raise PluginFailed(f"{self._address}: {name}: {outcome}: {error.details()}") from error
        finally:
            self._observe(_SERVICE + name, self._now_s() - began_s, outcome)

    async def status(self) -> Status:
        found = await self._call("Status", api.StatusRequest())
        return Status(found.version, found.healthz, found.key_id)

    async def encrypt(self, secret: bytes) -> Wrapped:
        found = await self._call("Encrypt", api.EncryptRequest(plaintext=secret, uid=str(uuid.uuid4())))
        return wrapped(found.key_id, found.ciphertext, found.annotations)

    async def decrypt(self, wrap: Wrapped) -> bytes:
        request = api.DecryptRequest(
            ciphertext=wrap.source, uid=str(uuid.uuid4()), key_id=wrap.key_id, annotations=dict(wrap.annotations)
        )
        return cast(bytes, (await self._call("Decrypt", request)).plaintext)

    async def close(self) -> None:
        await self._channel.close()
