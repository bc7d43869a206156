"""Users that an authenticating proxy names, and everybody who only says so."""

import asyncio
from dataclasses import dataclass
from functools import cache

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.errors import Unauthorized
from kajitori.apiserver import pki
from kajitori.apiserver.authn.anchors import Anchors
from kajitori.apiserver.authn.chain import Anonymous, AuthenticatorChain, OpaqueTokens
from kajitori.apiserver.authn.front_proxy import STANDARD, FrontProxies, HeaderNames
from kajitori.apiserver.authn.trust import Trust, TrustSettings
from kajitori.apiserver.authn.x509 import CertificateAuthenticator
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.http_types import Request
from kajitori.apiserver.interfaces import ANONYMOUS, Credentials, User
from kajitori.kit.clock import VirtualClock

NOW_S = VirtualClock().now()
OURS = pki.create_authority("kubernetes", NOW_S)
PROXIES = pki.create_authority("front-proxy-ca", NOW_S)
NAMES = ("front-proxy-client",)
JANE = {"x-remote-user": "jane", "x-remote-group": "devs\nops, too", "x-remote-uid": "u-1"}


@cache
def client(authority: pki.Pair, name: str, *groups: str) -> bytes:
    pem = pki.issue_client(authority, name, groups, NOW_S).certificate
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def der_of(pair: pki.Pair) -> bytes:
    return x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)


def chain_of(certificate: bytes | None) -> tuple[bytes, ...]:
    """As TLS verifies it, where both authorities are trusted."""
    if certificate is None:
        return ()
    issuer = x509.load_der_x509_certificate(certificate).issuer
    authorities = (der_of(OURS), der_of(PROXIES))
    return certificate, next(der for der in authorities if x509.load_der_x509_certificate(der).subject == issuer)


@dataclass
class World:
    clock: VirtualClock
    chain: AuthenticatorChain
    certificates: CertificateAuthenticator
    proxies: FrontProxies

    def who(self, certificate: bytes | None, headers: dict[str, str] | None = None, token: str = "") -> User:
        credentials = Credentials(certificate, token, chain_of(certificate), headers or {})
        return self.chain.known(credentials) or asyncio.run(self.chain.authenticate(credentials))


def world(allowed: tuple[str, ...] = NAMES, names: HeaderNames = STANDARD) -> World:
    clock = VirtualClock()
    tokens = OpaqueTokens(lambda token: User("token-user", ()) if token == "good" else None, ("api",))
    certificates = CertificateAuthenticator(clock, Anchors(OURS.certificate))
    proxies = FrontProxies(Anchors(PROXIES.certificate), allowed, names, clock)
    chain = AuthenticatorChain(certificates, [tokens], Anonymous(), proxies=proxies)
    return World(clock, chain, certificates, proxies)


def test_a_proxy_names_user_groups_uid_and_extra() -> None:
    extra = {"x-remote-extra-scopes%2fx": "one\ntwo", "x-remote-extra-acme.com": "jan\u00c3\u00a9"}
    user = world().who(client(PROXIES, "front-proxy-client"), {**JANE, **extra})
    assert user == User(
        "jane",
        ("devs", "ops, too", "system:authenticated"),
        "u-1",
        {"scopes/x": ("one", "two"), "acme.com": ("jané",)},
    )


def test_a_proxy_that_names_nobody_is_nobody() -> None:
    with pytest.raises(Unauthorized):
        world().who(client(PROXIES, "front-proxy-client"), {"x-remote-group": "system:masters", "x-remote-user": ""})


def test_a_name_that_is_not_allowed_is_no_proxy() -> None:
    with pytest.raises(Unauthorized):
        world().who(client(PROXIES, "other"), JANE)
    assert world(allowed=()).who(client(PROXIES, "other"), JANE).name == "jane"


def test_a_client_of_the_cluster_is_no_proxy_whatever_its_name() -> None:
    ours = client(OURS, "front-proxy-client", "devs")
    assert world(allowed=()).who(ours, {**JANE, "x-remote-group": "system:masters"}).groups == (
        "devs",
        "system:authenticated",
    )


def test_a_proxys_certificate_is_no_users() -> None:
    """The authority of proxies vouches for proxies only."""
    with pytest.raises(Unauthorized):
        world().who(client(PROXIES, "kubernetes-admin", "system:masters"))


def test_a_token_counts_where_the_certificate_does_not() -> None:
    known = world()
    assert known.who(client(PROXIES, "other"), JANE, token="good").name == "token-user"
    assert known.who(client(OURS, "joe"), None, token="good").name == "joe"
    with pytest.raises(Unauthorized):
        known.who(client(PROXIES, "other"), JANE, token="bad")


