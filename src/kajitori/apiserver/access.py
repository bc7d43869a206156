"""Who is known and who decides, as configured now: built once, changed while serving when a file changes.

A file that cannot be used changes nothing: who was known and what was allowed stays. What is replaced goes on answering
those who are asking it, and is closed when they have been answered.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from kajitori.apiserver.authn.chain import AuthenticatorChain, TokenAuthenticator
from kajitori.apiserver.authn.front_proxy import FrontProxies
from kajitori.apiserver.authn.settings import AuthenticationSettings, id_tokens
from kajitori.apiserver.authn.trust import Trust
from kajitori.apiserver.authn.x509 import CertificateAuthenticator
from kajitori.apiserver.authz.settings import AuthorizationSettings, build_authorizers
from kajitori.apiserver.authz.union import UnionAuthorizer
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.interfaces import Authorizer, User
from kajitori.apiserver.remote import ReviewCaller
from kajitori.kit.clock import Clock

_LAST_ANSWER_S = 60.0
"""After this nobody waits for an answer of a webhook that has been replaced."""


class Access:
    def __init__(
        self,
        authentication: AuthenticationSettings,
        authorization: AuthorizationSettings,
        trust: Trust,
        own: Sequence[TokenAuthenticator],
        remembered: Callable[[str], User | None],
        audiences: Sequence[str],
        in_memory: Mapping[str, Authorizer],
        clock: Clock,
    ) -> None:
        """`own` know the tokens of this cluster; `in_memory` are the authorizers Node and RBAC. Raises
        BadConfiguration."""
        self._clock = clock
        self._audiences = tuple(audiences)
        self._in_memory = in_memory
        self._own = tuple(own)
        self._webhooks, self._tokens_callers = _webhook_tokens(authentication, audiences, clock)
        self._retiring: set[asyncio.Task[None]] = set()
        self._anonymous = authentication.anonymous
        self._certificates = CertificateAuthenticator(clock, trust.clients)
        names = trust.settings
        self._proxies = FrontProxies(trust.proxies, names.proxy_names, names.headers, clock)
        self.trust = trust
        self.authenticator = AuthenticatorChain(
            self._certificates, (), authentication.anonymous, remembered, self._proxies
        )
        self.authenticate_by(authentication)
        self.incomplete = authorization.incomplete
        authorizers, self._callers = build_authorizers(authorization, in_memory, clock)
        self.authorizer = UnionAuthorizer(authorizers)

    def authenticate_by(self, settings: AuthenticationSettings) -> None:
        """Take up other issuers. Raises BadConfiguration."""
        if settings.anonymous != self._anonymous:
            raise BadConfiguration("anonymous: cannot change while serving: restart, or put back what it was")
        issuers = id_tokens(settings.issuers, self._audiences, self._clock)
        self.authenticator.use((*self._own, *issuers, *self._webhooks))

    def authorize_by(self, settings: AuthorizationSettings) -> None:
        """Take up other authorizers. Raises BadConfiguration."""
        authorizers, callers = build_authorizers(settings, self._in_memory, self._clock)
        replaced, self._callers = self._callers, callers
        self.authorizer.use(authorizers)
        self.incomplete = settings.incomplete
        if replaced:
            task = asyncio.create_task(self._retire(replaced), name="closing of replaced webhooks")
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def reload_trust(self) -> None:
        """Take up other authorities of clients and proxies. Raises BadConfiguration."""
        self.trust.reload()
        self._certificates.trust(self.trust.clients)
        self._proxies.trust(self.trust.proxies)

    async def _retire(self, callers: Sequence[ReviewCaller]) -> None:
        try:
            await self._clock.sleep(_LAST_ANSWER_S)
        finally:
            for caller in callers:
                await caller.close()

    async def close(self) -> None:
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for caller in (*self._callers, *self._tokens_callers):
            await caller.close()


def _webhook_tokens(
    settings: AuthenticationSettings, audiences: Sequence[str], clock: Clock
) -> tuple[list[TokenAuthenticator], list[ReviewCaller]]:
    if settings.webhook is None:
        return [], []
    from kajitori.apiserver.authn.webhook import WebhookTokens

    caller = ReviewCaller(settings.webhook, clock)
    return [WebhookTokens(caller, audiences, clock, settings.webhook_cache_s)], [caller]
