"""Values in the store are what the configuration says, and come back or fail, never something else."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kajitori.api import core
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.encryption.configuration import Encryption, read_encryption
from kajitori.apiserver.encryption.figures import EncryptionFigures
from kajitori.apiserver.encryption.storage import EncryptedStorage
from kajitori.kit.clock import VirtualClock
from kajitori.storage.interface import ABSENT, Conflict, Delete, Put, Storage, Unavailable
from kajitori.storage.memory import MemoryStorage
from kajitori.storage.sqlite import SqliteStorage
from kajitori.testing.cluster import ControlPlane

SECRET, MAP = "/registry/core/secrets/default/s", "/registry/core/configmaps/default/c"
KEYS = {name: base64.b64encode(name.encode().ljust(32, b"-")).decode() for name in ("one", "two")}


def encrypted(storage: Storage, encryption: Encryption) -> EncryptedStorage:
    clock = VirtualClock()
    return EncryptedStorage(storage, encryption, clock, EncryptionFigures(clock))


def configuration(folder: Path, *providers: str, resources: str = "[secrets]") -> Encryption:
    """Providers as `kind:key`, or `identity`."""
    lines = []
    for provider in providers:
        kind, _, key = provider.partition(":")
        lines.append(f"{kind}: {{keys: [{{name: {key}, secret: {KEYS[key]}}}]}}" if key else f"{kind}: {{}}")
    path = folder / "encryption.yaml"
    path.write_text(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
        f"- resources: {resources}\n  providers:\n" + "".join(f"  - {line}\n" for line in lines)
    )
    return read_encryption(path)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


async def stored(storage: Storage, key: str = SECRET) -> bytes:
    record = await storage.read(key)
    assert record is not None
    return record.value


@pytest.mark.parametrize("kind", ["aescbc", "aesgcm", "secretbox"])
@pytest.mark.parametrize("value", [b"", b"{}", b"x" * 16, b"y" * 100_001])
def test_what_goes_in_comes_out_and_is_unreadable_in_between(tmp_path: Path, kind: str, value: bytes) -> None:
    async def scenario() -> None:
        inner = MemoryStorage()
        storage = encrypted(inner, configuration(tmp_path, f"{kind}:one"))
        await storage.commit(Put(SECRET, value), ABSENT)
        await storage.commit(Put(MAP, value))
        raw = await stored(inner)
        assert raw.startswith(f"k8s:enc:{kind}:v1:one:".encode())
        assert len(value) < 16 or value not in raw
        assert await stored(storage) == value
        assert await stored(inner, MAP) == value
        (found,) = (await storage.scan("/registry/core/secrets/")).records
        assert found.value == value

    run(scenario)


@pytest.mark.parametrize(
    ("kind", "sealed"),
    [
        # Made with upstream's format by hand: IV or nonce of zeros, key "one" padded with dashes to 32 bytes.
        ("aescbc", "k8s:enc:aescbc:v1:one:"),
        ("aesgcm", "k8s:enc:aesgcm:v1:one:"),
    ],
)
def test_values_of_upstreams_format_are_read(tmp_path: Path, kind: str, sealed: str) -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = base64.b64decode(KEYS["one"])
    if kind == "aescbc":
        encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
        # PKCS#7 adds a whole block to a whole block.
        raw = bytes(16) + encryptor.update(b"sixteen bytes ok" + bytes([16]) * 16) + encryptor.finalize()
    else:
        raw = bytes(12) + AESGCM(key).encrypt(bytes(12), b"sixteen bytes ok", SECRET.encode())

    async def scenario() -> None:
        inner = MemoryStorage()
        await inner.commit(Put(SECRET, sealed.encode() + raw))
        assert await stored(encrypted(inner, configuration(tmp_path, f"{kind}:one"))) == b"sixteen bytes ok"

    run(scenario)


def test_the_first_key_writes_and_all_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        inner = MemoryStorage()
        await inner.commit(Put(SECRET + "0", b"plain"))
        old = encrypted(inner, configuration(tmp_path, "aescbc:one", "identity"))
        await old.commit(Put(SECRET, b"value"))
        new = encrypted(inner, configuration(tmp_path, "aesgcm:two", "aescbc:one", "identity"))
        assert await stored(new) == b"value"
        assert await stored(new, SECRET + "0") == b"plain"
        assert new.stale == {SECRET, SECRET + "0"}
        await new.commit(Put(SECRET, b"value"))
        assert new.stale == {SECRET + "0"}
        assert (await stored(inner)).startswith(b"k8s:enc:aesgcm:v1:two:")
        back = encrypted(inner, configuration(tmp_path, "identity", "aesgcm:two"))
        assert await stored(back) == b"value"
        assert back.stale == {SECRET}

    run(scenario)


@pytest.mark.parametrize(
    ("written", "read", "named"),
    [
        ("aesgcm:one", ["aesgcm:two"], 'aesgcm, key "one"'),
        ("aescbc:one", ["secretbox:one"], 'aescbc, key "one"'),
        ("secretbox:one", ["identity"], 'secretbox, key "one"'),
        ("identity", ["aescbc:one"], "plain text"),
    ],
)
def test_what_no_key_opens_is_neither_served_nor_lost(
    tmp_path: Path, written: str, read: list[str], named: str
) -> None:
    async def scenario() -> None:
        inner = MemoryStorage()
        await encrypted(inner, configuration(tmp_path, written)).commit(Put(SECRET, b"value"))
        raw = await stored(inner)
        storage = encrypted(inner, configuration(tmp_path, *read))
        for attempt in (storage.read(SECRET), storage.scan("/registry/")):
            with pytest.raises(Unavailable) as caught:
                await attempt
            assert named in str(caught.value)
            assert str(tmp_path / "encryption.yaml") in str(caught.value)
        with pytest.raises(Unavailable):  # a conflict shows what stands there
            await storage.commit(Put(SECRET, b"other"), ABSENT)
        assert await stored(inner) == raw

    run(scenario)


@pytest.mark.parametrize("kind", ["aesgcm", "secretbox"])
def test_a_key_of_the_same_name_but_other_bytes_or_a_flipped_bit_opens_nothing(tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        inner = MemoryStorage()
        storage = encrypted(inner, configuration(tmp_path, f"{kind}:one"))
        await storage.commit(Put(SECRET, b"value"))
        raw = await stored(inner)
        await inner.commit(Put(SECRET, raw[:-1] + bytes([raw[-1] ^ 1])))
        with pytest.raises(Unavailable, match="authentication tag"):
            await storage.read(SECRET)

    run(scenario)


def test_a_value_moved_to_another_place_is_not_accepted(tmp_path: Path) -> None:
    """aesgcm binds a value to its key in the store: an administrator of the disk cannot swap secrets."""

    async def scenario() -> None:
        inner = MemoryStorage()
        storage = encrypted(inner, configuration(tmp_path, "aesgcm:one"))
        await storage.commit(Put(SECRET, b"value"))
        await inner.commit(Put(SECRET + "2", await stored(inner)))
        with pytest.raises(Unavailable):
            await storage.read(SECRET + "2")

    run(scenario)


def test_what_another_server_deleted_is_not_remembered_as_stale(tmp_path: Path) -> None:
    async def scenario() -> None:
        inner = MemoryStorage()
        written = await inner.commit(Put(SECRET, b"plain"))
        storage = encrypted(inner, configuration(tmp_path, "aesgcm:one", "identity"))
        events = storage.watch("/registry/", written - 1)
        await anext(events)
        assert storage.stale == {SECRET}
        await inner.commit(Delete(SECRET))
        assert (await anext(events)).record is None
        assert storage.stale == set()

    run(scenario)


def test_events_and_conflicts_come_decrypted(tmp_path: Path) -> None:
    async def scenario() -> None:
        storage = encrypted(MemoryStorage(), configuration(tmp_path, "aesgcm:one"))
        first = await storage.commit(Put(SECRET, b"1"))
        await storage.commit(Put(SECRET, b"2"), first)
        with pytest.raises(Conflict) as caught:
            await storage.commit(Put(SECRET, b"3"), first)
        assert caught.value.current is not None
        assert caught.value.current.value == b"2"
        await storage.commit(Delete(SECRET))
        events = storage.watch("/registry/", first - 1)
        seen = [await anext(events) for _ in range(3)]
        assert [event.record.value if event.record else None for event in seen] == [b"1", b"2", None]
        assert [event.previous.value if event.previous else None for event in seen] == [None, b"1", b"2"]
        assert storage.stale == set()

    run(scenario)


@pytest.mark.parametrize(
    ("resources", "group", "plural", "sealed"),
    [
        ("[secrets]", "core", "secrets", True),
        ("[secrets]", "core", "configmaps", False),
        ("[secrets]", "example.org", "secrets", False),
        ("[deployments.apps]", "apps", "deployments", True),
        ("['*.apps']", "apps", "statefulsets", True),
        ("['*.']", "core", "configmaps", True),
        ("['*.']", "apps", "deployments", False),
        ("['*.*']", "example.org", "things", True),
    ],
)
def test_which_resources_are_meant(tmp_path: Path, resources: str, group: str, plural: str, sealed: bool) -> None:
    encryption = configuration(tmp_path, "aescbc:one", resources=resources)
    assert (encryption.transformer_of(group, plural) is not None) is sealed


HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("kind: Secret", "kind: 'Secret': must be EncryptionConfiguration"),
        (HEAD, "resources: required"),
        (HEAD + "resources: [{providers: [{identity: {}}]}]", "resources[0].resources: required"),
        (HEAD + "resources: [{resources: [secrets], provider: []}]", "resources[0].provider: unknown field"),
        (HEAD + "resources: [{resources: [secrets], providers: []}]", "resources[0].providers: required"),
        (HEAD + "resources: [{resources: ['*'], providers: [{identity: {}}]}]", "resources[0].resources: '*': write"),
        (
            HEAD + "resources: [{resources: [Secrets], providers: [{identity: {}}]}]",
            "resources[0].resources: 'Secrets'",
        ),
        (
            HEAD + "resources: [{resources: [s], providers: [{aescbc: {}, identity: {}}]}]",
            "resources[0].providers[0]: must",
        ),
        (HEAD + "resources: [{resources: [s], providers: [{aescbc: {keys: []}}]}]", "resources[0].providers[0].aescbc"),
        (
            HEAD + "resources: [{resources: [s], providers: [{aescbc: {keys: [{name: k, secret: '%%'}]}}]}]",
            "resources[0].providers[0].aescbc.keys[0].secret: is not base64",
        ),
        (
            HEAD + "resources: [{resources: [s], providers: [{aesgcm: {keys: [{name: k, secret: aGk=}]}}]}]",
            "resources[0].providers[0].aesgcm.keys[0].secret: has 2 bytes, aesgcm needs 16 or 24 or 32",
        ),
        (
            HEAD + "resources: [{resources: [s], providers: [{kms: {}}]}]",
            "resources[0].providers[0].kms.apiVersion: 'v1'",
        ),
        *(
            (
                f"{HEAD}resources: [{{resources: [s], providers: [{{kms: {{apiVersion: v2, {fields}}}}}]}}]",
                f"resources{place}",
            )
            for fields, place in (
                ("endpoint: 'unix:///k'", "[0].providers[0].kms.name: required"),
                ("name: 'a:b'", "[0].providers[0].kms.name: 'a:b': must hold no colon"),
                ("name: a, endpoint: 'tcp://k'", "[0].providers[0].kms.endpoint: 'tcp://k': must name a unix socket"),
                ("name: a, endpoint: 'unix:///'", "[0].providers[0].kms.endpoint: 'unix:///'"),
                ("name: a, endpoint: 'unix:///k', timeout: 0s", "[0].providers[0].kms.timeout: must be more than 0"),
                ("name: a, endpoint: 'unix:///k', cachesize: 5", "[0].providers[0].kms.cachesize: does not go"),
            )
        ),
        (
            HEAD
            + "resources:\n"
            + 2 * "- {resources: [s], providers: [{kms: {apiVersion: v2, name: a, endpoint: 'unix:///k'}}]}\n",
            "resources: the kms plugin 'a' is named twice",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_never_with_the_key(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(text)
    with pytest.raises(BadConfiguration) as caught:
        read_encryption(path)
    assert str(caught.value).startswith(f"{path}: {place}")
    assert "aGk=" not in str(caught.value)


def _secret(value: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default"},
        "data": {"password": base64.b64encode(value.encode()).decode()},
    }


def test_the_database_holds_no_plaintext_anywhere(tmp_path: Path) -> None:
    """Neither in the file nor in its log, after updates and a deletion, and through a restart."""
    words = ["correct-horse-battery", "staple-staple-staple"]

    async def scenario() -> None:
        encryption = configuration(tmp_path, "aescbc:one", resources="[secrets]")
        inner = await SqliteStorage.open(tmp_path / "store.db")
        async with ControlPlane(storage=encrypted(inner, encryption)) as plane:
            await plane.add(_secret(words[0]))
            await plane.client.update(core.SECRET, _secret(words[1]))
            files = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
            assert b"k8s:enc:aescbc:v1:one:" in files
            for word in words:
                assert word.encode() not in files
                assert base64.b64encode(word.encode()) not in files
        again = ControlPlane(storage=encrypted(await SqliteStorage.open(tmp_path / "store.db"), encryption))
        await again.server.start()
        found = again.server.objects.cached(core.SECRET, "s", "default")
        assert found is not None
        assert found["data"] == _secret(words[1])["data"]
        await again.server.stop()
        await again.storage.close()

    run(scenario)


def test_writing_the_same_again_migrates(tmp_path: Path) -> None:
    async def scenario() -> None:
        inner = MemoryStorage()
        async with ControlPlane(storage=inner) as plane:
            await plane.add(_secret("word"))
            # The store is used again with encryption; the first server has gone.
            storage = encrypted(inner, configuration(tmp_path, "aesgcm:one", "identity"))
            again = ControlPlane(storage=storage)
            again.server.backend.stale = storage.stale
            await again.server.start()
            secret = await again.client.get(core.SECRET, "s", "default")
            written = await again.client.update(core.SECRET, secret)
            assert written["metadata"]["resourceVersion"] != secret["metadata"]["resourceVersion"]
            assert (await stored(inner)).startswith(b"k8s:enc:aesgcm:v1:one:")
            once_more = await again.client.update(core.SECRET, written)
            assert once_more["metadata"]["resourceVersion"] == written["metadata"]["resourceVersion"]
            await again.server.stop()

    run(scenario)


def test_a_server_without_the_configuration_does_not_start_on_encrypted_objects(tmp_path: Path) -> None:
    async def scenario() -> None:
        inner = MemoryStorage()
        storage = encrypted(inner, configuration(tmp_path, "aesgcm:one"))
        async with ControlPlane(storage=storage) as plane:
            await plane.add(_secret("word"))
            blind = ControlPlane(storage=inner)
            with pytest.raises(Unavailable, match="give --encryption-provider-config"):
                await blind.server.start()

    run(scenario)
