"""Certificates of a cluster: renewed when they expire, refused when they are broken."""

from datetime import UTC
from pathlib import Path

import pytest
from cryptography import x509

from kajitori.apiserver import pki
from kajitori.app.layout import Layout
from kajitori.app.prepare import kubelet_serving, prepare
from kajitori.app.record import ClusterRecord
from kajitori.cli.interface import CommandError

NOW_S = 1_800_000_000.0
YEAR_S = 366 * 86400.0
RECORD = ClusterRecord(nodes=1)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    prepare(layout, RECORD, NOW_S)
    return layout


def _expiry_s(path: Path) -> float:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.astimezone(UTC).timestamp()


def test_expired_certificates_are_renewed_under_the_same_authority(layout: Layout) -> None:
    authority, before = (layout.pki / "ca.crt").read_bytes(), layout.kubeconfig.read_text()
    paths = (layout.pki / "apiserver.crt", kubelet_serving(layout, "node-1").with_name("node-1.crt"))
    prepare(layout, RECORD, NOW_S + YEAR_S)
    assert all(_expiry_s(path) > NOW_S + YEAR_S for path in paths)
    assert (layout.pki / "ca.crt").read_bytes() == authority
    assert layout.kubeconfig.read_text() != before


def test_nothing_changes_while_certificates_are_valid(layout: Layout) -> None:
    before = {path: path.read_bytes() for path in layout.root.rglob("*") if path.is_file()}
    prepare(layout, RECORD, NOW_S + 86400.0)
    assert {path: path.read_bytes() for path in layout.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "sa.key"])
def test_a_broken_file_that_cannot_be_made_anew_is_named(layout: Layout, name: str) -> None:
    (layout.pki / name).write_text("garbage")
    with pytest.raises(CommandError, match=name):
        prepare(layout, RECORD, NOW_S)
    assert (layout.pki / name).read_text() == "garbage"


def test_a_broken_file_that_can_be_made_anew_is(layout: Layout) -> None:
    (layout.pki / "apiserver.crt").write_text("garbage")
    prepare(layout, RECORD, NOW_S)
    assert _expiry_s(layout.pki / "apiserver.crt") > NOW_S


def test_an_expired_authority_is_named(layout: Layout) -> None:
    with pytest.raises(CommandError, match=r"ca\.crt has expired"):
        prepare(layout, RECORD, NOW_S + 11 * YEAR_S)


def test_an_identity_that_was_somebody_else_is_issued_anew(layout: Layout) -> None:
    """A cluster of before gave its simulator every right."""
    authority = pki.ensure(layout.pki, (), NOW_S).authority
    stem = layout.pki / "identities" / "simulator"
    stem.with_name("simulator.crt").unlink()
    pki.ensure_client(stem, authority, "system:kajitori:simulator", ("system:masters",), NOW_S)
    prepare(layout, RECORD, NOW_S)
    found = x509.load_pem_x509_certificate(stem.with_name("simulator.crt").read_bytes())
    assert found.subject.rfc4514_string() == "CN=system:kajitori:simulator"
