"""What is found missing on a host, and the remedy that is named."""

from pathlib import Path

import pytest

from kajitori.app import doctor


def _fake_program(folder: Path, name: str, output: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("output", "fatal"), [("containerd x 1.6.20~ds1", False), ("containerd v2.1.0", False), ("containerd 1.4.13", True)]
)
def test_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, fatal: bool) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _fake_program(tmp_path, "containerd", output)
    finding = doctor._program("containerd", ("containerd", "--version"), (1, 6), "containerd")
    assert finding.fatal is fatal
    assert ("too old" in finding.found) is fatal


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda *_, **__: None)
    finding = doctor._program("nft", ("nft", "--version"), (1, 0), "nftables")
    assert finding.fatal
    assert finding.remedy == "apt-get install nftables"


def test_missing_plugins_name_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CNI_FOLDERS", (tmp_path,))
    assert doctor._cni().remedy == "apt-get install containernetworking-plugins"
    for plugin in doctor.CNI_PLUGINS:
        (tmp_path / plugin).touch()
    assert doctor._cni().remedy == ""


def test_a_full_disk_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1 << 20

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage)
    finding = doctor._disk(tmp_path / "not" / "yet")
    assert finding.fatal
    assert str(tmp_path) in finding.found


def test_a_program_that_does_not_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "runc").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "runc").chmod(0o755)
    finding = doctor._program("runc", ("runc", "--version"), (1, 0), "runc")
    assert finding.fatal
    assert "does not run" in finding.found


def test_missing_python_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PYTHON_PACKAGES", ("json", "no_such.module", "nor_this"))
    finding = doctor._python_packages()
    assert finding.fatal
    assert finding.found == "no_such.module, nor_this not found"
    assert "kajitori[node]" in finding.remedy


def test_the_diagnosis_is_a_line_and_a_remedy_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 1000)
    assert doctor.show_diagnosis(tmp_path) == 1
    output = capsys.readouterr().out
    assert "no   user" in output
    assert "-> run as root" in output
