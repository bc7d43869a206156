"""Client certificates: the common name is the user, every organization a group.

The TLS layer has verified the chain against the cluster's authority; what remains is purpose, validity and names.
"""

import hashlib
from collections import OrderedDict

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kajitori.api.errors import Unauthorized
from kajitori.apiserver.interfaces import User
from kajitori.kit.clock import Clock

# KEP-4633: where a certificate carries the user's uid.
_UID = ObjectIdentifier("1.3.6.1.4.1.57683.2")
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_CACHED_MAX = 1024


class CertificateAuthenticator:
    """Remembers the last 1024 certificates, because a connection brings the same one with every request."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cached: OrderedDict[bytes, tuple[User, float, float]] = OrderedDict()

    def authenticate(self, certificate: bytes) -> User:
        """The user of a verified certificate in DER. Raises Unauthorized."""
        found = self._cached.get(certificate)
        if found is None:
            try:
                found = _read(certificate)
            except Exception as error:  # the parser has many ways to say that a field is damaged
                raise Unauthorized() from error
            self._cached[certificate] = found
            if len(self._cached) > _CACHED_MAX:
                self._cached.popitem(last=False)
        user, begins_s, ends_s = found
        if not begins_s <= self._clock.now() <= ends_s:
            raise Unauthorized()
        return user


def _read(der: bytes) -> tuple[User, float, float]:
    certificate = x509.load_der_x509_certificate(der)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage:
        raise Unauthorized()
    names = _texts(certificate.subject, NameOID.COMMON_NAME)
    if not names or not names[0]:
        raise Unauthorized()
    user = User(
        name=names[0],
        groups=(*_texts(certificate.subject, NameOID.ORGANIZATION_NAME), "system:authenticated"),
        uid=next(iter(_texts(certificate.subject, _UID)), ""),
        extra={CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)},
    )
    return user, certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def _texts(subject: x509.Name, oid: ObjectIdentifier) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in subject.get_attributes_for_oid(oid))