def test_a_proxy_may_say_that_somebody_is_not_authenticated() -> None:
    headers = {"x-remote-user": ANONYMOUS.name, "x-remote-group": "system:unauthenticated"}
    assert world().who(client(PROXIES, "front-proxy-client"), headers) == ANONYMOUS


def test_an_expired_proxy_is_refused() -> None:
    known = world()
    proxy = client(PROXIES, "front-proxy-client")
    assert known.who(proxy, JANE).name == "jane"
    asyncio.run(known.clock.advance(366 * 86400))
    with pytest.raises(Unauthorized):
        known.who(proxy, JANE)


def test_other_authorities_count_from_the_next_request_on() -> None:
    known = world()
    proxy, joe = client(PROXIES, "front-proxy-client"), client(OURS, "joe")
    assert (known.who(proxy, JANE).name, known.who(joe).name) == ("jane", "joe")
    known.proxies.trust(Anchors(OURS.certificate))
    known.certificates.trust(Anchors(PROXIES.certificate))
    assert known.who(proxy, JANE).name == "front-proxy-client"
    with pytest.raises(Unauthorized):
        known.who(joe, JANE)


def test_the_configured_headers_are_the_ones() -> None:
    names = HeaderNames(user=("X-A", "X-B"), uid=(), group=("X-G",), extra_prefixes=("X-E-",))
    known, proxy = world(names=names), client(PROXIES, "front-proxy-client")
    assert known.who(proxy, {"x-b": "jane", "x-g": "devs", "x-e-k": "v", **JANE}) == User(
        "jane", ("devs", "system:authenticated"), "", {"k": ("v",)}
    )
    with pytest.raises(Unauthorized):
        known.who(proxy, JANE)


HEADERS = st.dictionaries(
    st.sampled_from((*STANDARD.all, "x-remote-extra-a", "x-remote-user ", "x-remote-users", "authorization")),
    st.text(max_size=20),
)


@given(HEADERS, st.sampled_from(("front-proxy-client", "jane", "system:admin")), st.booleans())
def test_headers_of_an_ordinary_client_say_nothing(headers: dict[str, str], name: str, named: bool) -> None:
    known = world(NAMES if named else ())
    ours = client(OURS, name)
    assert known.who(ours, headers) == known.who(ours)
    assert known.who(None, headers) == ANONYMOUS
    assert known.who(None, headers, token="good").name == "token-user"


@given(HEADERS)
def test_a_proxy_becomes_nobody_but_whom_it_names(headers: dict[str, str]) -> None:
    try:
        user = world().who(client(PROXIES, "front-proxy-client"), headers)
    except Unauthorized:
        assert not headers.get("x-remote-user", "").split("\n")[0]
    else:
        assert user.name
        assert "X509SHA256" not in repr(user.extra)


def test_an_authority_in_between_is_vouched_for_by_the_chain() -> None:
    root = Anchors(OURS.certificate)
    leaf = client(PROXIES, "joe")
    assert root.period_of(()) is None
    assert root.period_of((leaf, der_of(PROXIES))) is None
    assert Anchors(PROXIES.certificate).period_of((leaf, der_of(PROXIES), der_of(OURS))) is not None
    with pytest.raises((InvalidSignature, ValueError)):
        root.period_of((leaf, der_of(OURS)))


def test_what_is_configured_is_published(tmp_path) -> None:
    bundle = tmp_path / "clients.pem"
    other = pki.create_authority("other", NOW_S)
    bundle.write_bytes(other.certificate + PROXIES.certificate)
    settings = TrustSettings(client_authorities=bundle, proxy_names=("a", "b"), headers=HeaderNames(uid=()))
    trust = Trust(settings, OURS.certificate, PROXIES.certificate)
    published = trust.published
    assert published["client-ca-file"].count("BEGIN CERTIFICATE") == 3
    assert published["client-ca-file"].startswith(OURS.certificate.decode().strip())
    assert published["requestheader-client-ca-file"] == PROXIES.certificate.decode()
    assert published["requestheader-allowed-names"] == '["a","b"]'
    assert published["requestheader-username-headers"] == '["X-Remote-User"]'
    assert "requestheader-uid-headers" not in published
    assert trust.clients.period_of(chain_of(client(PROXIES, "joe"))) is not None
    bundle.write_text("nothing")
    with pytest.raises(BadConfiguration, match=r"clients\.pem: holds no certificate"):
        trust.reload()
    assert trust.published == published


def test_headers_that_name_users_go_no_further_than_authentication(in_cluster) -> None:
    async def scenario(plane) -> None:
        request = Request("GET", "/api", headers={**JANE, "x-remote-extra-a": "b", "accept": "application/json"})
        await plane.server._pipeline(request)
        assert dict(request.headers) == {"accept": "application/json"}

    in_cluster(scenario)
