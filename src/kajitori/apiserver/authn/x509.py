"""Client certificates: the common name is the user, every organization a group.

The TLS layer has verified the chain; what remains is whose signature it ends in, purpose, validity and names.
"""

import hashlib
from collections import OrderedDict

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kajitori.api.errors import Unauthorized
from kajitori.apiserver.authn.anchors import Anchors
from kajitori.apiserver.interfaces import User
from kajitori.kit.clock import Clock

# KEP-4633: where a certificate carries the user's uid.
_UID = ObjectIdentifier("1.3.6.1.4.1.57683.2")
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
REMEMBERED_MAX = 1024


class Unacceptable(Exception):
    """A certificate that names no client, or was not made to."""


class CertificateAuthenticator:
    """Remembers the last 1024 certificates, because a connection brings the same one with every request."""

    def __init__(self, clock: Clock, anchors: Anchors) -> None:
        self._clock = clock
        self._anchors = anchors
        self._cached: OrderedDict[bytes, tuple[User, float, float]] = OrderedDict()

    def trust(self, anchors: Anchors) -> None:
        """From now on these authorities, and no others."""
        self._anchors = anchors
        self._cached.clear()

    def authenticate(self, certificate: bytes, chain: tuple[bytes, ...] = ()) -> User:
        """The user of a client's certificate in DER; `chain` as TLS has verified it, if it has. Raises Unauthorized."""
        found = self._cached.get(certificate)
        if found is None:
            try:
                found = self._judged(certificate, chain)
            except Exception as error:  # the parser has many ways to say that a field is damaged
                raise Unauthorized() from error
            self._cached[certificate] = found
            if len(self._cached) > REMEMBERED_MAX:
                self._cached.popitem(last=False)
        user, begins_s, ends_s = found
        if not begins_s <= self._clock.now() <= ends_s:
            raise Unauthorized()
        return user

    def _judged(self, certificate: bytes, chain: tuple[bytes, ...]) -> tuple[User, float, float]:
        user, period = _read(certificate), self._anchors.period_of(chain)
        if period is None or chain[0] != certificate:
            raise Unacceptable("another authority's")
        return user, *period


def client_name(der: bytes) -> str:
    """The common name of a client's certificate. Raises Unacceptable, and whatever the parser does."""
    return _names_client(x509.load_der_x509_certificate(der))


def _names_client(certificate: x509.Certificate) -> str:
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage:
        raise Unacceptable("not made for clients")
    names = _texts(certificate.subject, NameOID.COMMON_NAME)
    if not names or not names[0]:
        raise Unacceptable("no common name")
    return names[0]


def _read(der: bytes) -> User:
    certificate = x509.load_der_x509_certificate(der)
    return User(
        name=_names_client(certificate),
        groups=(*_texts(certificate.subject, NameOID.ORGANIZATION_NAME), "system:authenticated"),
        uid=next(iter(_texts(certificate.subject, _UID)), ""),
        extra={CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)},
    )


def _texts(subject: x509.Name, oid: ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in subject.get_attributes_for_oid(oid))
