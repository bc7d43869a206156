"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction: who may let whom have a certificate."""

import base64
import binascii

from kajitori.api.meta import Object
from kajitori.apiserver.admission.plugin import Plugin, refusal, subject
from kajitori.apiserver.interfaces import AdmissionRequest, Attributes, Authorizer, Operation, User, Verdict, decided

_GROUP = "certificates.k8s.io"
_REQUESTS = frozenset(((_GROUP, "certificatesigningrequests"),))
_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateApproval(Plugin):
    """Approving or denying needs the verb `approve` on the signer."""

    kinds = _REQUESTS

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: AdmissionRequest) -> None:
        if request.subresource != "approval" or request.old is None:
            return
        signer = request.old["spec"].get("signerName", "")
        if not await may_for_signer(self._authorizer, request.user, "approve", signer):
            raise refusal(request, f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning(Plugin):
    """Putting a certificate or a failure into the status needs the verb `sign` on the signer."""

    kinds = _REQUESTS

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: AdmissionRequest) -> None:
        if request.subresource != "status" or request.old is None:
            return
        new, old = (obj.get("status") or {} for obj in (subject(request), request.old))
        if new.get("certificate") == old.get("certificate") and new.get("conditions") == old.get("conditions"):
            return
        signer = request.old["spec"].get("signerName", "")
        if not await may_for_signer(self._authorizer, request.user, "sign", signer):
            raise refusal(request, f'user not permitted to sign requests with signerName "{signer}"')


class CertificateSubjectRestriction(Plugin):
    """Nobody becomes a member of system:masters by a certificate request."""

    kinds = _REQUESTS

    async def validate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.CREATE:
            return
        spec = subject(request)["spec"]
        if spec.get("signerName") == _CLIENT_SIGNER and "system:masters" in _organizations(spec):
            raise refusal(request, f"use of {_CLIENT_SIGNER} signer with system:masters group is not allowed")


async def may_for_signer(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """By the signer's own name, or by `domain/*`."""
    domain = signer.partition("/")[0]
    for name in (signer, f"{domain}/*"):
        verdict, _ = await decided(authorizer, Attributes(user, verb, _GROUP, "v1", "signers", name=name))
        if verdict is Verdict.ALLOW:
            return True
    return False


def _organizations(spec: Object) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(spec.get("request", "")))
    except (ValueError, binascii.Error):
        return []
    return [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
