"""A certificate authority, and an API server in memory whose watches and failures a test holds in its hands."""

import asyncio
import copy
import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kajitori.api.errors import AlreadyExists, Conflict, Expired, NotFound
from kajitori.api.meta import Object, ObjectKey, key_of
from kajitori.client.interface import ObjectList, WatchEvent, WatchEventType

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Authority:
    """`certificate` is PEM; `issue` gives a certificate and its key, both PEM."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder("test authority", self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, common_name: str, addresses: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(common_name, key)
        if addresses:
            names = [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), private

    def _builder(self, common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(_name("test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(END)
        )


@pytest.fixture
def make_authority() -> type[Authority]:
    return Authority


class FakeServer:
    """As much of `Client` as informers, events and leases use; `calls` remembers verbs, `fail` is raised next.

    Watches send what `send` is told; `hang_up` ends them, `compact` makes old resource versions unknown.
    """

    def __init__(self) -> None:
        self.objects: dict[ObjectKey, Object] = {}
        self.calls: list[str] = []
        self.watched_from: list[str] = []
        self.fail: list[Exception] = []
        self.revision = 10
        self.oldest = 0
        self._history: list[tuple[int, WatchEvent]] = []
        self._wakeups: list[asyncio.Future[None]] = []
        self._generation = 0
        self._hang_up_with: Exception | None = None

    # what a test does

    def put(self, obj: Object) -> Object:
        self.revision += 1
        stored = copy.deepcopy(obj)
        stored["metadata"]["resourceVersion"] = str(self.revision)
        old = self.objects.get(key_of(stored))
        stored["metadata"].setdefault("uid", old["metadata"]["uid"] if old else f"uid-{self.revision}")
        self.objects[key_of(stored)] = stored
        self.send(WatchEventType.MODIFIED if old else WatchEventType.ADDED, stored)
        return stored

    def remove(self, key: ObjectKey) -> None:
        self.revision += 1
        gone = copy.deepcopy(self.objects.pop(key))
        gone["metadata"]["resourceVersion"] = str(self.revision)
        self.send(WatchEventType.DELETED, gone)

    def send(self, kind: WatchEventType, obj: Object) -> None:
        self._history.append((self.revision, WatchEvent(kind, obj)))
        self._wake()

    def bookmark(self, revision: int) -> None:
        self.revision = revision
        self.send(WatchEventType.BOOKMARK, {"metadata": {"resourceVersion": str(revision)}})

    def hang_up(self, error: Exception | None = None) -> None:
        """End every watch, with an error or as if its time were over."""
        self._generation += 1
        self._hang_up_with = error
        self._wake()

    def compact(self) -> None:
        self.oldest = self.revision

    # what a client does

    async def get(self, resource, name, namespace=None, *, subresource=None):
        self._called("get")
        found = self.objects.get(ObjectKey(namespace or "", name))
        if found is None:
            raise NotFound.of(resource.group, resource.plural, name)
        return copy.deepcopy(found)

    async def list(self, resource, namespace=None, *, label_selector="", field_selector="", **_):
        self._called("list")
        found = [o for k, o in self.objects.items() if namespace is None or k.namespace == namespace]
        return ObjectList(found, str(self.revision))

    async def create(self, resource, obj, namespace=None, *, name=None, subresource=None):
        self._called("create")
        if key_of(obj) in self.objects:
            raise AlreadyExists.of(resource.group, resource.plural, obj["metadata"]["name"])
        return copy.deepcopy(self.put(obj))

    async def update(self, resource, obj, *, subresource=None):
        self._called("update")
        current = self.objects.get(key_of(obj))
        if current is None:
            raise NotFound.of(resource.group, resource.plural, obj["metadata"]["name"])
        if current["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Conflict.modified(resource.group, resource.plural, obj["metadata"]["name"])
        return copy.deepcopy(self.put(obj))

    async def patch(self, resource, name, patch, namespace=None, **_):
        self._called("patch")
        found = self.objects.get(ObjectKey(namespace or "", name))
        if found is None:
            raise NotFound.of(resource.group, resource.plural, name)
        return copy.deepcopy(self.put({**found, **patch}))

    async def watch(self, resource, namespace=None, *, resource_version, **_):
        self._called("watch")
        self.watched_from.append(resource_version)
        after, generation = int(resource_version), self._generation
        if after < self.oldest:
            raise Expired("too old resource version")
        sent = 0
        while True:
            while sent < len(self._history):
                revision, event = self._history[sent]
                sent += 1
                if revision > after:
                    yield event
            if generation != self._generation:
                if self._hang_up_with is not None:
                    raise self._hang_up_with
                return
            wakeup = asyncio.get_running_loop().create_future()
            self._wakeups.append(wakeup)
            await wakeup

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        if self.fail:
            raise self.fail.pop(0)

    def _wake(self) -> None:
        for wakeup in self._wakeups:
            if not wakeup.done():
                wakeup.set_result(None)
        self._wakeups.clear()


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()
