"""CertificateSigningRequests: what may be asked for, and what each endpoint may say of it."""

import base64
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api import pem
from kajitori.api.defaults.status import date_conditions, keep_decisions
from kajitori.api.validation import signing_requests

NOW = "2026-01-02T00:00:00Z"


@cache
def asked() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "joe")])
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def in_base64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def request(*conditions: dict[str, Any], certificate: bytes = b"", **spec: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": [dict(c) for c in conditions]} if conditions else {}
    if certificate:
        status["certificate"] = in_base64(certificate)
    whole = {"request": in_base64(asked()), "signerName": "example.com/x", "usages": ["client auth"], **spec}
    return {"metadata": {"name": "r"}, "spec": whole, "status": status}


def condition(type: str, status: str = "True", **more: str) -> dict[str, str]:
    return {"type": type, "status": status, **more}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"request": ""}, ["PEM block type must be CERTIFICATE REQUEST"]),
        ({"request": "eA=="}, ["PEM block type must be CERTIFICATE REQUEST"]),
        ({"request": "flipped"}, ["x509: "]),
        ({"request": "other"}, ["PEM block type must be CERTIFICATE REQUEST"]),
        ({"request": "behind"}, []),
        ({"usages": []}, ["spec.usages: Required value"]),
        ({"usages": ["any", "any"]}, ["spec.usages[1]: Duplicate value"]),
        ({"usages": ["nope"]}, ["spec.usages[0]: Unsupported value"]),
        ({"signerName": ""}, ["spec.signerName: Required value"]),
        ({"signerName": "a.b/c/d"}, ["must be a fully qualified domain and path of the form"]),
        ({"signerName": "kubernetes.io/legacy-unknown"}, ["the legacy signerName is not allowed"]),
        ({"signerName": "ab/c"}, ['Invalid value: "ab": should be a domain with at least two segments']),
        ({"signerName": "A.b/c"}, ['Invalid value: "A.b": validating label "A": a lowercase RFC 1123 label']),
        ({"signerName": "a.b/c..d"}, ['Invalid value: "c..d": validating label "": a lowercase RFC 1123 subdomain']),
        ({"expirationSeconds": 599}, ["may not specify a duration less than 600 seconds"]),
    ],
)
def test_what_may_be_asked_for(spec: dict[str, Any], expected: list[str]) -> None:
    texts = {
        "flipped": asked().replace(b"\nMI", b"\nMJ"),
        "other": asked().replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"),
        "behind": b"text\n" + asked() + b"more",
    }
    if spec.get("request") in texts:
        spec = {"request": in_base64(texts[spec["request"]])}
    errors = [str(error) for error in signing_requests.validate_signing_request(request(**spec))]
    assert len(errors) == len(expected) and all(part in error for part, error in zip(expected, errors, strict=True))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (condition("Approved"),), ""),
        ((), (condition("Approved", "False"),), 'Unsupported value: "False": supported values: "True"'),
        ((), (condition("Ready", "Perhaps"),), 'supported values: "False", "True", "Unknown"'),
        ((), (condition("", "True"),), "status.conditions[0].type: Required value"),
        ((), (condition("Approved", ""),), "status.conditions[0].status: Required value"),
        ((), (condition("Approved"), condition("Denied")), "mutually exclusive"),
        ((), (condition("A"), condition("A")), "status.conditions[1].type: Duplicate value"),
        ((condition("A"), condition("A")), (condition("A"), condition("A")), ""),
    ],
)
def test_conditions(before: tuple[Any, ...], after: tuple[Any, ...], expected: str) -> None:
    errors = [str(e) for e in signing_requests.revalidate_signing_request(request(*after), request(*before))]
    assert expected in "".join(errors) and bool(errors) == bool(expected)


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        (b"x", "must contain at least one CERTIFICATE PEM block"),
        (b"-----BEGIN FOO-----\nAAAA\n-----END FOO-----\n", 'only CERTIFICATE PEM blocks are allowed, found "FOO"'),
        (
            b"-----BEGIN CERTIFICATE-----\na: b\n\nAAAA\n-----END CERTIFICATE-----\n",
            "no PEM block headers are permitted",
        ),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x509: malformed certificate"),
    ],
)
def test_a_certificate_is_one(certificate: bytes, expected: str) -> None:
    new = request(certificate=certificate)
    (error,) = signing_requests.revalidate_signing_request(new, request())
    assert f'status.certificate: Invalid value: "<certificate data>": {expected}' in str(error)
    assert signing_requests.revalidate_signing_request(new, request(certificate=certificate)) == []


@pytest.mark.parametrize(
    ("check", "before", "after", "expected"),
    [
        (signing_requests.validate_approval, (), (condition("Approved"),), ""),
        (
            signing_requests.validate_certification,
            (),
            (condition("Approved"),),
            'may not add a condition of type "Approved"',
        ),
        (signing_requests.validate_certification, (), (condition("Failed"),), ""),
        (signing_requests.validate_approval, (condition("Denied"),), (), 'may not remove a condition of type "Denied"'),
        (signing_requests.validate_approval, (condition("Ready"),), (), ""),
    ],
)
def test_who_decides_and_what_stays(check: Any, before: tuple[Any, ...], after: tuple[Any, ...], expected: str) -> None:
    errors = check(request(*after), request(*before))
    assert expected in "".join(map(str, errors)) and bool(errors) == bool(expected)


def test_a_certificate_is_given_once_and_by_the_signer() -> None:
    approval, status = signing_requests.validate_approval, signing_requests.validate_certification
    assert "updates may not set certificate content" in str(approval(request(certificate=b"a"), request()))
    assert status(request(certificate=b"a"), request()) == []
    assert "updates may not modify existing" in str(status(request(certificate=b"b"), request(certificate=b"a")))


def test_decisions_are_dated_and_kept() -> None:
    new = request(condition("Approved"), condition("Ready", "True"))
    date_conditions(new, request(condition("Ready", "True", lastTransitionTime="then")), NOW)
    dates = [(c["lastUpdateTime"], c["lastTransitionTime"]) for c in new["status"]["conditions"]]
    assert dates == [(NOW, NOW), (NOW, "then")]
    known = condition("Approved", reason="known", lastUpdateTime="then", lastTransitionTime="then")
    written = request(condition("Failed"), condition("Approved", reason="changed"))
    keep_decisions(written, request(known), NOW)
    assert written["status"]["conditions"][1] == known


@given(
    st.lists(
        st.sampled_from([b"-----BEGIN ", b"-----END ", b"A-----", b"-----", b"\n", b"\n\n", b"a: b", b"AAAA", b"x"])
    )
)
def test_any_text_is_read_as_pem(parts: list[bytes]) -> None:
    for block in pem.blocks(b"".join(parts)):
        assert isinstance(block.der, bytes)


def test_many_beginnings_take_no_longer_than_their_length() -> None:
    assert list(pem.blocks(b"-----BEGIN X-----\n" * 200_000)) == []
