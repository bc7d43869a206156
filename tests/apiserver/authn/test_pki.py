import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from kajitori.apiserver import pki

NOW = 1_800_000_000.0
SANS = ["kubernetes", "localhost", "10.96.0.1", "127.0.0.1"]


def test_ensure_creates_everything_and_is_idempotent(tmp_path: Path) -> None:
    first = pki.ensure(tmp_path / "pki", SANS, NOW)
    assert pki.ensure(tmp_path / "pki", SANS, NOW) == first
    assert (tmp_path / "pki/apiserver.crt").read_bytes() == first.serving.certificate
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "pki").glob("*.key"))
    assert not [p for p in (tmp_path / "pki").iterdir() if p.name.startswith(".")]


def test_changed_names_and_near_expiry_reissue_only_the_serving_certificate(tmp_path: Path) -> None:
    first = pki.ensure(tmp_path, SANS, NOW)
    renamed = pki.ensure(tmp_path, [*SANS, "10.0.0.9"], NOW)
    assert renamed.serving != first.serving
    assert renamed.authority == first.authority
    assert renamed.kubelet_client == first.kubelet_client
    later = pki.ensure(tmp_path, [*SANS, "10.0.0.9"], NOW + 350 * 86400)
    assert later.serving != renamed.serving
    assert later.kubelet_client != renamed.kubelet_client
    assert later.authority == first.authority
    assert later.service_account_key == first.service_account_key


def test_what_the_api_server_shows_to_others_has_no_rights_of_its_own(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, SANS, NOW)
    for pair in (made.kubelet_client, made.front_proxy_client):
        subject = x509.load_pem_x509_certificate(pair.certificate).subject
        assert not subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)


def test_client_certificate_says_who(tmp_path: Path) -> None:
    ca = pki.create_authority("kubernetes", NOW)
    client = pki.issue_client(ca, "system:node:n1", ("system:nodes",), NOW)
    subject = x509.load_pem_x509_certificate(client.certificate).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:n1"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"


def test_a_lost_authority_key_is_an_error_that_names_it(tmp_path: Path) -> None:
    pki.ensure(tmp_path, SANS, NOW)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(pki.PkiError, match=r"ca\.key"):
        pki.ensure(tmp_path, SANS, NOW)


def test_tls_accepts_the_pair_and_verifies_names(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, SANS, NOW)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    client = ssl.create_default_context(cadata=made.authority.certificate.decode())
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    assert client.wrap_bio(incoming, outgoing, server_hostname="10.96.0.1")
