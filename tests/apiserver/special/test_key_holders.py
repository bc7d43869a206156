"""What only the holder of the cluster's keys can do: certificates and legacy tokens."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kajitori.api import core
from kajitori.api.meta import condition_is
from kajitori.apiserver import pki
from kajitori.apiserver.authn.keyring import SigningKey
from kajitori.apiserver.authn.service_accounts import TokenIssuer
from kajitori.apiserver.interfaces import Attributes, Verdict
from kajitori.apiserver.special.certificate_signer import CSR, KUBELET_CLIENT, KUBELET_SERVING, CertificateSigner
from kajitori.apiserver.special.legacy_tokens import TYPE, LegacyTokens
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects


class NodesMayRenew:
    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        allowed = attributes.subresource == "selfnodeclient" and "system:nodes" in attributes.user.groups
        return (Verdict.ALLOW if allowed else Verdict.NO_OPINION), ""


def request(
    signer: str, common_name: str, usages: list[str], *, approved: bool, sans: tuple[str, ...] = ()
) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes")
    subject = x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(s) for s in sans]), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    status = {"conditions": [{"type": "Approved", "status": "True"}]} if approved else {}
    spec = {
        "request": base64.b64encode(pem).decode(),
        "signerName": signer,
        "usages": usages,
        "username": "system:node:n1",
        "groups": ["system:nodes"],
    }
    return {"metadata": {"name": "r"}, "spec": spec, "status": status}


def settled(objects: FakeObjects, clock: VirtualClock, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        task = asyncio.ensure_future(loop())
        await clock.settle()
        task.cancel()

    asyncio.run(run())


def sign(csr: dict[str, Any]) -> tuple[dict[str, Any], x509.Certificate | None]:
    clock = VirtualClock()
    objects = FakeObjects(clock.now())
    authority = pki.create_authority("kubernetes", clock.now())
    objects.put(CSR, csr)
    settled(objects, clock, CertificateSigner(objects, NodesMayRenew(), authority, clock).run)
    stored = objects.cached(CSR, "r")
    assert stored is not None
    pem = stored["status"].get("certificate")
    if not pem:
        return stored, None
    certificate = x509.load_pem_x509_certificate(base64.b64decode(pem))
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    return stored, certificate


def test_an_approved_serving_request_is_signed_with_its_names() -> None:
    usages = ["server auth", "digital signature"]
    _, certificate = sign(request(KUBELET_SERVING, "system:node:n1", usages, approved=True, sans=("n1",)))
    assert certificate is not None
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]


def test_a_node_renews_its_own_client_certificate_without_anyone() -> None:
    usages = ["client auth", "digital signature"]
    stored, certificate = sign(request(KUBELET_CLIENT, "system:node:n1", usages, approved=False))
    assert condition_is(stored, "Approved")
    assert certificate is not None
    stored, certificate = sign(request(KUBELET_CLIENT, "system:node:n2", usages, approved=False))
    assert not condition_is(stored, "Approved")
    assert certificate is None


def test_what_the_signer_does_not_sign_fails_with_a_reason() -> None:
    stored, certificate = sign(request(KUBELET_SERVING, "jane", ["server auth", "digital signature"], approved=True))
    assert certificate is None
    failed = next(c for c in stored["status"]["conditions"] if c["type"] == "Failed")
    assert failed["message"] == 'subject common name does not begin with "system:node:"'


def test_a_token_secret_is_filled_and_goes_with_its_account() -> None:
    clock = VirtualClock()
    objects = FakeObjects(clock.now())
    issuer = TokenIssuer(SigningKey(pki.create_signing_key()), "https://issuer")
    account = objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})
    annotations = {"kubernetes.io/service-account.name": "app"}
    meta = {"name": "app-token", "namespace": "default", "annotations": annotations}
    objects.put(core.SECRET, {"metadata": meta, "type": TYPE})

    async def scenario() -> None:
        task = asyncio.ensure_future(LegacyTokens(objects, issuer, b"CA").run())
        await clock.settle()
        secret = objects.cached(core.SECRET, "app-token", "default")
        assert secret is not None
        assert set(secret["data"]) == {"token", "ca.crt", "namespace"}
        assert secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]
        assert objects.writes == 1
        await objects.delete(core.SERVICE_ACCOUNT, "app", "default")
        await clock.settle()
        assert objects.cached(core.SECRET, "app-token", "default") is None
        task.cancel()

    asyncio.run(scenario())
