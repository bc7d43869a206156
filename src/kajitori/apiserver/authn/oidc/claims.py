"""From the claims of a verified token to a user: pure, by the mappings and rules of an issuer's configuration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kajitori.api.meta import Object
from kajitori.apiserver.authn.x509 import CREDENTIAL_ID
from kajitori.apiserver.interfaces import User

Expression = Callable[[Mapping[str, Any]], Any]
"""A compiled CEL expression over variables. Raises ValueError."""


class ClaimRefused(Exception):
    """The claims do not make a user; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A claim with a prefix, or an expression; neither: nothing."""

    claim: str = ""
    prefix: str = ""
    expression: Expression | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A claim that must have a value, or an expression that must be true."""

    claim: str = ""
    value: str = ""
    expression: Expression | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mappings:
    username: Mapped
    groups: Mapped = Mapped()  # frozen
    uid: Mapped = Mapped()  # frozen
    extra: Mapping[str, Expression] = field(default_factory=dict)
    claim_rules: Sequence[Rule] = ()
    user_rules: Sequence[Rule] = ()


def user_of(claims: Object, mappings: Mappings) -> User:
    """Raises ClaimRefused."""
    for rule in mappings.claim_rules:
        _check_claim(rule, claims)
    extra = {key: values for key, expr in mappings.extra.items() if (values := _texts(f"extra {key}", expr, claims))}
    if isinstance(jti := claims.get("jti"), str) and jti:
        extra[CREDENTIAL_ID] = (f"JTI={jti}",)
    user = User(_username(mappings.username, claims), _groups(mappings.groups, claims), _uid(mappings, claims), extra)
    for rule in mappings.user_rules:
        assert rule.expression is not None, "a rule about users is an expression"
        if _value("user validation rule", rule.expression, {"user": _shown(user)}) is not True:
            raise ClaimRefused(rule.message or "a user validation rule is not met")
    return user


def _check_claim(rule: Rule, claims: Object) -> None:
    if rule.expression is not None:
        if _value("claim validation rule", rule.expression, {"claims": claims}) is not True:
            raise ClaimRefused(rule.message or "a claim validation rule is not met")
    elif claims.get(rule.claim) != rule.value:
        raise ClaimRefused(f"the claim {rule.claim} must be {rule.value!r}")


def _username(mapped: Mapped, claims: Object) -> str:
    if mapped.expression is not None:
        name = _value("username", mapped.expression, {"claims": claims})
    else:
        name = claims.get(mapped.claim)
        # An address that its owner has not proven to be his is nobody's.
        if mapped.claim == "email" and claims.get("email_verified", True) is not True:
            raise ClaimRefused("the email is not verified")
    if not isinstance(name, str) or not name:
        raise ClaimRefused(f"the username ({mapped.claim or 'expression'}) must be a string that is not empty")
    return mapped.prefix + name


def _groups(mapped: Mapped, claims: Object) -> tuple[str, ...]:
    if mapped.expression is not None:
        return _texts("groups", mapped.expression, claims)
    found = claims.get(mapped.claim) if mapped.claim else None
    return tuple(mapped.prefix + group for group in _strings(f"the claim {mapped.claim}", found))


def _uid(mappings: Mappings, claims: Object) -> str:
    mapped = mappings.uid
    if mapped.expression is not None:
        found = _value("uid", mapped.expression, {"claims": claims})
    else:
        found = claims.get(mapped.claim) if mapped.claim else ""
    if not isinstance(found, str):
        raise ClaimRefused("the uid must be a string")
    return found


def _texts(what: str, expression: Expression, claims: Object) -> tuple[str, ...]:
    return tuple(text for text in _strings(what, _value(what, expression, {"claims": claims})) if text)


def _strings(what: str, value: Any) -> list[str]:
    """A string counts as a list of one."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ClaimRefused(f"{what} must be a string or a list of strings")
    return list(value)


def _value(what: str, expression: Expression, variables: Mapping[str, Any]) -> Any:
    try:
        return expression(variables)
    except ValueError as error:
        raise ClaimRefused(f"{what}: {error}") from error


def _shown(user: User) -> Object:
    return {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
