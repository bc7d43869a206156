import asyncio
import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kajitori.api import core
from kajitori.api.errors import Unauthorized
from kajitori.apiserver import pki
from kajitori.apiserver.authn.anchors import Anchors
from kajitori.apiserver.authn.chain import Anonymous, AuthenticatorChain, OpaqueTokens
from kajitori.apiserver.authn.keyring import Keyring, SigningKey
from kajitori.apiserver.authn.service_accounts import ServiceAccountAuthenticator, TokenIssuer
from kajitori.apiserver.authn.tokens import BootstrapTokens
from kajitori.apiserver.authn.x509 import CertificateAuthenticator
from kajitori.apiserver.interfaces import ANONYMOUS, Credentials, User
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCES = (ISSUER, "k3s")


class World:
    """An authenticator chain over objects in memory, and one service account `default/app`."""

    def __init__(self, *, anonymous: bool = True) -> None:
        self.clock = VirtualClock()
        self.objects = FakeObjects(self.clock.now())
        self.authority = pki.create_authority("kubernetes", self.clock.now())
        self.key = SigningKey(pki.create_signing_key())
        self.issuer = TokenIssuer(self.key, ISSUER)
        self.account = self.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})
        accounts = ServiceAccountAuthenticator(Keyring([self.key]), [ISSUER], AUDIENCES, self.objects, self.clock)
        self.chain = AuthenticatorChain(
            CertificateAuthenticator(self.clock, Anchors(self.authority.certificate)),
            [accounts, OpaqueTokens(BootstrapTokens(self.objects, self.clock).authenticate, AUDIENCES)],
            Anonymous(anonymous),
            accounts.remembered,
        )

    def token(self, **bound: object) -> str:
        return self.issuer.issue(self.account, AUDIENCES[:1], 3600, self.clock.now(), **bound)  # type: ignore[arg-type]

    def ask(self, token: str = "", certificate: bytes | None = None, *, verified: bool = True) -> User:
        chain = (certificate, _der(self.authority.certificate)) if certificate is not None and verified else ()
        credentials = Credentials(certificate, token, chain)
        return self.chain.known(credentials) or asyncio.run(self.chain.authenticate(credentials))

    def refused(self, token: str) -> bool:
        try:
            self.ask(token)
        except Unauthorized:
            return True
        return False


def test_nothing_brought_is_anonymous_unless_switched_off() -> None:
    assert World().ask() == ANONYMOUS
    with pytest.raises(Unauthorized):
        World(anonymous=False).ask()


def test_certificate_names_user_and_groups_until_it_expires() -> None:
    world = World()
    der = _der(
        pki.issue_client(world.authority, "kubernetes-admin", ("system:masters", "ops"), world.clock.now()).certificate
    )
    user = world.ask(certificate=der)
    assert (user.name, user.groups) == ("kubernetes-admin", ("system:masters", "ops", "system:authenticated"))
    asyncio.run(world.clock.advance(366 * 86400))
    with pytest.raises(Unauthorized):
        world.ask(certificate=der)


def test_a_serving_certificate_is_no_identity() -> None:
    world = World()
    with pytest.raises(Unauthorized):
        world.ask(
            certificate=_der(pki.issue_serving(world.authority, "kube-apiserver", ["a"], world.clock.now()).certificate)
        )


def test_a_certificate_that_tls_has_not_verified_is_none() -> None:
    world = World()
    ours = _der(pki.issue_client(world.authority, "jane", (), world.clock.now()).certificate)
    theirs = pki.create_authority("kubernetes", world.clock.now())
    forged = _der(pki.issue_client(theirs, "kubernetes-admin", ("system:masters",), world.clock.now()).certificate)
    for certificate, verified in ((ours, False), (forged, False), (forged, True)):
        with pytest.raises(Unauthorized):
            world.ask(certificate=certificate, verified=verified)
        assert world.ask(world.token(), certificate, verified=verified).name == "system:serviceaccount:default:app"


def test_service_account_token() -> None:
    world = World()
    user = world.ask(world.token())
    assert user.name == "system:serviceaccount:default:app"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert user.uid == world.account["metadata"]["uid"]


def test_token_dies_with_its_time_its_account_and_its_pod() -> None:
    world = World()
    token = world.token()
    asyncio.run(world.clock.advance(3700))
    assert world.refused(token)

    pod = world.objects.put(core.POD, {"metadata": {"name": "p", "namespace": "default"}})
    bound = world.token(bound=pod)
    assert world.ask(bound).extra["authentication.kubernetes.io/pod-name"] == ("p",)
    asyncio.run(world.objects.delete(core.POD, "p", "default"))
    assert world.refused(bound)

    token = world.token()
    asyncio.run(world.objects.delete(core.SERVICE_ACCOUNT, "app", "default"))
    assert world.refused(token)
    world.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})
    assert world.refused(token)


def test_token_of_another_key_or_audience_is_refused() -> None:
    world, other = World(), World()
    assert world.refused(TokenIssuer(other.key, ISSUER).issue(world.account, AUDIENCES, 3600, world.clock.now()))
    assert world.refused(world.issuer.issue(world.account, ("vault",), 3600, world.clock.now()))
    user, shared = asyncio.run(
        world.chain.authenticate_token(
            world.issuer.issue(world.account, ("vault",), 3600, world.clock.now()), ("vault", "x")
        )
    )
    assert shared == ("vault",)
    assert user.name == "system:serviceaccount:default:app"


def test_legacy_token_lives_as_long_as_its_secret() -> None:
    world = World()
    meta = {"name": "app-token", "namespace": "default"}
    token = world.issuer.issue_legacy(world.account, {"metadata": meta})
    assert world.refused(token)
    data = {"token": base64.b64encode(token.encode()).decode()}
    world.objects.put(core.SECRET, {"metadata": meta, "type": "kubernetes.io/service-account-token", "data": data})
    assert world.ask(token).name == "system:serviceaccount:default:app"
    asyncio.run(world.objects.delete(core.SECRET, "app-token", "default"))
    assert world.refused(token)


def test_bootstrap_token_until_it_expires() -> None:
    world = World()
    values = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "expiration": "2027-01-15T09:00:00Z",
        "auth-extra-groups": "system:bootstrappers:kajitori:join",
    }
    world.objects.put(
        core.SECRET,
        {
            "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token",
            "data": {k: base64.b64encode(v.encode()).decode() for k, v in values.items()},
        },
    )
    user = world.ask("abcdef.0123456789abcdef")
    assert user.name == "system:bootstrap:abcdef"
    assert "system:bootstrappers:kajitori:join" in user.groups
    assert world.refused("abcdef.0123456789abcdee")
    asyncio.run(world.clock.advance(7200))
    assert world.refused("abcdef.0123456789abcdef")


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
