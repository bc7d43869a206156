"""KMS v2: the plugin keeps the key; what it does, and what it fails to do, shows in the store and in its health."""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api import core
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.encryption.configuration import KmsSettings, read_encryption
from kajitori.apiserver.encryption.envelope import Seed, Wrapped, packed, unpacked, wrapped
from kajitori.apiserver.encryption.figures import EncryptionFigures
from kajitori.apiserver.encryption.kms import KmsProvider
from kajitori.apiserver.encryption.kms_api import api_pb2 as api
from kajitori.apiserver.encryption.kms_service import PluginFailed, Status
from kajitori.apiserver.encryption.plugins import kms_providers
from kajitori.apiserver.encryption.providers import WrongKey
from kajitori.apiserver.encryption.storage import EncryptedStorage
from kajitori.apiserver.exposition import exposition
from kajitori.kit.clock import SystemClock, VirtualClock
from kajitori.storage.interface import Put, Storage, Unavailable
from kajitori.storage.memory import MemoryStorage
from kajitori.testing.cluster import ControlPlane

PLACE = "/registry/core/secrets/default/s"
CONFIGURATION = """apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - kms: {apiVersion: v2, name: vault, endpoint: "unix://SOCKET", timeout: 60s}
  - identity: {}
"""


def masked(data: bytes, key_id: str) -> bytes:
    """Both ways."""
    mask = hashlib.sha256(key_id.encode()).digest() * (len(data) // 32 + 1)
    return bytes(a ^ b for a, b in zip(data, mask, strict=False))


class Plugin:
    """A plugin in this process."""

    def __init__(self) -> None:
        self.key_id = "key-1"
        self.encrypts_with = ""
        self.version = "v2"
        self.healthz = "ok"
        self.down = ""
        self.calls: list[str] = []

    async def status(self) -> Status:
        self._called("status")
        return Status(self.version, self.healthz, self.key_id)

    async def encrypt(self, secret: bytes) -> Wrapped:
        self._called("encrypt")
        key_id = self.encrypts_with or self.key_id
        return wrapped(key_id, masked(secret, key_id), {"vault.example.com": b"1"})

    async def decrypt(self, wrap: Wrapped) -> bytes:
        self._called("decrypt")
        return masked(wrap.source, wrap.key_id)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.down:
            raise PluginFailed(self.down)

    async def close(self) -> None:
        self.calls.append("close")


class World:
    def __init__(self, folder: Path, inner: Storage | None = None, plugin: Plugin | None = None) -> None:
        self.clock = VirtualClock()
        self.figures = EncryptionFigures(self.clock)
        self.plugin = plugin or Plugin()
        self.path = folder / "encryption.yaml"
        self.path.write_text(CONFIGURATION)
        self.inner = inner or MemoryStorage()
        self.storage = EncryptedStorage(self.inner, self.read(), self.clock, self.figures)

    def read(self) -> Any:
        def provider(settings: KmsSettings) -> KmsProvider:
            return KmsProvider(settings, self.plugin, self.clock, self.figures)

        return read_encryption(self.path, provider)

    async def value(self) -> bytes:
        record = await self.storage.read(PLACE)
        assert record is not None
        return record.value

    async def stored(self) -> bytes:
        record = await self.inner.read(PLACE)
        assert record is not None
        return record.value


def run(folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(folder)
        await world.storage.begin()
        await scenario(world)
        await world.storage.close()

    asyncio.run(main())


def test_values_are_stored_in_upstreams_envelope(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.storage.commit(Put(PLACE, b"value"))
        stored = await w.stored()
        assert stored.startswith(b"k8s:enc:kms:v2:vault:")
        assert b"value" not in stored
        found = api.EncryptedObject.FromString(stored.removeprefix(b"k8s:enc:kms:v2:vault:"))
        assert (found.key_id, found.encrypted_dek_source_type) == ("key-1", api.HKDF_SHA256_XNONCE_AES_GCM_SEED)
        assert found.annotations == {"vault.example.com": b"1"}
        assert len(found.encrypted_data) == 32 + 12 + len(b"value") + 16
        assert await w.value() == b"value"
        assert w.plugin.calls == ["status", "encrypt"]  # neither writing nor reading it asks the plugin

    run(tmp_path, scenario)


def test_a_seed_is_asked_for_once(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.storage.commit(Put(PLACE, b"value"))
        again = World(tmp_path, w.inner)
        await again.storage.begin()
        again.plugin.calls.clear()
        assert await asyncio.gather(*(again.value() for _ in range(5))) == [b"value"] * 5
        assert again.plugin.calls == ["decrypt"]
        assert PLACE not in again.storage.stale
        await again.storage.end()

    run(tmp_path, scenario)


def test_another_key_means_a_new_seed_and_stale_values(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.storage.commit(Put(PLACE, b"value"))
        await w.value()
        w.plugin.key_id = "key-2"
        await w.clock.advance(59)
        assert w.storage.stale == set()
        await w.clock.advance(2)
        assert w.storage.stale == {PLACE}
        assert await w.value() == b"value"
        await w.storage.commit(Put(PLACE, b"value"))
        assert w.storage.stale == set()
        assert b"key-2" in await w.stored()

    run(tmp_path, scenario)


def test_what_has_not_been_confirmed_for_three_minutes_writes_nothing(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.storage.commit(Put(PLACE, b"value"))
        w.plugin.down = "gone"
        await w.clock.advance(179)
        await w.storage.commit(Put(PLACE, b"other"))
        await w.clock.advance(2)
        with pytest.raises(Unavailable, match=r"cannot be encrypted: the KMS plugin vault has not confirmed its key"):
            await w.storage.commit(Put(PLACE, b"third"))
        assert await w.value() == b"other"
        w.plugin.down = ""
        await w.clock.advance(10)
        await w.storage.commit(Put(PLACE, b"third"))
        assert await w.value() == b"third"

    run(tmp_path, scenario)


def test_a_plugin_that_comes_up_later_is_found_within_ten_seconds(tmp_path: Path) -> None:
    async def main() -> None:
        plugin = Plugin()
        plugin.down = "no such socket"
        w = World(tmp_path, plugin=plugin)
        await w.storage.begin()
        assert await w.storage.health() == "kms-provider-0: no such socket"
        with pytest.raises(Unavailable, match=r"has never been ready: no such socket: look at the plugin"):
            await w.storage.commit(Put(PLACE, b"value"))
        plugin.down = ""
        await w.clock.advance(10)
        await w.storage.commit(Put(PLACE, b"value"))
        assert await w.storage.health() == ""
        await w.storage.close()
        assert plugin.calls[-1] == "close"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "v1"}, "it speaks version 'v1' of the API, it must be 'v2'"),
        ({"version": "v2beta1"}, "it speaks version 'v2beta1' of the API, it must be 'v2'"),
        ({"key_id": ""}, "the key id is empty"),
        ({"key_id": "k" * 1025}, "the key id has 1025 bytes, allowed are 1024"),
        ({"healthz": "sealed"}, "it says that it is not well: sealed"),
        ({"key_id": "key-2", "encrypts_with": "key-3"}, "with another key than the one it says is current"),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said(tmp_path: Path, change: dict[str, str], why: str) -> None:
    async def scenario(w: World) -> None:
        for name, value in change.items():
            setattr(w.plugin, name, value)
        asked = len(w.plugin.calls)
        assert await w.storage.health() == ""
        assert len(w.plugin.calls) == asked  # an answer holds for a while
        await w.clock.advance(20)
        assert why in await w.storage.health()

    run(tmp_path, scenario)


def test_a_value_that_cannot_be_opened_says_what_why_and_what_to_do(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.storage.commit(Put(PLACE, b"value"))
        again = World(tmp_path, w.inner)
        await again.storage.begin()
        again.plugin.down = "the key was destroyed"
        with pytest.raises(Unavailable) as caught:
            await again.value()
        assert str(caught.value) == (
            f'{PLACE} was encrypted with kms, plugin "vault", and {again.path} cannot decrypt it (the KMS plugin vault '
            "cannot decrypt its seed: the key was destroyed): see that the plugin runs and still has the key"
        )
        await again.storage.end()

    run(tmp_path, scenario)


def test_a_file_is_taken_up_when_its_plugins_are_well(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.storage.commit(Put(PLACE, b"value"))
        first, w.plugin = w.plugin, Plugin()
        w.plugin.down = "no such socket"
        with pytest.raises(BadConfiguration, match=r"a KMS plugin is not well \(vault: no such socket\)"):
            await w.storage.use(w.read())
        await w.storage.commit(Put(PLACE, b"value"))
        w.plugin.down = ""
        await w.storage.use(w.read())
        assert await w.value() == b"value"
        assert "close" not in first.calls
        await w.clock.advance(60)
        assert first.calls[-1] == "close"
        w.path.write_text(CONFIGURATION.replace("  - identity: {}\n", "").replace("kms:", "identity: {}\n  - kms:"))
        await w.storage.use(w.read())
        assert w.storage.stale == {PLACE}
        await w.storage.commit(Put(PLACE, b"value"))
        assert await w.stored() == b"value"

    run(tmp_path, scenario)


def test_figures_have_upstreams_names(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.storage.commit(Put(PLACE, b"value"))
        await w.value()
        shown = exposition(w.figures.families(), False).decode()
        assert (
            'apiserver_storage_transformation_operations_total{resource="secrets",transformation_type="to_storage",'
            'transformer_prefix="k8s:enc:kms:v2:vault:",status="OK"} 1' in shown
        )
        assert "apiserver_storage_data_key_generation_duration_seconds_count 1" in shown
        assert 'apiserver_envelope_encryption_dek_source_cache_size{provider_name="vault"} 1' in shown
        digest = hashlib.sha256(b"key-1").hexdigest()
        assert f'transformation_type="from_storage",provider_name="vault",key_id_hash="sha256:{digest}"' in shown

    run(tmp_path, scenario)


@given(st.binary(), st.text(min_size=1, max_size=50), st.binary(min_size=1, max_size=1024))
def test_an_envelope_comes_back(data: bytes, key_id: str, source: bytes) -> None:
    wrap = wrapped(key_id, source, {"a.example.com": b"1", "b.example.com": b""})
    assert unpacked(packed(wrap, data)) == (wrap, data)


@given(st.binary(max_size=200))
def test_noise_is_no_envelope_or_a_valid_one(noise: bytes) -> None:
    try:
        wrap, _ = unpacked(noise)
    except WrongKey:
        return
    assert wrap.fault() == ""


@given(st.binary(), st.binary(max_size=100))
def test_a_seed_opens_what_it_sealed_at_that_place_alone(value: bytes, place: bytes) -> None:
    seed = Seed(b"s" * 32)
    sealed = seed.seal(value, place)
    assert seed.open(sealed, place) == value
    for other, at in ((seed, place + b"x"), (Seed(b"t" * 32), place)):
        with pytest.raises(WrongKey):
            other.open(sealed, at)


def test_a_value_made_by_upstreams_scheme_is_read() -> None:
    """HKDF-Expand(SHA-256, seed, info) as RFC 5869 has it, by another implementation."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

    secret, info, nonce = bytes(range(32)), bytes(range(100, 132)), b"n" * 12
    key = HKDFExpand(SHA256(), 32, info).derive(secret)
    data = info + nonce + AESGCM(key).encrypt(nonce, b"value", b"/place")
    assert Seed(secret).open(data, b"/place") == b"value"
    direct = nonce + AESGCM(secret).encrypt(nonce, b"value", b"/place")
    assert Seed(secret, direct=True).open(direct, b"/place") == b"value"
    with pytest.raises(WrongKey):
        Seed(b"short")


async def serve(plugin: Plugin, socket: Path) -> grpc.aio.Server:
    """The same plugin behind a real socket."""

    async def status(request: Any, context: Any) -> Any:
        found = await plugin.status()
        return api.StatusResponse(version=found.version, healthz=found.healthz, key_id=found.key_id)

    async def encrypt(request: Any, context: Any) -> Any:
        assert uuid.UUID(request.uid)
        found = await plugin.encrypt(request.plaintext)
        return api.EncryptResponse(ciphertext=found.source, key_id=found.key_id, annotations=dict(found.annotations))

    async def decrypt(request: Any, context: Any) -> Any:
        if plugin.down:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, plugin.down)
        wrap = wrapped(request.key_id, request.ciphertext, request.annotations)
        return api.DecryptResponse(plaintext=await plugin.decrypt(wrap))

    methods = {
        name: grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        for name, answer, request in (
            ("Status", status, api.StatusRequest),
            ("Encrypt", encrypt, api.EncryptRequest),
            ("Decrypt", decrypt, api.DecryptRequest),
        )
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v2.KeyManagementService", methods),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    return server


def test_over_a_real_socket_from_the_api_to_the_plugin_and_back(tmp_path: Path) -> None:
    async def main() -> None:
        plugin, clock = Plugin(), SystemClock()
        server = await serve(plugin, tmp_path / "kms.sock")
        path = tmp_path / "encryption.yaml"
        path.write_text(CONFIGURATION.replace("SOCKET", str(tmp_path / "kms.sock")))
        inner = MemoryStorage()

        async def opened() -> tuple[EncryptedStorage, EncryptionFigures]:
            figures = EncryptionFigures(clock)
            storage = EncryptedStorage(inner, read_encryption(path, kms_providers(clock, figures)), clock, figures)
            await storage.begin()
            return storage, figures

        storage, _ = await opened()
        async with ControlPlane(storage=storage) as plane:
            secret = {"metadata": {"name": "s", "namespace": "default"}, "data": {"a": "Yg=="}}
            await plane.client.create(core.SECRET, secret)
            stored = await inner.read(PLACE)
            assert stored is not None
            assert stored.value.startswith(b"k8s:enc:kms:v2:vault:")
            await storage.end()
            storage, figures = await opened()
            record = await storage.read(PLACE)
            assert record is not None
            assert b'"Yg=="' in record.value
            shown = exposition(figures.families(), False).decode()
            assert 'method_name="/v2.KeyManagementService/Decrypt",grpc_status_code="OK"' in shown
            await storage.end()
            plugin.down = ""
            storage, _ = await opened()
            plugin.down = "sealed"
            with pytest.raises(Unavailable, match=r"Decrypt: FailedPrecondition: sealed\): see that the plugin runs"):
                await storage.read(PLACE)
            await storage.end()
        await server.stop(None)

    asyncio.run(main())
