"""The API server's options: from the command line through the record to what they mean."""

import sys
from pathlib import Path
from ssl import TLSVersion
from typing import Any

import pytest

from kajitori.api.registry import Registry
from kajitori.apiserver import pki, security
from kajitori.apiserver.audit.sinks import Batches
from kajitori.apiserver.audit.truncation import NO_LIMITS, Limits
from kajitori.apiserver.authn.chain import Anonymous
from kajitori.apiserver.authn.trust import TrustSettings
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.http.tls import KeyPair
from kajitori.app.apiserver_settings import read_settings
from kajitori.app.layout import Layout
from kajitori.app.processes import STOP_LIMIT_S, stop_limit_s
from kajitori.app.record import ClusterRecord, read_record, write_record
from kajitori.cli.apiserver_options import OPTIONS, renewed
from kajitori.cli.interface import CommandError
from kajitori.cli.main import run
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects


class Recorded:
    def __init__(self) -> None:
        self.given: Any = None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.given = arguments[-1]
            return 0

        return call


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[str, ...]:
    application = Recorded()
    monkeypatch.setattr(sys, "argv", ["kajitori", *arguments])
    assert run(application) == 0
    return application.given.apiserver  # type: ignore[no-any-return]


@pytest.mark.parametrize("command", ["up", "apiserver"])
def test_both_commands_have_every_option_of_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"flag": "false", "number": "7", "file": "f", "repeated-file": "f"}
    options = [f"--{option.name}={values.get(option.kind, 'a=b')}" for option in OPTIONS]
    found = typed(monkeypatch, command, "--data-dir", str(tmp_path), *options)
    assert [text.partition("=")[0] for text in found] == [f"--{option.name}" for option in OPTIONS]
    assert f"--token-auth-file={tmp_path}/f" in found
    assert typed(monkeypatch, command, "--data-dir", str(tmp_path)) == ()


def test_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(monkeypatch, "up", "--allow-privileged") == ("--allow-privileged=true",)
    assert typed(monkeypatch, "up", "--audit-log-path", "-") == ("--audit-log-path=-",)
    many = ("--disable-admission-plugins", "A,B", "--disable-admission-plugins=C")
    assert typed(monkeypatch, "up", *many) == ("--disable-admission-plugins=A,B,C",)
    issuers = ("--service-account-issuer=https://a", "--service-account-issuer=https://b")
    assert typed(monkeypatch, "up", *issuers) == issuers


def test_what_is_given_replaces_what_was_remembered_and_nothing_forgets_it() -> None:
    before = ("--event-ttl=2h", "--service-account-issuer=a", "--service-account-issuer=b")
    assert renewed(before, ()) == before
    assert renewed(before, ("--service-account-issuer=c",)) == ("--event-ttl=2h", "--service-account-issuer=c")
    assert renewed(before, ("--event-ttl=",)) == before[1:]


def test_the_record_keeps_them(tmp_path: Path) -> None:
    record = ClusterRecord(apiserver=("--event-ttl=2h",))
    write_record(Layout(tmp_path), record)
    assert read_record(Layout(tmp_path)) == record


def test_what_they_mean(tmp_path: Path) -> None:
    settings = read_settings(
        (
            "--event-ttl=2h30m",
            "--max-requests-inflight=9",
            "--max-mutating-requests-inflight=8",
            "--service-account-issuer=https://new",
            "--service-account-issuer=https://old",
            "--service-account-max-token-expiration=2h",
            "--anonymous-auth=false",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount,PodSecurity",
            "--allow-privileged=false",
        )
    )
    assert (settings.server.events_kept_s, settings.server.reading_max, settings.server.mutating_max) == (9000.0, 9, 8)
    assert settings.issuers == ("https://new", "https://old")
    assert settings.audiences == ("https://new",)
    assert settings.token_lifetime_max_s == 7200
    assert settings.authentication.anonymous == Anonymous(False)
    assert settings.authorization.steps == ("RBAC",)
    assert settings.plugins_off == {"ServiceAccount", "PodSecurity"}
    assert settings.allow_privileged is False
    assert read_settings(()).allow_privileged is True


