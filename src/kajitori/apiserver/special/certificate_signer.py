"""Signing approved CertificateSigningRequests with the cluster's authority, whose key only this server holds.

Source: the "Certificates and Certificate Signing Requests" page: signers, their subjects and usages; KEP-1513.
"""

import asyncio
import base64
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kajitori.api import certificates
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, condition_is, name_of, set_condition
from kajitori.api.times import timestamp
from kajitori.apiserver.interfaces import Attributes, Authorizer, Objects, User, Verdict, decided
from kajitori.apiserver.pki import BACKDATE, Pair
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

CSR = certificates.CERTIFICATE_SIGNING_REQUEST
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
_LIFETIME_S, _LIFETIME_MIN_S = 365 * 86400, 600

_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_EXTENDED: Mapping[str, ObjectIdentifier] = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}
# Signer -> the usages it requires, and those it permits besides.
_USAGES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    CLIENT: (frozenset(("client auth",)), frozenset(("digital signature", "key encipherment"))),
    KUBELET_CLIENT: (frozenset(("client auth", "digital signature")), frozenset(("key encipherment",))),
    KUBELET_SERVING: (frozenset(("server auth", "digital signature")), frozenset(("key encipherment",))),
}


class Refused(Exception):
    """The request is not what its signer signs; the message says why."""


class CertificateSigner:
    """Signs what is approved, and approves what a kubelet may ask for by itself. Asleep until a request changes."""

    def __init__(self, objects: Objects, authorizer: Authorizer, authority: Pair, clock: Clock) -> None:
        self._objects = objects
        self._authorizer = authorizer
        self._authority = authority
        self._clock = clock
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        unsubscribe = self._objects.subscribe(CSR, self._note)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._changed:
                    await self._handle(self._changed.pop())
        finally:
            unsubscribe()

    def _note(self, event: str, request: Object) -> None:
        if event != "DELETED" and request["spec"].get("signerName") in _USAGES:
            self._changed.add(name_of(request))
            self._wake.set()

    async def _handle(self, name: str) -> None:
        request = self._objects.cached(CSR, name)
        if request is None or (request.get("status") or {}).get("certificate"):
            return
        if condition_is(request, "Denied") or condition_is(request, "Failed"):
            return
        try:
            if condition_is(request, "Approved"):
                await self._objects.update(CSR, name, "", self._signed)
            elif await self._approves_itself(request):
                await self._objects.update(CSR, name, "", self._approved)
        except NotFound:
            return
        except StatusError as error:
            log.warning("CertificateSigningRequest %s: %s", name, error)

    def _signed(self, request: Object) -> Object:
        spec, status = request["spec"], dict(request.get("status") or {})
        now_s = self._clock.now()
        try:
            parsed = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
            check_request(parsed, spec)
            lifetime_s = max(spec.get("expirationSeconds") or _LIFETIME_S, _LIFETIME_MIN_S)
            pem = sign_request(self._authority, parsed, spec["usages"], lifetime_s, now_s)
            status["certificate"] = base64.b64encode(pem).decode()
        except (Refused, ValueError) as error:
            conditions = status["conditions"] = list(status.get("conditions") or ())
            failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": str(error)}
            set_condition(conditions, failed, timestamp(now_s))
        return {**request, "status": status}

    async def _approves_itself(self, request: Object) -> bool:
        """A kubelet's client certificate: anew for the node that asks, or the first, for who may bring nodes in."""
        spec = request["spec"]
        if spec["signerName"] != KUBELET_CLIENT:
            return False
        try:
            parsed = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
            check_request(parsed, spec)
        except (Refused, ValueError):
            return False
        user = User(spec.get("username", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))
        itself = _common_name(parsed) == user.name
        for subresource in ("selfnodeclient",) if itself else ("nodeclient",):
            asked = Attributes(user, "create", CSR.group, "v1", CSR.plural, subresource)
            if (await decided(self._authorizer, asked))[0] is Verdict.ALLOW:
                return True
        return False

    def _approved(self, request: Object) -> Object:
        status = dict(request.get("status") or {})
        conditions = status["conditions"] = list(status.get("conditions") or ())
        now = timestamp(self._clock.now())
        approved = {
            "type": "Approved",
            "status": "True",
            "reason": "AutoApproved",
            "message": "Auto approving kubelet client certificate after SubjectAccessReview.",
            "lastUpdateTime": now,
        }
        set_condition(conditions, approved, now)
        return {**request, "status": status}


def check_request(parsed: x509.CertificateSigningRequest, spec: Object) -> None:
    """Raises Refused for what the signer does not sign."""
    signer = spec["signerName"]
    required, permitted = _USAGES[signer]
    usages = set(spec.get("usages") or ())
    if not required <= usages or not usages <= required | permitted:
        raise Refused(f"usages did not match {sorted(required)}")
    if not parsed.is_signature_valid:
        raise Refused("the request is not signed by its own key")
    names = _alternative_names(parsed)
    if signer == CLIENT:
        return
    organizations = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if organizations != ["system:nodes"]:
        raise Refused("subject organization is not system:nodes")
    if not _common_name(parsed).startswith("system:node:"):
        raise Refused('subject common name does not begin with "system:node:"')
    if signer == KUBELET_CLIENT and names:
        raise Refused("DNS or IP subjectAltNames are not allowed")
    if signer == KUBELET_SERVING and not any(isinstance(n, x509.DNSName | x509.IPAddress) for n in names):
        raise Refused("DNS or IP subjectAltName is required")


def _common_name(parsed: x509.CertificateSigningRequest) -> str:
    found = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _alternative_names(parsed: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        return list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def sign_request(
    authority: Pair, parsed: x509.CertificateSigningRequest, usages: list[str], lifetime_s: int, now_s: float
) -> bytes:
    """A certificate for the request's key, subject and alternative names, PEM. Never one of an authority."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "the authority's key is EC: pki checks it"
    now = datetime.fromtimestamp(int(now_s), UTC)
    ends = min(now + timedelta(seconds=lifetime_s), issuer.not_valid_after_utc)
    bits = dict.fromkeys(_KEY_USAGES.values(), False)
    bits.update({_KEY_USAGES[usage]: True for usage in usages if usage in _KEY_USAGES})
    builder = (
        x509.CertificateBuilder()
        .subject_name(parsed.subject)
        .issuer_name(issuer.subject)
        .public_key(parsed.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**bits), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if extended := [_EXTENDED[usage] for usage in usages if usage in _EXTENDED]:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if names := _alternative_names(parsed):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
