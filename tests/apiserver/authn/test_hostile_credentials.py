"""Whatever a stranger sends as a token or certificate is refused: no exception but Unauthorized, nothing remembered."""

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.api.errors import Unauthorized
from kajitori.apiserver import pki
from kajitori.apiserver.authn.anchors import Anchors
from kajitori.apiserver.authn.chain import AuthenticatorChain, OpaqueTokens
from kajitori.apiserver.authn.keyring import Keyring, SigningKey
from kajitori.apiserver.authn.oidc.keys import IssuerKeys
from kajitori.apiserver.authn.oidc.tokens import IdTokens
from kajitori.apiserver.authn.service_accounts import ServiceAccountAuthenticator
from kajitori.apiserver.authn.settings import OidcFlags, issuer_of_flags
from kajitori.apiserver.authn.static_tokens import StaticTokens
from kajitori.apiserver.authn.tokens import BootstrapTokens
from kajitori.apiserver.authn.x509 import CertificateAuthenticator
from kajitori.apiserver.interfaces import Credentials
from kajitori.apiserver.remote import Unanswered
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

OURS, THEIRS = "https://kubernetes.default.svc", "https://issuer.example.org"
KEY = SigningKey(pki.create_signing_key())


async def _no_issuer(url: str) -> bytes:
    raise Unanswered("down")


def chain() -> AuthenticatorChain:
    clock = VirtualClock()
    objects = FakeObjects(clock.now())
    issuer = issuer_of_flags(OidcFlags(issuer_url=THEIRS, client_id="k"))
    return AuthenticatorChain(
        CertificateAuthenticator(clock, Anchors(AUTHORITY.certificate)),
        [
            OpaqueTokens(StaticTokens({}).find, [OURS]),
            ServiceAccountAuthenticator(Keyring([KEY]), [OURS], [OURS], objects, clock),
            OpaqueTokens(BootstrapTokens(objects, clock).authenticate, [OURS]),
            IdTokens(issuer, IssuerKeys(THEIRS, "", _no_issuer, clock), [OURS], clock),
        ],
    )


def refused(credentials: Credentials) -> bool:
    try:
        asyncio.run(chain().authenticate(credentials))
    except Unauthorized:
        return True
    return False


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
HEADS = st.fixed_dictionaries(
    {}, optional={"alg": st.sampled_from(["none", "HS256", "ES256", "RS256"]) | VALUES, "kid": VALUES, "crit": VALUES}
)
CLAIMS = st.fixed_dictionaries(
    {"iss": st.sampled_from([OURS, THEIRS, "kubernetes/serviceaccount"]) | VALUES},
    optional=dict.fromkeys(("aud", "exp", "nbf", "sub", "kubernetes.io"), VALUES),
)
# What HTTP can carry in a header.
TEXTS = st.text(st.characters(min_codepoint=1, max_codepoint=255), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(TEXTS | st.builds(lambda *parts: ".".join(parts), TEXTS, TEXTS, TEXTS))
def test_any_text_is_refused(token: str) -> None:
    assert refused(Credentials(bearer_token=token))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(HEADS, CLAIMS, st.binary(max_size=70))
def test_any_unsigned_claims_are_refused(head: Any, claims: Any, signature: bytes) -> None:
    tail = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    assert refused(Credentials(bearer_token=f"{encoded(head)}.{encoded(claims)}.{tail}"))


@pytest.mark.parametrize("part", [0, 1])
def test_a_bottomless_token_is_refused(part: int) -> None:
    deep = base64.urlsafe_b64encode(b'{"a":' * 100_000).rstrip(b"=").decode()
    parts = [encoded({"alg": "ES256"}), encoded({"iss": OURS}), "AAAA"]
    parts[part] = deep
    assert refused(Credentials(bearer_token=".".join(parts)))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.binary(min_size=1, max_size=80), st.integers(0, 10_000), st.integers(1, 255))
def test_any_damaged_certificate_is_refused_or_the_same(noise: bytes, place: int, flip: int) -> None:
    """TLS has verified the chain; what is not readable here is nobody."""
    assert refused(Credentials(certificate=noise, chain=(noise, _der(AUTHORITY))))
    der = bytearray(CERTIFICATE)
    der[place % len(der)] ^= flip
    try:
        credentials = Credentials(certificate=bytes(der), chain=(bytes(der), _der(AUTHORITY)))
        user = asyncio.run(chain().authenticate(credentials))
    except Unauthorized:
        return
    assert user.name
    assert user.groups[-1] == "system:authenticated"


def _der(pair: pki.Pair) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    return x509.load_pem_x509_certificate(pair.certificate).public_bytes(serialization.Encoding.DER)


AUTHORITY = pki.create_authority("ca", VirtualClock().now())
CERTIFICATE = _der(pki.issue_client(AUTHORITY, "jane", ("dev",), VirtualClock().now()))