def test_how_large_audit_events_and_lists_may_be(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
    usual = (f"--audit-policy-file={policy}", "--audit-log-path=-", "--audit-webhook-config-file=/w")
    audit = read_settings(usual).audit
    assert audit is not None
    assert (audit.log_limits, audit.webhook_limits, audit.rotation.compress) == (NO_LIMITS, NO_LIMITS, False)
    assert audit.batches == Batches(400, 30.0, 10_000)
    audit = read_settings(
        (
            *usual,
            "--audit-log-compress=true",
            "--audit-log-truncate-enabled=true",
            "--audit-log-truncate-max-event-size=7",
            "--audit-webhook-truncate-enabled=true",
            "--audit-webhook-truncate-max-batch-size=9",
            "--audit-webhook-batch-max-size=1",
            "--audit-webhook-batch-max-wait=2s",
            "--audit-webhook-batch-buffer-size=3",
        )
    ).audit
    assert audit is not None
    assert audit.rotation.compress
    assert (audit.log_limits.event_bytes, audit.webhook_limits) == (7, Limits(102_400, 9))
    assert audit.batches == Batches(1, 2.0, 3)


def test_whose_certificates_count_and_what_is_shown(tmp_path: Path) -> None:
    usual = read_settings(())
    assert usual.authentication.trust == TrustSettings()
    layout = Layout(tmp_path)
    tls = usual.tls.settings(layout, usual.authentication.trust)
    assert tls.authorities == (layout.pki / "ca.crt", layout.pki / "front-proxy-ca.crt")
    assert tls.shown == KeyPair(layout.pki / "apiserver.crt", layout.pki / "apiserver.key")
    settings = read_settings(
        (
            "--client-ca-file=/clients.pem",
            "--requestheader-client-ca-file=/proxies.pem",
            "--requestheader-username-headers=X-User,X-Remote-User",
            "--requestheader-extra-headers-prefix=X-Extra-",
            "--tls-cert-file=/a.crt",
            "--tls-private-key-file=/a.key",
            "--tls-sni-cert-key=/b.crt,/b.key:b.example.com,*.example.org",
            "--tls-min-version=VersionTLS13",
            "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "--shutdown-delay-duration=7s",
        )
    )
    trust = settings.authentication.trust
    assert trust.proxy_names == ()  # any, of authorities that are not ours
    assert (trust.headers.user, trust.headers.extra_prefixes) == (("X-User", "X-Remote-User"), ("X-Extra-",))
    tls = settings.tls.settings(layout, trust)
    assert tls.authorities == (layout.pki / "ca.crt", Path("/clients.pem"), Path("/proxies.pem"))
    assert tls.named == ((KeyPair(Path("/b.crt"), Path("/b.key")), ("b.example.com", "*.example.org")),)
    assert (tls.minimum, tls.ciphers) == (TLSVersion.TLSv1_3, ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",))
    assert settings.server.shutdown_delay_s == 7.0
    assert stop_limit_s(ClusterRecord(apiserver=("--shutdown-delay-duration=7s",))) == STOP_LIMIT_S + 7.0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--event-ttl=soon"], "--event-ttl soon: must be a duration"),
        (["--authorization-mode=Webhook"], "--authorization-mode Webhook: needs --authorization-webhook-config-file"),
        (["--authorization-mode=ABAC"], "--authorization-mode ABAC: unknown; choose from Node, RBAC"),
        (["--authorization-webhook-config-file=/f"], "--authorization-webhook-config-file: add Webhook to"),
        (["--authorization-config=/f", "--authorization-mode=RBAC"], "--authorization-config: cannot stand beside"),
        (["--audit-policy-file=/f"], "--audit-policy-file: needs --audit-log-path or --audit-webhook-config-file too"),
        (["--audit-log-path=/f"], "--audit-log-path: needs --audit-policy-file too"),
        (["--oidc-client-id=x"], "--oidc-client-id: needs --oidc-issuer-url too"),
        (["--oidc-issuer-url=https://x"], "--oidc-issuer-url: needs --oidc-client-id too"),
        (["--oidc-issuer-url=http://x", "--oidc-client-id=x"], "--oidc-issuer-url http://x: must begin with https://"),
        (["--service-account-max-token-expiration=5m"], "--service-account-max-token-expiration 5m: must be from 1h"),
        (["--token-auth-file=/none"], "/none: No such file or directory: give the path of a readable file"),
        (["--encryption-provider-config=/none"], "/none: No such file"),
        (
            ["--encryption-provider-config-automatic-reload=true"],
            "--encryption-provider-config-automatic-reload: needs --encryption-provider-config too",
        ),
        (
            ["--tls-min-version=VersionTLS10"],
            "--tls-min-version VersionTLS10: unknown; choose from VersionTLS12, ",
        ),
        (["--tls-cipher-suites=TLS_FOO"], "--tls-cipher-suites: unknown cipher suite TLS_FOO; known are "),
        (["--tls-cert-file=/f"], "--tls-cert-file: needs --tls-private-key-file too"),
        (["--proxy-client-key-file=/f"], "--proxy-client-key-file: needs --proxy-client-cert-file too"),
        (["--tls-sni-cert-key=a.crt"], "--tls-sni-cert-key a.crt: must be /path/CERT,/path/KEY or "),
        (["--shutdown-delay-duration=soon"], "--shutdown-delay-duration soon: must be a duration"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], line: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_settings(arguments)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("on", "off", "line"),
    [
        ({"Gravity"}, set(), "--enable-admission-plugins Gravity: unknown; choose from "),
        (set(), {"Gravity"}, "--disable-admission-plugins Gravity: unknown; choose from "),
        ({"PodSecurity"}, {"PodSecurity"}, "--disable-admission-plugins PodSecurity: is enabled too"),
    ],
)
def test_admission_plugins_go_by_upstreams_names(tmp_path: Path, on: set[str], off: set[str], line: str) -> None:
    clock = VirtualClock()
    config = security.SecurityConfig(
        pki.ensure(tmp_path, ["127.0.0.1"], clock.now()),
        "10.0.0.1",
        plugins_on=frozenset(on),
        plugins_off=frozenset(off),
    )
    with pytest.raises(BadConfiguration, match=f"^{line}") as caught:
        security.build(config, FakeObjects(clock.now()), Registry(), clock)
    if "unknown" in line:
        for name in ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook", "NodeRestriction", "ServiceAccount"):
            assert name in str(caught.value)
