"""What the options say of certificates: whose clients are known, what this server shows, how it speaks TLS."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from kajitori.apiserver.authn.front_proxy import HeaderNames
from kajitori.apiserver.authn.trust import TrustSettings
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.http.ciphers import openssl_names
from kajitori.apiserver.http.tls import KeyPair, TlsSettings
from kajitori.app.flags import Flags
from kajitori.app.layout import Layout

_VERSIONS = {"VersionTLS12": ssl.TLSVersion.TLSv1_2, "VersionTLS13": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """`shown` None: the cluster's own."""

    shown: KeyPair | None = None
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: tuple[str, ...] = ()
    named: tuple[tuple[KeyPair, tuple[str, ...]], ...] = ()

    def settings(self, layout: Layout, trust: TrustSettings) -> TlsSettings:
        own = KeyPair(layout.pki / "apiserver.crt", layout.pki / "apiserver.key")
        proxies = trust.proxy_authorities or layout.pki / "front-proxy-ca.crt"
        beside = (trust.client_authorities,) if trust.client_authorities is not None else ()
        return TlsSettings(
            shown=self.shown or own,
            authorities=(layout.pki / "ca.crt", *beside, proxies),
            minimum=self.minimum,
            ciphers=self.ciphers,
            named=self.named,
        )


def read_tls(flags: Flags) -> TlsOptions:
    """Raises BadConfiguration."""
    suites = flags.list("tls-cipher-suites")
    try:
        openssl_names(suites)
    except ValueError as error:
        raise BadConfiguration(f"--tls-cipher-suites: {error}") from error
    return TlsOptions(
        shown=_pair(flags, "tls-cert-file", "tls-private-key-file"),
        minimum=_VERSIONS[flags.one_of("tls-min-version", tuple(_VERSIONS), "VersionTLS12")],
        ciphers=suites,
        named=tuple(_named(text) for text in flags.all("tls-sni-cert-key")),
    )


def read_trust(flags: Flags) -> TrustSettings:
    """Raises BadConfiguration."""
    usual, headers = TrustSettings(), HeaderNames()
    authorities = flags.path("requestheader-client-ca-file")
    return TrustSettings(
        client_authorities=flags.path("client-ca-file"),
        proxy_authorities=authorities,
        proxy_names=flags.list("requestheader-allowed-names") or (() if authorities else usual.proxy_names),
        headers=HeaderNames(
            user=flags.list("requestheader-username-headers") or headers.user,
            uid=flags.list("requestheader-uid-headers") or headers.uid,
            group=flags.list("requestheader-group-headers") or headers.group,
            extra_prefixes=flags.list("requestheader-extra-headers-prefix") or headers.extra_prefixes,
        ),
    )


def read_front_proxy(flags: Flags) -> tuple[Path, Path] | None:
    """What aggregated API servers are shown; None for our own. Raises BadConfiguration."""
    pair = _pair(flags, "proxy-client-cert-file", "proxy-client-key-file")
    return (pair.certificate, pair.key) if pair is not None else None


def _pair(flags: Flags, certificate: str, key: str) -> KeyPair | None:
    flags.only_with(certificate, key)
    flags.only_with(key, certificate)
    found = flags.path(certificate), flags.path(key)
    return KeyPair(found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _named(text: str) -> tuple[KeyPair, tuple[str, ...]]:
    files, _, names = text.partition(":")
    certificate, comma, key = files.partition(",")
    if not comma or not Path(certificate).is_absolute() or not Path(key).is_absolute():
        raise BadConfiguration(
            f"--tls-sni-cert-key {text}: must be /path/CERT,/path/KEY or /path/CERT,/path/KEY:NAME,..."
        )
    return KeyPair(Path(certificate), Path(key)), tuple(name.strip() for name in names.split(",") if name.strip())
