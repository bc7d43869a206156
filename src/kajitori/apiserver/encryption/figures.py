"""What encryption does and how long it takes, under upstream's names. Nothing is counted where nothing is encrypted."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

from kajitori.apiserver.exposition import Family, Labels
from kajitori.apiserver.reloading import server_id_hash
from kajitori.apiserver.series import Counter, Histogram
from kajitori.kit.clock import Clock

_ENVELOPE, _STORAGE = "apiserver_envelope_encryption_", "apiserver_storage_"
_KEYS_MAX = 100
"""Keys whose last use is shown; the one used longest ago goes (upstream's bound)."""


def _doubling(first: float, count: int) -> tuple[float, ...]:
    return tuple(first * 2**power for power in range(count))


class EncryptionFigures:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._server = server_id_hash()
        self._durations = Histogram(
            f"{_STORAGE}transformation_duration_seconds",
            "How long values took to encrypt and decrypt.",
            "transformation_type transformer_prefix",
            _doubling(5e-6, 25),
        )
        self._operations = Counter(
            f"{_STORAGE}transformation_operations_total",
            "Values encrypted and decrypted, by outcome.",
            "resource transformation_type transformer_prefix status",
        )
        self._generation = Histogram(
            f"{_STORAGE}data_key_generation_duration_seconds", "How long new seeds took.", "", _doubling(5e-6, 14)
        )
        self._failures = Counter(f"{_STORAGE}data_key_generation_failures_total", "New seeds that failed.", "")
        self._misses = Counter(
            f"{_STORAGE}envelope_transformation_cache_misses_total", "Seeds that the plugin had to decrypt.", ""
        )
        self._calls = Histogram(
            f"{_ENVELOPE}kms_operations_latency_seconds",
            "How long KMS plugins took to answer.",
            "provider_name method_name grpc_status_code",
            _doubling(1e-4, 20),
        )
        self._invalid = Counter(
            f"{_ENVELOPE}invalid_key_id_from_status_total", "Key ids that cannot be.", "provider_name error"
        )
        self._used: OrderedDict[tuple[str, str, str], tuple[int, float]] = OrderedDict()
        """By transformation, provider and key id: how often, and when last."""
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._seeds: dict[str, int] = {}

    def transformed(self, kind: str, resource: str, prefix: str, duration_s: float) -> None:
        self._operations.add(resource, kind, prefix, "OK")
        self._durations.add(duration_s, kind, prefix)

    def failed(self, kind: str, resource: str, prefix: str) -> None:
        self._operations.add(resource, kind, prefix, "unknown-non-grpc")

    def called(self, provider: str, method: str, duration_s: float, outcome: str) -> None:
        self._calls.add(duration_s, provider, method, outcome)

    def missed(self) -> None:
        self._misses.add()

    def seed_made(self, duration_s: float) -> None:
        self._generation.add(duration_s)

    def seed_failed(self) -> None:
        self._failures.add()

    def seeds(self, provider: str, count: int) -> None:
        self._seeds[provider] = count

    def invalid_key_id(self, provider: str, error: str) -> None:
        self._invalid.add(provider, error)

    def key_used(self, kind: str, provider: str, key_id: str) -> None:
        key = (kind, provider, key_id)
        count, _ = self._used.pop(key, (0, 0.0))
        self._used[key] = (count + 1, self._clock.now())
        if len(self._used) > _KEYS_MAX:
            self._used.popitem(last=False)

    def key_told(self, provider: str, key_id: str) -> None:
        self._told.pop((provider, key_id), None)
        self._told[provider, key_id] = self._clock.now()
        if len(self._told) > _KEYS_MAX:
            self._told.popitem(last=False)

    def families(self) -> Iterator[Family]:
        for counted in (self._durations, self._operations, self._generation, self._calls):
            yield counted.family
        for counter in (self._failures, self._misses, self._invalid):
            yield counter.family

        def used() -> list[tuple[Labels, int, float]]:
            return [(self._labels(*key), count, at_s) for key, (count, at_s) in self._used.items()]

        name = f"{_ENVELOPE}key_id_hash_"
        yield Family(f"{name}total", "counter", "How often a key was used.", lambda: [(k, n) for k, n, _ in used()])
        yield Family(f"{name}last_timestamp_seconds", "gauge", "When last.", lambda: [(k, at) for k, _, at in used()])
        yield Family(
            f"{name}status_last_timestamp_seconds",
            "gauge",
            "When the plugin last said that it is current.",
            lambda: [(self._labels("", *key), at_s) for key, at_s in self._told.items()],
        )
        yield Family(
            f"{_ENVELOPE}dek_source_cache_size",
            "gauge",
            "Seeds in memory.",
            lambda: [({"provider_name": provider}, count) for provider, count in self._seeds.items()],
        )

    def _labels(self, kind: str, provider: str, key_id: str) -> Labels:
        digest = f"sha256:{hashlib.sha256(key_id.encode()).hexdigest()}"
        labels = {"provider_name": provider, "key_id_hash": digest, "apiserver_id_hash": self._server}
        return {"transformation_type": kind, **labels} if kind else labels
