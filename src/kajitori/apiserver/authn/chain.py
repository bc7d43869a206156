"""The authenticators in their order: whom a proxy names, certificate, token, nobody."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from kajitori.api.errors import Unauthorized
from kajitori.apiserver.authn.front_proxy import FrontProxies
from kajitori.apiserver.authn.x509 import CertificateAuthenticator
from kajitori.apiserver.interfaces import ANONYMOUS, Credentials, User

Found = tuple[User, tuple[str, ...]]
"""A token's user, and the audiences that token and question share."""
AUTHENTICATED = "system:authenticated"
_UNAUTHENTICATED = "system:unauthenticated"


class TokenAuthenticator(Protocol):
    async def authenticate(self, token: str, audiences: Sequence[str] = ()) -> Found | None:
        """None when the token is not of this kind; raises Unauthorized when it is, but does not hold.

        `audiences` empty means this server's own.
        """


class OpaqueTokens:
    """Tokens that say nothing of whom they are for: they are for this server."""

    def __init__(self, find: Callable[[str], User | None], audiences: Sequence[str]) -> None:
        self._find = find
        self._audiences = tuple(audiences)

    async def authenticate(self, token: str, audiences: Sequence[str] = ()) -> Found | None:
        user = self._find(token)
        if user is None:
            return None
        shared = tuple(a for a in audiences if a in self._audiences) if audiences else self._audiences
        if not shared:
            raise Unauthorized()
        return user, shared


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Whether requests without credentials are served, and on which paths (None: on every one; the pipeline looks)."""

    enabled: bool = True
    paths: frozenset[str] | None = None


class AuthenticatorChain:
    """Whoever brings nothing is anonymous (or refused); whoever brings nothing that holds is refused."""

    def __init__(
        self,
        certificates: CertificateAuthenticator,
        tokens: Sequence[TokenAuthenticator],
        anonymous: Anonymous = Anonymous(),  # frozen
        remembered: Callable[[str], User | None] = lambda token: None,
        proxies: FrontProxies | None = None,
    ) -> None:
        """`remembered` tells the user of a token that has been accepted before and would be again."""
        self._certificates = certificates
        self._tokens = tuple(tokens)
        self._anonymous = anonymous
        self._remembered = remembered
        self._proxies = proxies

    def use(self, tokens: Sequence[TokenAuthenticator]) -> None:
        """From now on these know tokens, and no others."""
        self._tokens = tuple(tokens)

    def known(self, credentials: Credentials) -> User | None:
        if credentials.certificate is not None and (user := self._certified(credentials)) is not None:
            return user
        return self._remembered(credentials.bearer_token)

    def _certified(self, credentials: Credentials) -> User | None:
        """None when the certificate does not hold, but there is a token that may. Raises Unauthorized."""
        assert credentials.certificate is not None
        if self._proxies is not None and (user := self._proxies.user_of(credentials)) is not None:
            return _authenticated(user)
        try:
            return self._certificates.authenticate(credentials.certificate, credentials.chain)
        except Unauthorized:
            if credentials.bearer_token:
                return None
            raise

    async def authenticate(self, credentials: Credentials) -> User:
        if credentials.certificate is not None and (certified := self._certified(credentials)) is not None:
            return certified
        if credentials.bearer_token:
            user, _ = await self.authenticate_token(credentials.bearer_token)
            return user
        if not self._anonymous.enabled:
            raise Unauthorized()
        return ANONYMOUS

    async def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> Found:
        """The user of a token and the audiences it is good for. Raises Unauthorized."""
        for authenticator in self._tokens:
            found = await authenticator.authenticate(token, audiences)
            if found is not None:
                user, shared = found
                return _authenticated(user), shared
        raise Unauthorized()


def _authenticated(user: User) -> User:
    if AUTHENTICATED in user.groups or _UNAUTHENTICATED in user.groups:
        return user
    return replace(user, groups=(*user.groups, AUTHENTICATED))
