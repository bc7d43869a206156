"""The API server's own options, by upstream's names: one table for `kajitori apiserver` and `kajitori up`.

They travel as texts `--name=value` (through the cluster's record, so that a restart keeps them) until
`app/apiserver_settings.py` reads them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Option:
    """`kind`: file (made absolute), text, flag (true or false), number (not negative), list (may be repeated, commas
    separate), repeated (may be repeated, taken whole), repeated-file."""

    name: str
    help: str
    kind: str = "text"
    metavar: str = ""


_WHO = (
    Option("token-auth-file", "Static bearer tokens: CSV of token,user,uid,groups.", "file"),
    Option("authentication-config", "AuthenticationConfiguration: JWT issuers and anonymous conditions.", "file"),
    Option("anonymous-auth", "Whether requests without credentials are served. [default: true]", "flag"),
    Option("oidc-issuer-url", "An OpenID Connect issuer whose ID tokens are accepted.", metavar="URL"),
    Option("oidc-client-id", "The audience that those tokens must be for."),
    Option("oidc-username-claim", "The claim that names the user. [default: sub]"),
    Option("oidc-username-prefix", "Put before user names; `-` for none."),
    Option("oidc-groups-claim", "The claim that lists groups."),
    Option("oidc-groups-prefix", "Put before groups."),
    Option("oidc-required-claim", "A claim that must have this value.", "list", "KEY=VALUE"),
    Option("oidc-ca-file", "Authorities that signed the issuer's certificate.", "file"),
    Option("oidc-signing-algs", "Accepted algorithms. [default: RS256]", "list"),
    Option("authentication-token-webhook-config-file", "Kubeconfig of a TokenReview webhook.", "file"),
    Option("authentication-token-webhook-cache-ttl", "How long its answers hold. [default: 2m]", metavar="DURATION"),
    Option("api-audiences", "What tokens must be for. [default: the issuer]", "list"),
    Option("service-account-issuer", "The first issues tokens; the others' are accepted.", "repeated", "URL"),
    Option("service-account-key-file", "Public keys of service account tokens, beside our own.", "repeated-file"),
    Option("service-account-signing-key-file", "The private key that signs them, instead of our own.", "file"),
    Option("service-account-max-token-expiration", "The longest life of a requested token.", metavar="DURATION"),
    Option("authorization-mode", "Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny. [default: Node,RBAC]", "list"),
    Option("authorization-config", "AuthorizationConfiguration: authorizers in their order.", "file"),
    Option("authorization-webhook-config-file", "Kubeconfig of a SubjectAccessReview webhook.", "file"),
    Option("authorization-webhook-cache-authorized-ttl", "[default: 5m]", metavar="DURATION"),
    Option("authorization-webhook-cache-unauthorized-ttl", "[default: 30s]", metavar="DURATION"),
)

_CERTIFICATES = (
    Option("client-ca-file", "Authorities whose client certificates name users, beside the cluster's own.", "file"),
    Option("requestheader-client-ca-file", "Authorities of authenticating proxies, instead of our own.", "file"),
    Option(
        "requestheader-allowed-names", "Common names of proxies. [default: any; front-proxy-client of ours]", "list"
    ),
    Option("requestheader-username-headers", "Where proxies name users. [default: X-Remote-User]", "list"),
    Option("requestheader-uid-headers", "[default: X-Remote-Uid]", "list"),
    Option("requestheader-group-headers", "[default: X-Remote-Group]", "list"),
    Option("requestheader-extra-headers-prefix", "[default: X-Remote-Extra-]", "list"),
    Option("proxy-client-cert-file", "What aggregated API servers are shown, instead of our own.", "file"),
    Option("proxy-client-key-file", "Its private key.", "file"),
    Option("tls-cert-file", "What clients are shown, instead of the cluster's own certificate.", "file"),
    Option("tls-private-key-file", "Its private key.", "file"),
    Option("tls-sni-cert-key", "CERT,KEY[:NAME,...]: shown to clients that ask for these names.", "repeated", "FILES"),
    Option("tls-min-version", "VersionTLS12 or VersionTLS13. [default: VersionTLS12]"),
    Option("tls-cipher-suites", "Suites for TLS 1.2, by IANA's names. [default: OpenSSL's]", "list"),
)


def _limits(output: str) -> tuple[Option, ...]:
    begin = f"audit-{output}-truncate"
    return (
        Option(f"{begin}-enabled", "Whether large events lose the objects that they show. [default: false]", "flag"),
        Option(f"{begin}-max-event-size", "Bytes of an event before it does. [default: 102400]", "number"),
    )


_AUDIT = (
    Option("audit-policy-file", "audit.k8s.io/v1 Policy: what is written down.", "file"),
    Option("audit-log-path", "Where; `-` for the standard output.", "file"),
    Option("audit-log-mode", "batch, blocking or blocking-strict. [default: batch]"),
    Option("audit-log-format", "json or legacy. [default: json]"),
    Option("audit-log-maxsize", "Megabytes before the file is rotated. [default: 100]", "number"),
    Option("audit-log-maxbackup", "Rotated files that are kept; 0 for all.", "number"),
    Option("audit-log-maxage", "Days that rotated files are kept; 0 for ever.", "number"),
    Option("audit-log-compress", "Whether rotated files are packed with gzip. [default: false]", "flag"),
    *_limits("log"),
    Option("audit-webhook-config-file", "Kubeconfig of a webhook that is sent EventLists.", "file"),
    Option("audit-webhook-batch-max-size", "Events that it is sent together. [default: 400]", "number"),
    Option("audit-webhook-batch-max-wait", "How long they wait for others. [default: 30s]", metavar="DURATION"),
    Option("audit-webhook-batch-buffer-size", "Events that may wait; more are lost. [default: 10000]", "number"),
    *_limits("webhook"),
    Option("audit-webhook-truncate-max-batch-size", "Bytes that are sent together. [default: 10485760]", "number"),
)

_KEPT = (
    Option("etcd-cafile", "Authorities that signed etcd's certificate (of --store etcd://...).", "file"),
    Option("etcd-certfile", "Our certificate for etcd.", "file"),
    Option("etcd-keyfile", "Its private key.", "file"),
    Option("encryption-provider-config", "EncryptionConfiguration: what is encrypted in the store.", "file"),
    Option("encryption-provider-config-automatic-reload", "Take it up when it changes. [default: false]", "flag"),
    Option("event-ttl", "How long events are kept. [default: 1h]", metavar="DURATION"),
)

_ADMITTED = (
    Option("enable-admission-plugins", "Plugins to switch on.", "list"),
    Option("disable-admission-plugins", "Plugins to switch off.", "list"),
    Option("allow-privileged", "Whether containers may be privileged. [default: true]", "flag"),
    Option("max-requests-inflight", "Reads under way at once. [default: 400]", "number"),
    Option("max-mutating-requests-inflight", "Writes under way at once. [default: 200]", "number"),
    Option("shutdown-delay-duration", "How long a stop says not ready, but serves. [default: 0s]", metavar="DURATION"),
    Option(
        "shutdown-watch-termination-grace-period",
        "During how long it then ends watches. [default: 0s]",
        metavar="DURATION",
    ),
)

OPTIONS = (*_WHO, *_CERTIFICATES, *_AUDIT, *_KEPT, *_ADMITTED)
_TYPES: dict[str, click.ParamType[Any]] = {"flag": click.BOOL, "number": click.IntRange(0)}
"""By kind; all others are texts."""
_BY_KEY = {option.name.replace("-", "_"): option for option in OPTIONS}


def apiserver_options(function: F) -> F:
    """Adds every option of the table to a click command; the command gets them as `apiserver`, see `collected`."""
    # A decorated function collects its options from the last to the first, a command appends them.
    for option in OPTIONS if isinstance(function, click.Command) else reversed(OPTIONS):
        many = option.kind in ("list", "repeated", "repeated-file")
        function = click.option(
            f"--{option.name}",
            multiple=many,
            default=None,
            type=_TYPES.get(option.kind, click.STRING),
            metavar=option.metavar or None,
            help=option.help,
            **({"is_flag": False, "flag_value": "true"} if option.kind == "flag" else {}),  # type: ignore[arg-type]
        )(function)
    return function


def collected(options: dict[str, Any]) -> dict[str, Any]:
    """A command's options, those of the table taken out and put together as `apiserver`: texts `--name=value`."""
    rest = {name: value for name, value in options.items() if name not in _BY_KEY}
    given = [f"--{option.name}={text}" for key, option in _BY_KEY.items() for text in _texts(option, options.get(key))]
    return {**rest, "apiserver": tuple(given)}


def _texts(option: Option, value: Any) -> list[str]:
    if value is None or value == ():
        return []
    if option.kind == "list":
        return [",".join(value)]
    if option.kind == "flag":
        return ["true" if value else "false"]
    texts = [str(text) for text in value] if isinstance(value, tuple) else [str(value)]
    if option.kind.endswith("file"):
        return [text if text in ("", "-") else str(Path(text).absolute()) for text in texts]
    return texts


def renewed(before: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """What was remembered, with what is given now in its place; `--name=` forgets."""
    names = {text.partition("=")[0] for text in given}
    kept = [text for text in before if text.partition("=")[0] not in names]
    return tuple(text for text in (*kept, *given) if text.partition("=")[2])
