"""How large the store is, asked when somebody scrapes: `apiserver_storage_size_bytes` (upstream's name)."""

from collections.abc import Iterable

from kajitori.kit.clock import Clock, within
from kajitori.storage.interface import Storage, StorageError

# Other figures must not wait for a store that does not answer.
PATIENCE_S = 1.0


class StoreSize:
    """Shows nothing while the store cannot tell."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._bytes: int | None = None

    async def ask(self) -> None:
        try:
            self._bytes = await within(self._clock, PATIENCE_S, self._storage.size_bytes())
        except (StorageError, TimeoutError):
            self._bytes = None

    def gauge(self) -> Iterable[tuple[dict[str, str], float]]:
        return [] if self._bytes is None else [({"storage_cluster_id": "etcd-0"}, self._bytes)]
