"""Static tokens, webhook tokens, and keys of service accounts that come and go."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kajitori.api import core
from kajitori.api.errors import Unauthorized
from kajitori.apiserver import pki
from kajitori.apiserver.authn.anchors import Anchors
from kajitori.apiserver.authn.chain import AuthenticatorChain, OpaqueTokens, TokenAuthenticator
from kajitori.apiserver.authn.keyring import Keyring, SigningKey, read_verifying_keys
from kajitori.apiserver.authn.service_accounts import ServiceAccountAuthenticator, TokenIssuer
from kajitori.apiserver.authn.static_tokens import StaticTokens
from kajitori.apiserver.authn.webhook import WebhookTokens
from kajitori.apiserver.authn.x509 import CertificateAuthenticator
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.interfaces import Credentials, User
from kajitori.apiserver.remote import Unanswered
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

AUTHORITY = pki.create_authority("kubernetes", VirtualClock().now())


def chain(*tokens: TokenAuthenticator) -> AuthenticatorChain:
    return AuthenticatorChain(CertificateAuthenticator(VirtualClock(), Anchors(AUTHORITY.certificate)), tokens)


def who(authenticators: AuthenticatorChain, token: str) -> User:
    return asyncio.run(authenticators.authenticate(Credentials(bearer_token=token)))


def static(folder: Path, text: str) -> StaticTokens:
    path = folder / "tokens.csv"
    path.write_text(text)
    return StaticTokens.read(path)


def test_static_tokens_name_user_uid_and_groups(tmp_path: Path) -> None:
    tokens = static(tmp_path, 'good,jane,7,"dev, ops"\n\nplain,jim,8\n')
    found = chain(OpaqueTokens(tokens.find, ["me"]))
    assert who(found, "good") == User("jane", ("dev", "ops", "system:authenticated"), "7")
    assert who(found, "plain").groups == ("system:authenticated",)
    for wrong in ("", "goo", "good ", "GOOD", "jane"):
        with pytest.raises(Unauthorized):
            asyncio.run(found.authenticate_token(wrong))
    with pytest.raises(Unauthorized):
        asyncio.run(found.authenticate_token("good", ["vault"]))
    assert "good" not in repr(vars(tokens))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("token,jane\n", "line 1: 2 columns"),
        ("a,jane,1\n,jim,2\n", "line 2: empty token or user"),
        ("a,jane,1\na,jim,2\n", "line 2: the token of an earlier line"),
        ('a,jane,1,"open\n', "not CSV"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_the_token(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        static(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/tokens.csv: {place}")


class Reviews:
    """A webhook that knows the token `good`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] | None = None

    async def post(self, document: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(document)
        await asyncio.sleep(0)
        if self.answer is not None:
            return self.answer
        if document["spec"]["token"] == "down":
            raise Unanswered("down")
        if document["spec"]["token"] != "good":
            return {"status": {"authenticated": False}}
        user = {"username": "jane", "uid": "7", "groups": ["dev"], "extra": {"a": ["b"]}}
        return {"status": {"authenticated": True, "user": user}}


def test_a_webhook_is_asked_once_for_a_while_for_yes_and_for_no() -> None:
    async def main() -> None:
        clock, reviews = VirtualClock(), Reviews()
        tokens = WebhookTokens(reviews, ["me"], clock, cache_s=120)
        found = await asyncio.gather(*(tokens.authenticate("good") for _ in range(20)))
        assert all(each == found[0] for each in found)
        assert found[0] == (User("jane", ("dev",), "7", {"a": ("b",)}), ("me",))
        assert reviews.asked == [
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": "good", "audiences": ["me"]},
            }
        ]
        assert await tokens.authenticate("bad") is None
        assert await tokens.authenticate("bad") is None
        assert len(reviews.asked) == 2
        await clock.advance(121)
        await tokens.authenticate("good")
        assert len(reviews.asked) == 3

    asyncio.run(main())


def test_a_webhook_that_does_not_answer_refuses_and_is_asked_again() -> None:
    async def main() -> None:
        reviews = Reviews()
        tokens = WebhookTokens(reviews, ["me"], VirtualClock())
        for _ in range(2):
            with pytest.raises(Unauthorized):
                await tokens.authenticate("down")
        assert len(reviews.asked) == 2
        assert await tokens.authenticate("x" * (17 << 10)) is None
        assert len(reviews.asked) == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    "status",
    [None, {"authenticated": "true"}, {"authenticated": True}, {"authenticated": True, "user": {"username": ""}}],
)
def test_half_an_answer_authenticates_nobody(status: Any) -> None:
    reviews = Reviews()
    reviews.answer = {"status": status}
    tokens = WebhookTokens(reviews, ["me"], VirtualClock())
    found = None
    with contextlib.suppress(Unauthorized):
        found = asyncio.run(tokens.authenticate("good"))
    assert found is None


def test_audiences_of_a_webhooks_answer() -> None:
    async def main() -> None:
        reviews = Reviews()
        tokens = WebhookTokens(reviews, ["me"], VirtualClock())
        assert await tokens.authenticate("good", ["vault"]) is None  # it said nothing of audiences: they are ours
        user = {"username": "jane"}
        reviews.answer = {"status": {"authenticated": True, "user": user, "audiences": ["vault", "x"]}}
        found = await tokens.authenticate("better", ["vault"])
        assert found is not None
        assert found[1] == ("vault",)

    asyncio.run(main())


def test_a_new_key_signs_while_the_old_ones_still_verify(tmp_path: Path) -> None:
    clock = VirtualClock()
    objects = FakeObjects(clock.now())
    account = objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})
    old = SigningKey(pki.create_signing_key())
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    new = SigningKey(
        rsa_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    assert (old.algorithm, new.algorithm) == ("ES256", "RS256")
    file = tmp_path / "keys.pem"
    file.write_bytes(
        b"".join(
            key.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            for key in (old, new)
        )
    )
    read = read_verifying_keys(file)
    assert [key.id for key in read] == [old.id, new.id]

    def accepts(keys: Keyring, token: str) -> bool:
        accounts = ServiceAccountAuthenticator(keys, ["https://new", "https://old"], ["me"], objects, clock)
        try:
            return asyncio.run(accounts.authenticate(token)) is not None
        except Unauthorized:
            return False

    by_old = TokenIssuer(old, "https://old").issue(account, ["me"], 3600, clock.now())
    by_new = TokenIssuer(new, "https://new").issue(account, ["me"], 3600, clock.now())
    assert accepts(Keyring(read), by_old)
    assert accepts(Keyring(read), by_new)
    assert not accepts(Keyring([new]), by_old)
    assert not accepts(Keyring(read), TokenIssuer(new, "https://third").issue(account, ["me"], 3600, clock.now()))


def test_a_file_without_keys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("nothing")
    with pytest.raises(BadConfiguration, match="holds no PEM block"):
        read_verifying_keys(tmp_path / "k")
    (tmp_path / "k").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(BadConfiguration, match="key 1: "):
        read_verifying_keys(tmp_path / "k")
