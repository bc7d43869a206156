"""ID tokens of an issuer in memory."""

import asyncio
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kajitori.api.errors import Unauthorized
from kajitori.apiserver.authn.chain import Anonymous
from kajitori.apiserver.authn.keyring import VerifyingKey
from kajitori.apiserver.authn.oidc.keys import IssuerKeys
from kajitori.apiserver.authn.oidc.tokens import IdTokens
from kajitori.apiserver.authn.settings import OidcFlags, issuer_of_flags, read_authentication
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.expressions import compiled
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.remote import Unanswered
from kajitori.kit.clock import VirtualClock

URL = "https://issuer.example.org/realm"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
P384_KEY = ec.generate_private_key(ec.SECP384R1())
FLAGS = OidcFlags(issuer_url=URL, client_id="kubernetes", groups_claim="groups")


class IssuerServer:
    """Discovery and keys, as `fetch` finds them; counts how often it is asked."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.asked: list[str] = []
        self.works = True
        self.issuer = URL

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if not self.works:
            raise Unanswered("down")
        if url.endswith("/.well-known/openid-configuration"):
            return orjson.dumps({"issuer": self.issuer, "jwks_uri": "https://issuer.example.org/keys"})
        listed = [VerifyingKey(key.public_key()).jwk() for key in self.keys]
        return orjson.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}, *listed]})


class World:
    def __init__(self, issuer: Any = None, server: IssuerServer | None = None) -> None:
        self.clock = VirtualClock()
        self.server = server or IssuerServer(RSA_KEY, EC_KEY)
        chosen = issuer or issuer_of_flags(FLAGS)
        keys = IssuerKeys(URL, "", self.server.fetch, self.clock)
        self.tokens = IdTokens(chosen, keys, ["this-server"], self.clock)

    def token(self, key: Any = RSA_KEY, algorithm: str = "RS256", **claims: Any) -> str:
        now = int(self.clock.now())
        usual = {"iss": URL, "aud": "kubernetes", "sub": "jane", "exp": now + 600, "iat": now}
        payload = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(payload, key, algorithm, headers={"kid": VerifyingKey(key.public_key()).id})

    def ask(self, token: str, audiences: tuple[str, ...] = ()) -> User | None:
        found = asyncio.run(self.tokens.authenticate(token, audiences))
        return found[0] if found else None

    def refused(self, token: str) -> bool:
        try:
            return self.ask(token) is None
        except Unauthorized:
            return True


def test_a_token_makes_a_user_with_prefix_and_groups() -> None:
    world = World()
    user = world.ask(world.token(groups=["dev", "ops"], jti="7"))
    assert user == User(f"{URL}#jane", ("dev", "ops"), "", {"authentication.kubernetes.io/credential-id": ("JTI=7",)})
    assert world.ask(world.token(groups="one")).groups == ("one",)  # type: ignore[union-attr]
    assert world.ask(world.token(aud=["x", "kubernetes"])) is not None


def test_what_is_no_token_of_this_issuer_is_left_to_others() -> None:
    world = World()
    assert world.ask("opaque") is None
    assert world.ask("a.b.c") is None
    assert world.ask(world.token(iss="https://other.example.org")) is None
    assert world.server.asked == []


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": "never"},
        {"nbf": 2_000_000_000},
        {"aud": "other"},
        {"aud": None},
        {"aud": {"kubernetes": 1}},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"groups": [1]},
        {"groups": {"a": "b"}},
    ],
)
def test_claims_that_do_not_hold_are_refused(claims: dict[str, Any]) -> None:
    world = World()
    assert world.refused(world.token(**claims))


def test_an_issuers_clock_may_run_ahead_five_minutes() -> None:
    world = World()
    assert world.ask(world.token(nbf=world.clock.now() + 299)) is not None
    assert world.refused(world.token(nbf=world.clock.now() + 301))


def test_a_signature_must_be_of_a_listed_key_and_an_accepted_algorithm() -> None:
    world = World()
    assert world.refused(world.token(EC_KEY, "ES256"))  # the flags accept RS256 alone
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert world.refused(world.token(stranger))
    head, payload, signature = world.token().split(".")
    assert world.refused(f"{head}.{payload}.{signature[:-8]}AAAAAAAA")
    assert world.refused(f"{head}.{payload}.")
    now = int(world.clock.now())
    claims = {"iss": URL, "aud": "kubernetes", "sub": "root", "exp": now + 600}
    assert world.refused(jwt.encode(claims, None, "none"))  # type: ignore[arg-type]
    assert world.refused(jwt.encode(claims, "public key as a password, long enough", "HS256"))


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA_KEY, "RS512"), (RSA_KEY, "PS256"), (EC_KEY, "ES256"), (P384_KEY, "ES384")]
)
def test_algorithms(key: Any, algorithm: str) -> None:
    flags = OidcFlags(issuer_url=URL, client_id="kubernetes", algorithms=(algorithm,))
    # A PS256 key is listed as one of RS256: an RSA key signs either way.
    world = World(issuer_of_flags(flags), IssuerServer(key))
    assert world.ask(world.token(key, algorithm)) is not None


def test_keys_are_fetched_once_and_again_for_a_new_one_but_not_for_every_stranger() -> None:
    world = World(server=IssuerServer(RSA_KEY))
    for _ in range(3):
        assert world.ask(world.token()) is not None
    assert len(world.server.asked) == 2
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for _ in range(5):
        assert world.refused(world.token(new))  # asked again at most every 10 s
    assert len(world.server.asked) == 2
    world.server.keys = [new]
    asyncio.run(world.clock.advance(11))
    assert world.ask(world.token(new)) is not None
    assert len(world.server.asked) == 4
    assert world.refused(world.token(RSA_KEY))  # retired


def test_an_issuer_that_is_down_or_another_refuses_what_is_not_known_yet() -> None:
    world = World()
    world.server.works = False
    assert world.refused(world.token())
    world = World()
    world.server.issuer = "https://evil.example.org"
    assert world.refused(world.token())


def test_required_claims_and_verified_email() -> None:
    flags = OidcFlags(issuer_url=URL, client_id="kubernetes", username_claim="email", required={"hd": "example.org"})
    world = World(issuer_of_flags(flags))
    good = {"email": "jane@example.org", "hd": "example.org"}
    user = world.ask(world.token(**good))
    assert user is not None
    assert user.name == "jane@example.org"
    assert world.refused(world.token(**{**good, "hd": "evil.org"}))
    assert world.refused(world.token(email="jane@example.org"))
    assert world.refused(world.token(**good, email_verified=False))


STRUCTURED = f"""
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: {URL}
    audiences: [kubernetes, other]
    audienceMatchPolicy: MatchAny
  claimValidationRules:
  - claim: hd
    requiredValue: example.org
  - expression: 'claims.exp - claims.iat <= 86400'
    message: tokens live a day at most
  claimMappings:
    username:
      expression: '"x:" + claims.sub'
    groups:
      expression: 'claims.roles.filter(r, r.startsWith("k8s-")).map(r, r.substring(4))'
    uid:
      claim: sub
    extra:
    - key: example.org/tenant
      valueExpression: claims.tenant
  userValidationRules:
  - expression: "!user.username.startsWith('x:system:')"
    message: reserved
