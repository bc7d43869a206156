"""What the API server's options mean: texts `--name=value` and the files they name, read once into values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kajitori.apiserver.audit.log_file import Rotation
from kajitori.apiserver.audit.policy import read_policy
from kajitori.apiserver.audit.settings import BATCH, FORMATS, MODES, AuditSettings
from kajitori.apiserver.audit.sinks import BATCH_MAX, BATCH_WAIT_S, QUEUED_MAX, Batches
from kajitori.apiserver.audit.truncation import NO_LIMITS, Limits
from kajitori.apiserver.authn.chain import Anonymous
from kajitori.apiserver.authn.keyring import SigningKey, VerifyingKey, read_signing_key, read_verifying_keys
from kajitori.apiserver.authn.settings import AuthenticationSettings, OidcFlags, issuer_of_flags, read_authentication
from kajitori.apiserver.authn.static_tokens import StaticTokens
from kajitori.apiserver.authz.settings import (
    NODE,
    RBAC,
    AuthorizationSettings,
    Webhook,
    read_authorization,
    steps_of_modes,
)
from kajitori.apiserver.authz.webhook import AUTHORIZED_S, UNAUTHORIZED_S, WebhookPolicy
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.encryption.configuration import read_encryption
from kajitori.apiserver.expressions import compiled
from kajitori.apiserver.security import CLUSTER_ISSUER, SecurityConfig
from kajitori.apiserver.server import ApiServerConfig
from kajitori.app.certificate_settings import TlsOptions, read_front_proxy, read_tls, read_trust
from kajitori.app.flags import Flags
from kajitori.cli.interface import CommandError

_TOKEN_LIFETIME_S = (3600.0, float(1 << 32))
"""What --service-account-max-token-expiration may be, as upstream has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything that the options say."""

    authentication: AuthenticationSettings = field(default_factory=AuthenticationSettings)
    authorization: AuthorizationSettings = field(default_factory=AuthorizationSettings)
    authentication_file: Path | None = None
    authorization_file: Path | None = None
    encryption_file: Path | None = None
    reloads_encryption: bool = False
    """The first two are taken up when they change, by reading them again; the third when this says so."""
    read_authentication: Callable[[], AuthenticationSettings] = AuthenticationSettings
    read_authorization: Callable[[], AuthorizationSettings] = AuthorizationSettings
    audit: AuditSettings | None = None
    issuers: tuple[str, ...] = (CLUSTER_ISSUER,)
    audiences: tuple[str, ...] = (CLUSTER_ISSUER,)
    tls: TlsOptions = field(default_factory=TlsOptions)
    front_proxy: tuple[Path, Path] | None = None
    signing_key: SigningKey | None = None
    verifying_keys: tuple[VerifyingKey, ...] = ()
    token_lifetime_max_s: int | None = None
    plugins_on: frozenset[str] = frozenset()
    plugins_off: frozenset[str] = frozenset()
    allow_privileged: bool = True
    server: ApiServerConfig = field(default_factory=ApiServerConfig)

    def applied(self, config: SecurityConfig) -> SecurityConfig:
        """That configuration with what the options say; the auditor is made by whoever serves."""
        return replace(
            config,
            issuers=self.issuers,
            audiences=self.audiences,
            front_proxy=self.front_proxy,
            signing_key=self.signing_key,
            verifying_keys=self.verifying_keys,
            token_lifetime_max_s=self.token_lifetime_max_s,
            authentication=self.authentication,
            authorization=self.authorization,
            plugins_on=self.plugins_on,
            plugins_off=self.plugins_off,
            allow_privileged=self.allow_privileged,
        )


def read_settings(arguments: Sequence[str]) -> ServerSettings:
    """Raises CommandError: one line naming the option or the file, the place in it, and the remedy."""
    try:
        settings = _settings(Flags(arguments))
        return replace(settings, server=replace(settings.server, flags=tuple(arguments)))
    except BadConfiguration as error:
        raise CommandError(str(error)) from error


def _settings(flags: Flags) -> ServerSettings:
    issuers = tuple(flags.all("service-account-issuer")) or (CLUSTER_ISSUER,)
    signing = flags.path("service-account-signing-key-file")
    encryption = flags.path("encryption-provider-config")
    if encryption is not None:
        read_encryption(encryption)  # its mistakes are told now; whoever serves reads it with its plugins
    flags.only_with("encryption-provider-config-automatic-reload", "encryption-provider-config")
    return ServerSettings(
        authentication=_authentication(flags, issuers),
        authorization=_authorization(flags),
        authentication_file=flags.path("authentication-config"),
        authorization_file=flags.path("authorization-config"),
        encryption_file=encryption,
        reloads_encryption=flags.flag("encryption-provider-config-automatic-reload", False),
        read_authentication=lambda: _authentication_again(flags, issuers),
        read_authorization=lambda: _authorization(flags),
        audit=_audit(flags),
        issuers=issuers,
        audiences=flags.list("api-audiences") or issuers[:1],
        tls=read_tls(flags),
        front_proxy=read_front_proxy(flags),
        signing_key=read_signing_key(signing) if signing else None,
        verifying_keys=tuple(
            key for path in flags.all("service-account-key-file") for key in read_verifying_keys(Path(path))
        ),
        token_lifetime_max_s=_token_lifetime(flags),
        plugins_on=frozenset(flags.list("enable-admission-plugins")),
        plugins_off=frozenset(flags.list("disable-admission-plugins")),
        allow_privileged=flags.flag("allow-privileged", True),
        server=_server(flags),
    )


def _strangers(flags: Flags, own_issuers: Sequence[str]) -> tuple[Sequence[object], Anonymous]:
    """The issuers whose tokens are accepted, and what those may do who bring none."""
    oidc = ("oidc-client-id", "oidc-username-claim", "oidc-groups-claim", "oidc-required-claim", "oidc-ca-file")
    for name in oidc:
        flags.only_with(name, "oidc-issuer-url")
    flags.not_with("authentication-config", "oidc-issuer-url")
    config = flags.path("authentication-config")
    issuers: Sequence[object] = ()
    anonymous = Anonymous(flags.flag("anonymous-auth", True))
    if config is not None:
        issuers, told = read_authentication(config, compiled, own_issuers)
        if told != Anonymous() and flags.text("anonymous-auth"):
            raise BadConfiguration(f"--anonymous-auth: {config} says the same under `anonymous`; give one of the two")
        anonymous = told if told != Anonymous() else anonymous
    elif flags.text("oidc-issuer-url"):
        issuers = (issuer_of_flags(_oidc(flags)),)
    return issuers, anonymous


def _authentication(flags: Flags, own_issuers: Sequence[str]) -> AuthenticationSettings:
    tokens = flags.path("token-auth-file")
    issuers, anonymous = _strangers(flags, own_issuers)
    return AuthenticationSettings(
        anonymous=anonymous,
        static_tokens=StaticTokens.read(tokens) if tokens else None,
        issuers=issuers,
        webhook=flags.path("authentication-token-webhook-config-file"),
        webhook_cache_s=flags.seconds("authentication-token-webhook-cache-ttl", 120.0),
        trust=read_trust(flags),
    )


def _authentication_again(flags: Flags, own_issuers: Sequence[str]) -> AuthenticationSettings:
    """What of it may change while serving."""
    issuers, anonymous = _strangers(flags, own_issuers)
    return AuthenticationSettings(issuers=issuers, anonymous=anonymous)


def _oidc(flags: Flags) -> OidcFlags:
    required = {}
    for text in flags.list("oidc-required-claim"):
        claim, equals, value = text.partition("=")
        if not claim or not equals:
            raise BadConfiguration(f"--oidc-required-claim {text}: must be CLAIM=VALUE")
        required[claim] = value
    return OidcFlags(
        issuer_url=flags.text("oidc-issuer-url"),
        client_id=flags.text("oidc-client-id"),
        username_claim=flags.text("oidc-username-claim", "sub"),
        username_prefix=flags.text("oidc-username-prefix"),
        groups_claim=flags.text("oidc-groups-claim"),
        groups_prefix=flags.text("oidc-groups-prefix"),
        required=required,
        ca_file=flags.path("oidc-ca-file"),
        algorithms=flags.list("oidc-signing-algs") or ("RS256",),
    )


def _authorization(flags: Flags) -> AuthorizationSettings:
    flags.not_with("authorization-config", "authorization-mode", "authorization-webhook-config-file")
    if config := flags.path("authorization-config"):
        return AuthorizationSettings(read_authorization(config, compiled))
    webhook = None
    if kubeconfig := flags.path("authorization-webhook-config-file"):
        policy = WebhookPolicy(
            authorized_s=flags.seconds("authorization-webhook-cache-authorized-ttl", AUTHORIZED_S),
            unauthorized_s=flags.seconds("authorization-webhook-cache-unauthorized-ttl", UNAUTHORIZED_S),
        )
        webhook = Webhook(kubeconfig=kubeconfig, policy=policy)
    return AuthorizationSettings(steps_of_modes(flags.list("authorization-mode") or (NODE, RBAC), webhook))


def _audit(flags: Flags) -> AuditSettings | None:
    outputs = ("audit-log-path", "audit-webhook-config-file")
    for name in outputs:
        flags.only_with(name, "audit-policy-file")
    flags.only_with("audit-policy-file", *outputs)
    path = flags.path("audit-policy-file")
    if path is None:
        return None
    return AuditSettings(
        policy=read_policy(path),
        log_path=flags.text("audit-log-path"),
        mode=flags.one_of("audit-log-mode", MODES, BATCH),
        format=flags.one_of("audit-log-format", tuple(FORMATS), "json"),
        rotation=Rotation(
            flags.number("audit-log-maxsize", 100),
            flags.number("audit-log-maxbackup", 0),
            flags.number("audit-log-maxage", 0),
            flags.flag("audit-log-compress", default=False),
        ),
        log_limits=_audit_limits(flags, "log"),
        webhook=flags.path("audit-webhook-config-file"),
        batches=Batches(
            max(1, flags.number("audit-webhook-batch-max-size", BATCH_MAX)),
            flags.seconds("audit-webhook-batch-max-wait", BATCH_WAIT_S),
            flags.number("audit-webhook-batch-buffer-size", QUEUED_MAX),
        ),
        webhook_limits=_audit_limits(flags, "webhook"),
    )


_LIST_BYTES = "audit-webhook-truncate-max-batch-size"


def _audit_limits(flags: Flags, output: str) -> Limits:
    begin = f"audit-{output}-truncate"
    if not flags.flag(f"{begin}-enabled", default=False):
        return NO_LIMITS
    return Limits(flags.number(f"{begin}-max-event-size", 100 << 10), flags.number(_LIST_BYTES, 10 << 20))


def _token_lifetime(flags: Flags) -> int | None:
    name = "service-account-max-token-expiration"
    lifetime_s = flags.seconds(name, 0.0)
    if not lifetime_s:
        return None
    least_s, most_s = _TOKEN_LIFETIME_S
    if not least_s <= lifetime_s <= most_s:
        raise BadConfiguration(f"--{name} {flags.text(name)}: must be from 1h to 2^32 seconds")
    return int(lifetime_s)


def _server(flags: Flags) -> ApiServerConfig:
    usual = ApiServerConfig()
    return replace(
        usual,
        reading_max=flags.number("max-requests-inflight", usual.reading_max),
        mutating_max=flags.number("max-mutating-requests-inflight", usual.mutating_max),
        events_kept_s=flags.seconds("event-ttl", usual.events_kept_s),
        shutdown_delay_s=flags.seconds("shutdown-delay-duration", 0.0),
        watches_end_s=flags.seconds("shutdown-watch-termination-grace-period", 0.0),
    )
