"""Which files the API server takes up when they change, and who does.

Static tokens, the audit policy and the kubeconfigs of webhooks count as they were at the start, as upstream has it.
"""

from collections.abc import Iterator, Sequence

from kajitori.apiserver.configuration import read_file
from kajitori.apiserver.exposition import Family
from kajitori.apiserver.http.tls import ServingTls
from kajitori.apiserver.reloading import Reload, Reloader, ReloadFigures
from kajitori.apiserver.security import Security
from kajitori.app.apiserver_settings import ServerSettings
from kajitori.app.encrypted import Encrypted
from kajitori.kit.clock import Clock


class Reloads:
    """Made before the server is ready, so that its figures are there from the first scrape."""

    def __init__(self, settings: ServerSettings, encrypted: Encrypted | None, clock: Clock) -> None:
        self._settings = settings
        self._encrypted = encrypted
        self._clock = clock
        named = {
            "authentication_config_controller": settings.authentication_file,
            "authorization_config_controller": settings.authorization_file,
            "encryption_config_controller": settings.encryption_file if settings.reloads_encryption else None,
        }
        self._figures = {
            name: ReloadFigures(name, clock, read_file(path)) for name, path in named.items() if path is not None
        }

    @property
    def families(self) -> Iterator[Family]:
        for figures in self._figures.values():
            yield from figures.families()

    def reloader(self, guard: Security, tls: ServingTls) -> Reloader:
        return Reloader([*self._configurations(guard), *self._certificates(guard, tls)], self._clock)

    def _configurations(self, guard: Security) -> Iterator[Reload]:
        settings = self._settings

        async def authenticate() -> None:
            guard.access.authenticate_by(settings.read_authentication())

        async def authorize() -> None:
            guard.access.authorize_by(settings.read_authorization())

        if (path := settings.authentication_file) is not None:
            figures = self._figures["authentication_config_controller"]
            yield Reload("the authentication configuration", (path,), authenticate, figures)
        if (path := settings.authorization_file) is not None:
            figures = self._figures["authorization_config_controller"]
            yield Reload("the authorization configuration", (path,), authorize, figures)
        path, encrypted = settings.encryption_file, self._encrypted
        if settings.reloads_encryption and path is not None and encrypted is not None:

            async def encrypt() -> None:
                await encrypted.storage.use(encrypted.read(path))

            figures = self._figures["encryption_config_controller"]
            yield Reload("the encryption configuration", (path,), encrypt, figures)

    def _certificates(self, guard: Security, tls: ServingTls) -> Sequence[Reload]:
        async def shown() -> None:
            tls.reload()

        found = [Reload("the certificates of TLS", tls.settings.files, shown)]
        if files := guard.access.trust.files:
            found.append(Reload("the authorities of clients", files, guard.trust_anew))
        return found
