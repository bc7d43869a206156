"""Whose client certificates count, and for what: as a user's own, or as an authenticating proxy's."""

from dataclasses import dataclass
from pathlib import Path

from kajitori.apiserver.authn.anchors import Anchors
from kajitori.apiserver.authn.front_proxy import STANDARD, HeaderNames
from kajitori.apiserver.pki import FRONT_PROXY_CLIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """What --client-ca-file and --requestheader-* say."""

    client_authorities: Path | None = None
    """A bundle of authorities whose clients are known, beside the cluster's own."""
    proxy_authorities: Path | None = None
    """A bundle of authorities of proxies, instead of the one that signs for our own aggregator."""
    proxy_names: tuple[str, ...] = (FRONT_PROXY_CLIENT,)
    """The common names of proxies; none allows all that those authorities signed."""
    headers: HeaderNames = STANDARD


class Trust:
    """The authorities as they stand in the files now."""

    def __init__(self, settings: TrustSettings, own: bytes, own_proxies: bytes) -> None:
        """`own` and `own_proxies` are the cluster's authorities, PEM. Raises BadConfiguration."""
        self.settings = settings
        self._own, self._own_proxies = Anchors(own), Anchors(own_proxies)
        self.clients, self.proxies = self._read()

    def reload(self) -> None:
        """Raises BadConfiguration, and then leaves everything as it was."""
        self.clients, self.proxies = self._read()

    def _read(self) -> tuple[Anchors, Anchors]:
        clients, proxies = self.settings.client_authorities, self.settings.proxy_authorities
        return (
            self._own | Anchors.read(clients) if clients is not None else self._own,
            Anchors.read(proxies) if proxies is not None else self._own_proxies,
        )

    @property
    def files(self) -> tuple[Path, ...]:
        found = (self.settings.client_authorities, self.settings.proxy_authorities)
        return tuple(path for path in found if path is not None)

    @property
    def published(self) -> dict[str, str]:
        """The data of the ConfigMap `kube-system/extension-apiserver-authentication`, where extension API servers learn
        whom this one trusts."""
        import orjson

        headers = self.settings.headers
        lists = {
            "requestheader-allowed-names": self.settings.proxy_names,
            "requestheader-extra-headers-prefix": headers.extra_prefixes,
            "requestheader-group-headers": headers.group,
            "requestheader-uid-headers": headers.uid,
            "requestheader-username-headers": headers.user,
        }
        return {
            "client-ca-file": self.clients.pem.decode(),
            "requestheader-client-ca-file": self.proxies.pem.decode(),
            **{key: orjson.dumps(names).decode() for key, names in lists.items() if names or key in _ALWAYS},
        }


_ALWAYS = (
    "requestheader-allowed-names",
    "requestheader-extra-headers-prefix",
    "requestheader-group-headers",
    "requestheader-username-headers",
)
