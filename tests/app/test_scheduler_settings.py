"""The scheduler's configuration file, from the command line to the scheduler."""

import sys
from pathlib import Path
from typing import Any

import pytest

from kajitori.app.processes import parts_of
from kajitori.app.record import ClusterRecord
from kajitori.app.scheduler_settings import read_profile
from kajitori.app.up import record_of
from kajitori.cli.interface import CommandError, UpOptions
from kajitori.cli.main import run
from kajitori.scheduler.view import NAME

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
GREEN = """profiles:
- schedulerName: green
  plugins: {multiPoint: {disabled: [{name: ImageLocality}], enabled: [{name: NodeAffinity, weight: 5}]}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "scheduler.yaml"
    path.write_text(text)
    return path


def test_a_profile_says_which_pods_and_which_plugins(tmp_path: Path) -> None:
    name, profile = read_profile(written(tmp_path, HEAD + GREEN))
    assert name == "green"
    usual = read_profile(None)[1]
    assert read_profile(None)[0] == NAME == read_profile(written(tmp_path, HEAD))[0]
    assert len(profile.scores) == len(usual.scores) - 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: Pod", "kind: 'Pod': must be KubeSchedulerConfiguration"),
        (HEAD + "profile: []", "profile: unknown field"),
        (
            HEAD + "profiles: [{schedulerName: a}, {schedulerName: b}]",
            "has 2 profiles (a, b): a scheduler has one here",
        ),
        (HEAD + "profiles: [{pluginConfig: [{name: x}]}]", "pluginConfig is not supported"),
        (HEAD + "profiles: x", "profiles: must be a list"),
        (HEAD + "profiles: [{plugins: {score: {enabled: [{}]}}}]", "profiles: a field is of the wrong type or missing"),
    ],
)
def test_a_mistake_is_one_line_with_the_file(tmp_path: Path, text: str, line: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CommandError) as caught:
        read_profile(path)
    assert str(caught.value).startswith(f"{path}: {line}")


def test_the_commands_take_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, HEAD)

    class Recorded:
        options: Any = None

        def up(self, options: Any) -> None:
            self.options = options

        def run_part(self, part: str, options: Any) -> None:
            self.options = options

    for command, option in (
        ("up", "--scheduler-config"),
        ("controllers", "--scheduler-config"),
        ("scheduler", "--config"),
    ):
        application = Recorded()
        monkeypatch.setattr(sys, "argv", ["kajitori", command, "--data-dir", str(tmp_path), option, str(path)])
        assert run(application) == 0  # type: ignore[arg-type]
        assert Path(application.options.scheduler_config) == path


def test_the_process_that_schedules_is_told(tmp_path: Path) -> None:
    parts = {part.name: part.arguments for part in parts_of(ClusterRecord(scheduler_config="/s.yaml"))}
    assert parts["controllers"] == ("controllers", "--scheduler-config", "/s.yaml")
    assert "--scheduler-config" not in parts["apiserver"]


def test_a_cluster_remembers_it_until_it_is_told_to_forget() -> None:
    before = ClusterRecord(scheduler_config="/s.yaml")

    def after(given: str | None) -> str:
        return record_of(UpOptions(data_dir=Path("/d"), scheduler_config=given), before).scheduler_config

    assert after(None) == "/s.yaml"
    assert after("/other.yaml") == "/other.yaml"
    assert after("") == ""
