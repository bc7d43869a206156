"""Other authorizers, issuers and authorities while serving."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kajitori.apiserver import pki
from kajitori.apiserver.access import Access
from kajitori.apiserver.authn.anchors import Anchors
from kajitori.apiserver.authn.chain import Anonymous, OpaqueTokens
from kajitori.apiserver.authn.settings import AuthenticationSettings
from kajitori.apiserver.authn.trust import Trust, TrustSettings
from kajitori.apiserver.authz.settings import NO_RULES, AuthorizationSettings, Webhook
from kajitori.apiserver.authz.union import Always
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.interfaces import ANONYMOUS, Attributes, Credentials, User, Verdict
from kajitori.kit.clock import VirtualClock

ASKED = Attributes(User("jane"), "get", resource="pods")
KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        now_s = self.clock.now()
        self.other = pki.create_authority("other", now_s)
        self.bundle = folder / "clients.pem"
        self.bundle.write_bytes(pki.create_authority("first", now_s).certificate)
        self.kubeconfig = folder / "webhook.kubeconfig"
        self.kubeconfig.write_text(KUBECONFIG)
        settings = AuthenticationSettings(trust=TrustSettings(client_authorities=self.bundle))
        own, proxies = pki.create_authority("kubernetes", now_s), pki.create_authority("proxies", now_s)
        self.access = Access(
            settings,
            AuthorizationSettings(("AlwaysDeny",)),
            Trust(settings.trust, own.certificate, proxies.certificate),
            [OpaqueTokens(lambda token: User(token) if token == "static" else None, ("api",))],
            lambda token: None,
            ("api",),
            {"RBAC": Always(Verdict.ALLOW)},
            self.clock,
        )


def run(folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(folder)
        await scenario(world)
        await world.access.close()

    asyncio.run(main())


def test_other_authorizers_decide_from_the_next_request_on(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        authorizer = w.access.authorizer
        assert authorizer.authorize(ASKED)[0] is Verdict.NO_OPINION
        w.access.authorize_by(AuthorizationSettings(("RBAC",)))
        assert authorizer.authorize(ASKED)[0] is Verdict.ALLOW
        assert w.access.incomplete(ASKED.user) == []
        webhook = Webhook(kubeconfig=w.kubeconfig)
        w.access.authorize_by(AuthorizationSettings((webhook,)))
        assert (authorizer.authorize(ASKED)[0], w.access.incomplete(ASKED.user)) == (Verdict.ASK, [NO_RULES])
        with pytest.raises(BadConfiguration):
            w.access.authorize_by(AuthorizationSettings((Webhook(kubeconfig=tmp_path / "none"),)))
        assert authorizer.authorize(ASKED)[0] is Verdict.ASK

    run(tmp_path, scenario)


def test_a_replaced_webhook_is_closed_when_nobody_waits_for_it(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        w.access.authorize_by(AuthorizationSettings((Webhook(kubeconfig=w.kubeconfig),)))
        (caller,) = w.access._callers
        w.access.authorize_by(AuthorizationSettings(("RBAC",)))
        await w.clock.advance(59)
        assert not caller._transport._closed
        await w.clock.advance(1)
        assert caller._transport._closed

    run(tmp_path, scenario)


def test_closing_closes_the_callers_of_webhooks(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        w.access.authorize_by(AuthorizationSettings((Webhook(kubeconfig=w.kubeconfig),)))
        (caller,) = w.access._callers
        await w.access.close()
        assert caller._transport._closed

    run(tmp_path, scenario)


def test_issuers_change_but_not_the_anonymous_or_the_static_tokens(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        authenticator = w.access.authenticator
        w.access.authenticate_by(AuthenticationSettings())
        assert (await authenticator.authenticate(Credentials(bearer_token="static"))).name == "static"
        with pytest.raises(BadConfiguration, match="anonymous: cannot change while serving"):
            w.access.authenticate_by(AuthenticationSettings(anonymous=Anonymous(False)))
        assert await authenticator.authenticate(Credentials()) == ANONYMOUS

    run(tmp_path, scenario)


def test_authorities_are_those_of_the_file(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        before = w.access.trust.clients.pem
        w.bundle.write_text("nothing")
        with pytest.raises(BadConfiguration):
            w.access.reload_trust()
        assert w.access.trust.clients.pem == before
        w.bundle.write_bytes(w.other.certificate)
        w.access.reload_trust()
        assert Anchors(w.other.certificate).pem in w.access.trust.published["client-ca-file"].encode()

    run(tmp_path, scenario)
