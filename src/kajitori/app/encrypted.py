"""The store behind its encryption, if any is configured."""

from dataclasses import dataclass
from pathlib import Path

from kajitori.apiserver.encryption.configuration import Encryption, read_encryption
from kajitori.apiserver.encryption.figures import EncryptionFigures
from kajitori.apiserver.encryption.plugins import kms_providers
from kajitori.apiserver.encryption.storage import EncryptedStorage
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import Clock
from kajitori.storage.interface import Storage


@dataclass(slots=True)
class Encrypted:
    storage: EncryptedStorage
    figures: EncryptionFigures
    clock: Clock

    def read(self, path: Path) -> Encryption:
        """Raises BadConfiguration."""
        return read_encryption(path, kms_providers(self.clock, self.figures))

    def attach(self, server: ApiServer, *, reloads: bool) -> None:
        """Its health and its figures, by upstream's names."""
        server.backend.stale = self.storage.stale
        for family in self.figures.families():
            server.metrics.register(family)
        if reloads or self.storage.has_services:
            server.health.live["kms-providers"] = self.storage.health


async def encrypted_storage(storage: Storage, path: Path | None, clock: Clock) -> Encrypted | None:
    """Raises BadConfiguration."""
    if path is None:
        return None
    figures = EncryptionFigures(clock)
    encryption = read_encryption(path, kms_providers(clock, figures))
    found = EncryptedStorage(storage, encryption, clock, figures)
    await found.begin()
    return Encrypted(found, figures, clock)
