"""The authenticators in their order: certificate first, then token, then nobody."""

from collections.abc import Sequence

from kajitori.api.errors import Unauthorized
from kajitori.apiserver.authn.service_accounts import ServiceAccountAuthenticator
from kajitori.apiserver.authn.tokens import BootstrapTokens
from kajitori.apiserver.authn.x509 import CertificateAuthenticator
from kajitori.apiserver.interfaces import ANONYMOUS, Credentials, User


class AuthenticatorChain:
    """Whoever brings nothing is anonymous (or refused); whoever brings something that does not hold is refused."""

    def __init__(
        self,
        certificates: CertificateAuthenticator,
        service_accounts: ServiceAccountAuthenticator,
        bootstrap: BootstrapTokens,
        *,
        allow_anonymous: bool = True,
    ) -> None:
        self._certificates = certificates
        self._service_accounts = service_accounts
        self._bootstrap = bootstrap
        self._allow_anonymous = allow_anonymous

    async def authenticate(self, credentials: Credentials) -> User:
        if credentials.certificate is not None:
            return self._certificates.authenticate(credentials.certificate)
        if credentials.bearer_token:
            user, _ = await self.authenticate_token(credentials.bearer_token)
            return user
        if not self._allow_anonymous:
            raise Unauthorized()
        return ANONYMOUS

    async def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, tuple[str, ...]]:
        """The user of a token and the audiences it is good for. Raises Unauthorized."""
        opaque = self._bootstrap.authenticate(token)
        own = self._service_accounts.audiences
        if opaque is not None:
            shared = tuple(a for a in audiences if a in own) if audiences else own
            if not shared:
                raise Unauthorized()
            return opaque, shared
        found = await self._service_accounts.authenticate(token, audiences)
        if found is None:
            raise Unauthorized()
        return found
