"""Several authorizers as one: the first that has an opinion decides."""

from collections.abc import Sequence

from kajitori.apiserver.interfaces import Attributes, Authorizer, Verdict, decided

SUPERUSERS = "system:masters"


class PrivilegedGroup:
    """Members of system:masters may everything, whatever RBAC says: the way out when RBAC is broken."""

    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        return (Verdict.ALLOW, "") if SUPERUSERS in attributes.user.groups else (Verdict.NO_OPINION, "")


class UnionAuthorizer:
    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def use(self, authorizers: Sequence[Authorizer]) -> None:
        """From now on these decide, and no others."""
        self._authorizers = tuple(authorizers)

    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        reasons = []
        for authorizer in self._authorizers:
            verdict, reason = authorizer.authorize(attributes)
            if verdict is not Verdict.NO_OPINION:
                return verdict, reason
            if reason:
                reasons.append(reason)
        return Verdict.NO_OPINION, "\n".join(reasons)

    async def ask(self, attributes: Attributes) -> tuple[Verdict, str]:
        """The same, when one of them has to ask elsewhere."""
        reasons = []
        for authorizer in self._authorizers:
            verdict, reason = await decided(authorizer, attributes)
            if verdict is not Verdict.NO_OPINION:
                return verdict, reason
            if reason:
                reasons.append(reason)
        return Verdict.NO_OPINION, "\n".join(reasons)


class Always:
    """AlwaysAllow and AlwaysDeny."""

    def __init__(self, verdict: Verdict, reason: str = "") -> None:
        self._answer = verdict, reason

    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        return self._answer
