"""Authorities whose signature is trusted, and until when a certificate holds through one of them.

TLS has verified a chain against every authority that is trusted for anything; which of them stand behind a certificate
decides what it may be used for, and that is asked here, on every connection and again after the authorities change.
"""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from kajitori.apiserver.configuration import BadConfiguration, read_file

Period = tuple[float, float]
"""From when to when, in seconds since the epoch."""


class Anchors:
    """The authorities of a PEM bundle. Raises ValueError when it holds none."""

    def __init__(self, pem: bytes) -> None:
        self.pem = pem
        self._by_der = {found.public_bytes(Encoding.DER): found for found in x509.load_pem_x509_certificates(pem)}

    @staticmethod
    def read(path: Path) -> "Anchors":
        """Raises BadConfiguration."""
        try:
            return Anchors(read_file(path))
        except ValueError as error:
            raise BadConfiguration(f"{path}: holds no certificate in PEM ({error}): give a bundle of CAs") from error

    def __or__(self, other: "Anchors") -> "Anchors":
        return Anchors(self.pem.rstrip() + b"\n" + other.pem)

    def period_of(self, leaf: bytes, chain: Sequence[bytes] = ()) -> Period | None:
        """When `leaf` and all between it and the nearest of these authorities hold; None when none vouches for it.

        `chain` is what TLS has verified, leaf first; it is empty on a resumed session, where only authorities that
        signed the leaf themselves can be found. Raises ValueError for bytes that are no certificate.
        """
        certificate = x509.load_der_x509_certificate(leaf)
        period = _period(certificate)
        if leaf in self._by_der:
            return period
        for der in chain:
            if der != leaf:
                period = _both(period, _period(x509.load_der_x509_certificate(der)))
            if der in self._by_der:
                return period
        for authority in self._by_der.values():
            if _signed(certificate, authority):
                return _both(_period(certificate), _period(authority))
        return None


def _period(certificate: x509.Certificate) -> Period:
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def _both(one: Period, other: Period) -> Period:
    return max(one[0], other[0]), min(one[1], other[1])


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        if not authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(authority)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return True
