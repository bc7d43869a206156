"""The command line with a fake application behind it: options in, exit codes out."""

import sys
from pathlib import Path
from typing import Any

import pytest

from kajitori.cli.interface import CommandError
from kajitori.cli.main import run


class Recorded:
    """Keeps what was asked; `up` fails when told to."""

    def __init__(self, failure: str = "") -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.failure = failure

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            if self.failure:
                raise CommandError(self.failure)
            return 0

        return call


def _run(monkeypatch: pytest.MonkeyPatch, application: Recorded, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["kajitori", *arguments])
    return run(application)


def test_up_passes_its_options_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    application = Recorded()
    options = ("--data-dir", str(tmp_path), "--nodes", "3", "--disable", "dns,ingress", "--wait")
    assert _run(monkeypatch, application, "up", *options) == 0
    (name, (given,)) = application.calls[0]
    assert name == "up"
    assert (given.nodes, given.disable, given.wait, given.detach) == (3, {"dns", "ingress"}, True, False)
    assert given.data_dir == tmp_path


@pytest.mark.parametrize("arguments", [("up", "--nodes", "-1"), ("up", "--disable", "gravity"), ("fly",), ("up", "-x")])
def test_wrong_usage_exits_with_2(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    assert _run(monkeypatch, Recorded(), *arguments) == 2


def test_a_failure_is_one_line_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, Recorded("port 6443 is taken: choose another"), "up") == 1
    assert capsys.readouterr().err == "kajitori: port 6443 is taken: choose another\n"


def test_kubectl_gets_every_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    application = Recorded()
    typed = ("exec", "-it", "web", "--", "sh", "-c", "ls --help")
    assert _run(monkeypatch, application, "kubectl", "--data-dir", "/here", *typed) == 0
    assert application.calls == [("kubectl", (Path("/here"), typed))]
    assert _run(monkeypatch, application, "kubectl", "--help") == 0
    assert application.calls[1][1][1] == ("--help",)


def test_the_data_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAJITORI_DATA_DIR", "/somewhere")
    application = Recorded()
    assert _run(monkeypatch, application, "down", "--purge") == 0
    assert application.calls == [("down", (Path("/somewhere"), True))]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/data"), "kajitori: /data: Permission denied\n"),
        (KeyError("x"), "kajitori: KeyError: 'x': this is a bug in Kajitori; report it with the lines above\n"),
    ],
)
def test_what_nobody_expected_still_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    class Failing(Recorded):
        def doctor(self, data_dir: Path) -> int:
            raise error

    assert _run(monkeypatch, Failing(), "doctor") == 1
    assert capsys.readouterr().err.endswith(line)
