"""Authorities whose signature is trusted, and until when a certificate holds through one of them.

TLS has verified a chain against every authority that is trusted for anything; which of them stand behind a certificate
decides what it may be used for, and that is asked here, on every connection and again after the authorities change.
"""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kajitori.apiserver.configuration import BadConfiguration, read_file

Period = tuple[float, float]
"""From when to when, in seconds since the epoch."""
_ALWAYS: Period = (0.0, float("inf"))


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

    def period_of(self, chain: Sequence[bytes]) -> Period | None:
        """When a client's certificate and all between it and the nearest of these authorities hold; None when none of
        them vouches for it.

        `chain` is what TLS has verified, the client first; of a client that it could not verify it is empty. Signatures
        are looked at here as well, so that nothing rests on the handshake alone. Raises ValueError, InvalidSignature.
        """
        period, below = _ALWAYS, None
        for der in chain:
            certificate = x509.load_der_x509_certificate(der)
            if below is not None:
                below.verify_directly_issued_by(certificate)
            period, below = _both(period, _period(certificate)), certificate
            if der in self._by_der:
                return period
        return None


def _period(certificate: x509.Certificate) -> Period:
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def _both(one: Period, other: Period) -> Period:
    return max(one[0], other[0]), min(one[1], other[1])
