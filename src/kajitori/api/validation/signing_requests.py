"""CertificateSigningRequests: what is asked for, and what may be said of it afterwards."""

import base64
from functools import partial
from typing import Any

from kajitori.api import pem
from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required, too_long
from kajitori.api.go_text import quoted
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors, one_of
from kajitori.api.validation.formats import label_errors, subdomain_errors

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
_EXPIRATION_SECONDS_MIN = 600
_LEGACY = "kubernetes.io/legacy-unknown"
_DOMAIN_MAX, _NAME_MAX = 253, 253 + 1 + 253 + 1 + 63
_CONDITIONS = "status.conditions"
_USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip


def validate_signing_request(request: Object) -> list[FieldError]:
    return revalidate_signing_request(request, {})


def revalidate_signing_request(new: Object, old: Object) -> list[FieldError]:
    """What `old` had wrong already is let be."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    return [
        *_request(spec.get("request") or ""),
        *_usages(spec.get("usages") or [], before.get("usages") or []),
        *_signer(spec.get("signerName") or "", before.get("signerName") or ""),
        *_lifetime(spec.get("expirationSeconds")),
        *_conditions(_conditions_of(new), _conditions_of(old)),
        *_certificate(_certificate_of(new), _certificate_of(old), new is not old and bool(old)),
    ]


def _request(encoded: str) -> Errors:
    block = next(pem.blocks(base64.b64decode(encoded)), None)
    if block is None or block.type != "CERTIFICATE REQUEST":
        yield invalid("spec.request", encoded, "PEM block type must be CERTIFICATE REQUEST")
        return
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        if not x509.load_der_x509_csr(block.der).is_signature_valid:
            yield invalid("spec.request", encoded, "x509: the signature is not that of the key in it")
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        yield invalid("spec.request", encoded, f"x509: {error}")


def _usages(usages: list[Any], before: list[Any]) -> Errors:
    if not usages:
        yield required("spec.usages")
    if all(usage in _USAGES for usage in before):
        for index, usage in enumerate(usages):
            yield from one_of(f"spec.usages[{index}]", usage, _USAGES)
    if len(set(before)) == len(before):
        for index, usage in enumerate(usages):
            if usage in usages[:index]:
                yield duplicate(f"spec.usages[{index}]", usage)


def _signer(name: str, before: str) -> Errors:
    path = "spec.signerName"
    if name == _LEGACY and before != _LEGACY:
        yield invalid(path, name, "the legacy signerName is not allowed via this API version")
        return
    if not name:
        yield required(path)
        return
    parts = name.split("/")
    if len(parts) != 2:
        yield invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    domain, rest = parts
    if len(domain) > _DOMAIN_MAX:
        yield too_long(path, "", _DOMAIN_MAX)
    labels = domain.split(".")
    for label in labels:
        if problems := label_errors(label):
            yield from (invalid(path, domain, f"validating label {quoted(label)}: {why}") for why in problems)
            break
    if len(labels) < 2:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    for label in rest.split("."):
        if wrong := subdomain_errors(label):
            yield from (invalid(path, rest, f"validating label {quoted(label)}: {why}") for why in wrong)
            break
    if len(name) > _NAME_MAX:
        yield too_long(path, "", _NAME_MAX)


def _lifetime(seconds: int | None) -> Errors:
    if seconds is not None and seconds < _EXPIRATION_SECONDS_MIN:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, detail)


def _conditions_of(request: Object) -> list[Object]:
    return (request.get("status") or {}).get("conditions") or []


def _types(conditions: list[Object]) -> list[str]:
    return [condition.get("type") or "" for condition in conditions]


def _conditions(conditions: list[Object], before: list[Object]) -> Errors:
    known = _types(before)
    seen: list[str] = []
    for index, condition in enumerate(conditions):
        type, status, path = condition.get("type") or "", condition.get("status") or "", f"{_CONDITIONS}[{index}]"
        if not type and "" not in known:
            yield required(f"{path}.type")
        if not status:
            yield required(f"{path}.status")
        else:
            decides = type in (APPROVED, DENIED, FAILED)
            yield from one_of(f"{path}.status", status, ("True",) if decides else ("False", "True", "Unknown"))
        opposite = {APPROVED: DENIED, DENIED: APPROVED}.get(type)
        if opposite in seen and not {APPROVED, DENIED} <= set(known):
            yield invalid(_CONDITIONS, type, "Approved and Denied conditions are mutually exclusive")
        if type in seen and len(set(known)) == len(known):
            yield duplicate(f"{path}.type", type)
        seen.append(type)


def _certificate_of(request: Object) -> str:
    return (request.get("status") or {}).get("certificate") or ""


def _certificate(encoded: str, before: str, changes: bool) -> Errors:
    if (changes and encoded == before) or _certificate_problem(before):
        return
    if problem := _certificate_problem(encoded):
        yield invalid("status.certificate", "<certificate data>", problem)


def _certificate_problem(encoded: str) -> str:
    """ "" for a chain of certificates, and for none."""
    if not encoded:
        return ""
    found = False
    for block in pem.blocks(base64.b64decode(encoded)):
        if block.type != "CERTIFICATE":
            return f"only CERTIFICATE PEM blocks are allowed, found {quoted(block.type)}"
        if block.has_headers:
            return "no PEM block headers are permitted"
        found = True
        from cryptography import x509

        try:
            x509.load_der_x509_certificate(block.der)
        except ValueError as error:
            return f"x509: malformed certificate: {error}"
    return "" if found else "must contain at least one CERTIFICATE PEM block"


def _changes(new: Object, old: Object, *, approves: bool = False, certifies: bool = False) -> list[FieldError]:
    """What this endpoint may not change of the status."""
    errors = []
    after, before = _types(_conditions_of(new)), _types(_conditions_of(old))
    for type in (APPROVED, DENIED, FAILED):
        if after.count(type) < before.count(type):
            errors.append(forbidden(_CONDITIONS, f"updates may not remove a condition of type {quoted(type)}"))
    for type in () if approves else (APPROVED, DENIED):
        if after.count(type) > before.count(type):
            errors.append(forbidden(_CONDITIONS, f"updates may not add a condition of type {quoted(type)}"))
    if _certificate_of(new) != _certificate_of(old):
        if not certifies:
            errors.append(forbidden("status.certificate", "updates may not set certificate content"))
        elif _certificate_of(old):
            errors.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
    return errors


validate_signing_request_update = _changes
validate_approval = partial(_changes, approves=True)
validate_certification = partial(_changes, certifies=True)