anonymous:
  enabled: true
  conditions:
  - path: /livez
  - path: /readyz
"""


def structured(folder: Path, text: str = STRUCTURED) -> tuple[Any, Anonymous]:
    path = folder / "authentication.yaml"
    path.write_text(text)
    return read_authentication(path, compiled, ["https://kubernetes.default.svc"])


def test_mappings_and_rules_of_a_configuration(tmp_path: Path) -> None:
    issuers, anonymous = structured(tmp_path)
    assert anonymous == Anonymous(True, frozenset({"/livez", "/readyz"}))
    world = World(issuers[0])
    claims = {"hd": "example.org", "roles": ["k8s-dev", "hr"], "tenant": "blue"}
    assert world.ask(world.token(EC_KEY, "ES256", **claims)) == User(
        "x:jane", ("dev",), "jane", {"example.org/tenant": ("blue",)}
    )
    assert world.refused(world.token(**{**claims, "hd": "evil.org"}))
    assert world.refused(world.token(**claims, exp=int(world.clock.now()) + 90_000))
    assert world.refused(world.token(**claims, sub="system:admin"))
    assert world.refused(world.token(**{**claims, "roles": None}))  # no such key


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        (URL, "http://plain", "jwt[0].issuer.url: 'http://plain': must begin with https://"),
        (URL, "https://kubernetes.default.svc", "jwt[0].issuer.url: 'https://kubernetes.default.svc': is this"),
        ("audiences: [kubernetes, other]", "audiences: []", "jwt[0].issuer.audiences: required"),
        ("    audienceMatchPolicy: MatchAny\n", "", "jwt[0].issuer.audienceMatchPolicy: must be MatchAny"),
        (
            "claims.exp - claims.iat",
            "claims.exp -",
            "jwt[0].claimValidationRules[1].expression: no valid expression: 1:",
        ),
        ("      claim: sub\n", "      claims: sub\n", "jwt[0].claimMappings.uid.claims: unknown field"),
        (
            "      expression: '\"x:\" + claims.sub'",
            "      claim: sub",
            "jwt[0].claimMappings.username.prefix: required",
        ),
        (
            "example.org/tenant",
            "kubernetes.io/tenant",
            "jwt[0].claimMappings.extra[0].key: 'kubernetes.io/tenant': that",
        ),
        ("  enabled: true", "  enabled: false", "anonymous.conditions: must be left out"),
    ],
)
def test_a_mistake_in_a_configuration_is_told_with_its_place(
    tmp_path: Path, before: str, after: str, place: str
) -> None:
    assert before in STRUCTURED
    with pytest.raises(BadConfiguration) as caught:
        structured(tmp_path, STRUCTURED.replace(before, after, 1))
    assert str(caught.value).startswith(f"{tmp_path}/authentication.yaml: {place}")
    assert "\n" not in str(caught.value)
