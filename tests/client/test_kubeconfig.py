"""Kubeconfigs, written by us and by others."""

import base64
import stat
from pathlib import Path

import pytest

from kajitori.client.kubeconfig import ClusterAccess, KubeconfigError, read_kubeconfig, write_kubeconfig

ACCESS = ClusterAccess(
    server="https://127.0.0.1:6443",
    certificate_authority=b"ca",
    client_certificate=b"cert",
    client_key=b"key",
    namespace="web",
)

INLINE = """
apiVersion: v1
kind: Config
current-context: here
clusters:
- name: c
  cluster: {server: "https://c:6443", certificate-authority: ca.pem, tls-server-name: kubernetes}
- {name: other, cluster: {server: "https://other", insecure-skip-tls-verify: true}}
users:
- name: u
  user: {token: 0123, tokenFile: elsewhere}
- name: f
  user: {tokenFile: token}
contexts:
- name: here
  context: {cluster: c, user: u}
- name: there
  context: {cluster: other, user: f, namespace: web}
"""


@pytest.fixture
def inline(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_bytes(b"authority")
    path = tmp_path / "config"
    path.write_text(INLINE)
    return path


@pytest.mark.parametrize(
    "access",
    [
        ACCESS,
        ClusterAccess(server="http://a:1", token="secret"),
        ClusterAccess(server="https://a", token_file="/run/token", insecure_skip_tls_verify=True, tls_server_name="b"),
    ],
)
def test_what_was_written_is_read(tmp_path: Path, access: ClusterAccess):
    path = tmp_path / "deep" / "kubeconfig"
    write_kubeconfig(path, access)
    assert read_kubeconfig(path) == access


def test_only_the_owner_may_read_it(tmp_path: Path):
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    write_kubeconfig(path, ACCESS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["kubeconfig"]


def test_files_are_beside_the_kubeconfig_and_tokens_stay_text(inline: Path):
    access = read_kubeconfig(inline)
    assert access.certificate_authority == b"authority"
    assert (access.token, access.token_file) == ("0123", "")
    assert access.tls_server_name == "kubernetes"


def test_another_context_can_be_chosen(inline: Path):
    access = read_kubeconfig(inline, "there")
    assert access.server == "https://other" and access.insecure_skip_tls_verify
    assert access.token_file == str(inline.parent / "token")
    assert access.namespace == "web"


def test_secrets_do_not_show_in_logs():
    assert "key" not in repr(ACCESS).replace("client_key", "") and "s3cret" not in repr(
        ClusterAccess(server="https://a", token="s3cret")
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not a kubeconfig"),
        ("{", "not YAML"),
        ("{}", "no current-context"),
        ("{current-context: a}", "no context named 'a'"),
        (INLINE.replace("cluster: c,", "cluster: d,"), "no cluster named 'd'"),
        (INLINE.replace("ca.pem", "missing.pem"), "cannot read .*missing.pem"),
        (INLINE.replace("certificate-authority: ca.pem", "certificate-authority-data: '!'"), "not base64"),
        (INLINE.replace("{token: 0123, tokenFile: elsewhere}", "{exec: {command: aws}}"), "credential plugin"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, text: str, message: str):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=message):
        read_kubeconfig(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(KubeconfigError, match="kubeconfig: No such file"):
        read_kubeconfig(tmp_path / "kubeconfig")


def test_kubectl_style_data_is_base64(tmp_path: Path):
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, ACCESS)
    assert base64.b64encode(b"key").decode() in path.read_text()
