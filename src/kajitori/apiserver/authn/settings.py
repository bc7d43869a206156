"""Who is accepted, as flags and an AuthenticationConfiguration say; `authenticator` makes the chain of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kajitori.apiserver.authn.chain import Anonymous, TokenAuthenticator
from kajitori.apiserver.authn.static_tokens import StaticTokens
from kajitori.apiserver.authn.trust import TrustSettings
from kajitori.apiserver.configuration import BadConfiguration, Section, read_file
from kajitori.kit.clock import Clock

Compile = Callable[[str, Sequence[str]], Callable[[Mapping[str, Any]], Any]]
"""A CEL expression over these variables, compiled. Raises ValueError."""

GROUP, VERSIONS = "apiserver.config.k8s.io", ("v1", "v1beta1", "v1alpha1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationSettings:
    """`issuers` are `oidc.tokens.Issuer`s, whose module is imported only when there are any."""

    anonymous: Anonymous = field(default_factory=Anonymous)
    static_tokens: StaticTokens | None = None
    issuers: Sequence[Any] = ()
    webhook: Path | None = None
    webhook_cache_s: float = 120.0
    trust: TrustSettings = field(default_factory=TrustSettings)
    """Whose client certificates count."""


def id_tokens(issuers: Sequence[Any], audiences: Sequence[str], clock: Clock) -> list[TokenAuthenticator]:
    """One authenticator an `oidc.tokens.Issuer`."""
    found: list[TokenAuthenticator] = []
    if issuers:
        from kajitori.apiserver.authn.oidc.keys import IssuerKeys, https_fetch
        from kajitori.apiserver.authn.oidc.tokens import IdTokens

        for issuer in issuers:
            keys = IssuerKeys(issuer.url, issuer.discovery_url, https_fetch(issuer.authority, clock), clock)
            found.append(IdTokens(issuer, keys, audiences, clock))
    return found


def read_authentication(path: Path, compiled: Compile, own_issuers: Sequence[str]) -> tuple[Sequence[Any], Anonymous]:
    """The issuers and the anonymous conditions of an AuthenticationConfiguration. Raises BadConfiguration."""
    top = Section.load(path, "AuthenticationConfiguration", GROUP, VERSIONS)
    top.only("apiVersion", "kind", "jwt", "anonymous")
    issuers = [_issuer(section, compiled, own_issuers) for section in top.sections("jwt")]
    urls = [issuer.url for issuer in issuers]
    for number, url in enumerate(urls):
        if url in urls[:number]:
            raise top.error(f"jwt[{number}].issuer.url", f"{url!r}: duplicate; put both into one entry")
    return issuers, _anonymous(top)


def _anonymous(top: Section) -> Anonymous:
    if not top.has("anonymous"):
        return Anonymous()
    section = top.section("anonymous").only("enabled", "conditions")
    enabled = section.flag("enabled")
    paths = [condition.only("path").text("path", required=True) for condition in section.sections("conditions")]
    if paths and not enabled:
        raise section.error("conditions", "must be left out when enabled is false")
    return Anonymous(enabled, frozenset(paths) if paths else None)


def _issuer(section: Section, compiled: Compile, own_issuers: Sequence[str]) -> Any:
    from kajitori.apiserver.authn.oidc.claims import Mapped, Mappings, Rule
    from kajitori.apiserver.authn.oidc.tokens import Issuer

    section.only("issuer", "claimValidationRules", "claimMappings", "userValidationRules")
    issuer = section.section("issuer").only(
        "url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy", "egressSelectorType"
    )
    url = https_url(issuer, "url")
    if url in own_issuers:
        raise issuer.error("url", f"{url!r}: is this server's own issuer of service account tokens; name another")
    audiences = issuer.texts("audiences")
    if not audiences:
        raise issuer.error("audiences", "required: at least one")
    policy = issuer.text("audienceMatchPolicy", one_of=("MatchAny",))
    if len(audiences) > 1 and not policy:
        raise issuer.error("audienceMatchPolicy", "must be MatchAny when there are several audiences")

    def expression(where: Section, name: str, variable: str) -> Any:
        text = where.text(name)
        if not text:
            return None
        try:
            return compiled(text, (variable,))
        except ValueError as error:
            raise where.error(name, f"no valid expression: {error}") from error

    def mapped(where: Section, *, prefixed: bool = True, required: bool = False) -> Mapped:
        where.only("claim", "expression", *(("prefix",) if prefixed else ()))
        claim, program = where.text("claim"), expression(where, "expression", "claims")
        if claim and program is not None:
            raise where.error("", "give claim or expression, not both")
        if required and not claim and program is None:
            raise where.error("", "required: give claim or expression")
        if prefixed and claim and not where.has("prefix"):
            raise where.error("prefix", 'required with claim; write "" for none')
        if program is not None and where.has("prefix"):
            raise where.error("prefix", "goes with claim only; put it into the expression")
        return Mapped(claim, where.text("prefix") if prefixed else "", program)

    def rule(where: Section, variable: str) -> Rule:
        claim, program = where.text("claim"), expression(where, "expression", variable)
        if bool(claim) == (program is not None):
            raise where.error("", "give claim or expression, one of the two")
        return Rule(claim, where.text("requiredValue"), program, where.text("message"))

    mappings = section.section("claimMappings").only("username", "groups", "uid", "extra")
    extra = {}
    for entry in mappings.sections("extra"):
        entry.only("key", "valueExpression").text("valueExpression", required=True)
        extra[_extra_key(entry)] = expression(entry, "valueExpression", "claims")
    claim_rules = [
        rule(where.only("claim", "requiredValue", "expression", "message"), "claims")
        for where in section.sections("claimValidationRules")
    ]
    user_rules = []
    for where in section.sections("userValidationRules"):
        where.only("expression", "message").text("expression", required=True)
        user_rules.append(rule(where, "user"))
    return Issuer(
        url=url,
        audiences=audiences,
        discovery_url=https_url(issuer, "discoveryURL") if issuer.text("discoveryURL") else "",
        authority=issuer.text("certificateAuthority").encode(),
        mappings=Mappings(
            username=mapped(mappings.section("username"), required=True),
            groups=mapped(mappings.section("groups")),
            uid=mapped(mappings.section("uid"), prefixed=False),
            extra=extra,
            claim_rules=claim_rules,
            user_rules=user_rules,
        ),
    )


def _extra_key(entry: Section) -> str:
    key = entry.text("key", required=True)
    domain, slash, path = key.partition("/")
    if not slash or "." not in domain or not path or key != key.lower():
        raise entry.error("key", f"{key!r}: must be a lower-case path under a domain, like example.org/tenant")
    if domain.endswith(("kubernetes.io", "k8s.io")):
        raise entry.error("key", f"{key!r}: that domain is reserved; use your own")
    return key


def https_url(section: Section, name: str) -> str:
    url = section.text(name, required=True)
    if not url.startswith("https://"):
        raise section.error(name, f"{url!r}: must begin with https://")
    return url


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcFlags:
    """The --oidc-* options as they are given."""

    issuer_url: str
    client_id: str
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    required: Mapping[str, str] = field(default_factory=dict)
    ca_file: Path | None = None
    algorithms: tuple[str, ...] = ("RS256",)


def issuer_of_flags(flags: OidcFlags) -> Any:
    """The issuer that the --oidc-* options describe. Raises BadConfiguration."""
    from kajitori.apiserver.authn.oidc.claims import Mapped, Mappings, Rule
    from kajitori.apiserver.authn.oidc.tokens import ALGORITHMS, Issuer

    if not flags.issuer_url.startswith("https://"):
        raise BadConfiguration(f"--oidc-issuer-url {flags.issuer_url}: must begin with https://")
    if not flags.client_id:
        raise BadConfiguration("--oidc-issuer-url: needs --oidc-client-id too: the audience of the tokens")
    for name in flags.algorithms:
        if name not in ALGORITHMS:
            raise BadConfiguration(f"--oidc-signing-algs {name}: unknown; choose from {', '.join(ALGORITHMS)}")
    prefix = flags.username_prefix
    if not prefix and flags.username_claim != "email":
        prefix = f"{flags.issuer_url}#"
    return Issuer(
        url=flags.issuer_url,
        audiences=(flags.client_id,),
        authority=read_file(flags.ca_file) if flags.ca_file else b"",
        algorithms=flags.algorithms,
        mappings=Mappings(
            username=Mapped(flags.username_claim, "" if prefix == "-" else prefix),
            groups=Mapped(flags.groups_claim, flags.groups_prefix),
            claim_rules=[Rule(claim, value) for claim, value in flags.required.items()],
        ),
    )
