"""The server's side of TLS: what it shows, whose clients it knows, and taking up changed files for new connections.

A certificate that nobody vouches for is let through here, as an expired one is, and refused later (`any_certificate`).
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kajitori.apiserver.http.any_certificate import admit_any_certificate
from kajitori.apiserver.http.ciphers import openssl_names
from kajitori.apiserver.http.server_names import ServerNames

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python's ssl has no name for: authentication looks at the times itself.
_TIMES_UNCHECKED = 0x200000


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its chain, and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """`authorities` sign clients' certificates, whatever for. `named` are shown to clients that ask for these names."""

    shown: KeyPair
    authorities: Sequence[Path] = ()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: Sequence[str] = ()
    """By their IANA names; none leaves the choice to OpenSSL."""
    named: Sequence[tuple[KeyPair, tuple[str, ...]]] = ()
    """No names: those of the certificate itself."""

    @property
    def files(self) -> tuple[Path, ...]:
        pairs = (self.shown, *(pair for pair, _ in self.named))
        return (*(file for pair in pairs for file in (pair.certificate, pair.key)), *self.authorities)


def server_context(certificate: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later; a client may show a certificate of `client_ca`."""
    authorities = () if client_ca is None else (client_ca,)
    return context_of(TlsSettings(shown=KeyPair(certificate, key), authorities=authorities))


def context_of(settings: TlsSettings) -> ssl.SSLContext:
    """Raises OSError (which ssl.SSLError is) and ValueError for files and names that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = settings.minimum
    if settings.ciphers:
        names = openssl_names(settings.ciphers)
        if names:
            context.set_ciphers(":".join(names))
        else:  # those of TLS 1.3 are not a matter of choice
            context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(settings.shown.certificate, settings.shown.key)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= (
        ssl.OP_NO_TICKET
    )  # a session that is resumed comes without the client's chain, and a ticket costs
    context.num_tickets = 0  # a tenth of the handshake
    for authority in settings.authorities:
        context.load_verify_locations(authority)
    if settings.authorities:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _TIMES_UNCHECKED)
        admit_any_certificate(context)
    return context


class ServingTls:
    """The context to listen with, `front`, and those that it hands each handshake on to: changed files count for every
    connection made after `reload`."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises OSError, ValueError."""
        self.settings = settings
        self.front = context_of(settings)
        self.front.sni_callback = self._chosen
        self._usual = self.front
        self._by_name = ServerNames[ssl.SSLContext]()
        self._load()

    def reload(self) -> None:
        """Raises OSError, ValueError, and then leaves everything as it was."""
        self._load()

    def _load(self) -> None:
        usual, by_name = context_of(self.settings), ServerNames[ssl.SSLContext]()
        for pair, names in self.settings.named:
            by_name.add(context_of(replace(self.settings, shown=pair)), names or certified_names(pair.certificate))
        self._usual, self._by_name = usual, by_name

    def _chosen(self, handshake: Any, name: str | None, front: ssl.SSLContext) -> None:
        handshake.context = self._by_name.of(name) or self._usual


def certified_names(certificate: Path) -> tuple[str, ...]:
    """The DNS names that a certificate is for; its common name when it has none."""
    from cryptography import x509

    found = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        dns = []
    common = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return tuple(dns) or tuple(str(attribute.value) for attribute in common)


def verified_chain(handshake: Any) -> tuple[bytes, ...]:
    """The peer's certificate and those it was verified with, in DER, the trusted one last. Empty when there is none, or
    it was not verified."""
    if handshake is None:
        return ()
    if hasattr(handshake, "get_verified_chain"):  # Python 3.13
        return tuple(handshake.get_verified_chain() or ())
    inner: Any = getattr(handshake, "_sslobj", None)  # where Python 3.10 to 3.12 have the same
    chain = inner.get_verified_chain() if hasattr(inner, "get_verified_chain") else None
    return tuple(ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in chain or ())
