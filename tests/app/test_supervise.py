"""The supervisor with real, tiny processes in place of the cluster's parts."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from kajitori.app import supervise
from kajitori.app.layout import Layout
from kajitori.app.processes import Part, parts_of
from kajitori.app.progress import PipeReporter
from kajitori.app.record import ClusterRecord
from kajitori.app.supervise import Patience, Supervisor
from kajitori.kit.backoff import Backoff

READY = "import os,signal; os.write(int(os.environ['KAJITORI_NOTIFY_FD']), b'ready\\n'); signal.pause()"


def test_parts_follow_the_record() -> None:
    def names(**values: object) -> list[str]:
        return [part.name for part in parts_of(ClusterRecord(**values))]  # type: ignore[arg-type]

    assert names(nodes=2) == ["apiserver", "controllers", "node-1", "node-2"]
    assert names(nodes=0, disable=("controllers", "scheduler")) == ["apiserver"]
    assert names(nodes=0, disable=("scheduler",)) == ["apiserver", "controllers"]


class _Harness:
    """A supervisor whose parts are one-line programs, and the end of its report pipe."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str], ready_within_s: float = 60.0
    ) -> None:
        self.layout = Layout(root)
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        parts = tuple(Part(name, (program,)) for name, program in programs.items())
        monkeypatch.setattr(supervise, "parts_of", lambda record: parts)
        monkeypatch.setattr(supervise, "command_of", lambda part, layout: [sys.executable, "-c", part.arguments[0]])
        monkeypatch.setattr(supervise, "Backoff", lambda **_: Backoff(initial_s=0.01, max_s=0.01))
        patience = Patience(frozenset(programs), ready_within_s)
        self.supervisor = Supervisor(self.layout, ClusterRecord(), PipeReporter(writer), patience)

    async def reports(self, wanted: str) -> None:
        """Return when a report of that text has come."""
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        text = ""

        def read() -> None:
            nonlocal text
            data = os.read(self.reader, 4096).decode()
            text += data
            if wanted in text or not data:
                loop.remove_reader(self.reader)
                seen.set()

        loop.add_reader(self.reader, read)
        await asyncio.wait_for(seen.wait(), 60)
        assert wanted in text

    def state(self, part: str) -> dict[str, float]:
        return json.loads(self.layout.state(part).read_text())


def test_it_reports_done_when_every_part_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        harness = _Harness(tmp_path, monkeypatch, {"a": READY, "b": READY})
        running = asyncio.ensure_future(harness.supervisor.run())
        await harness.reports("done")
        harness.supervisor.stop()
        await asyncio.wait_for(running, 60)
        for part in "ab":
            with pytest.raises(ProcessLookupError):
                os.kill(int(harness.state(part)["pid"]), 0)

    asyncio.run(scenario())


def test_a_killed_part_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run of `b` never becomes ready, the second does."""
    program = f"""
import pathlib, signal
marker = pathlib.Path({str(tmp_path / "ran")!r})
if marker.exists():
    exec({READY!r})
marker.touch()
signal.pause()
"""

    async def scenario() -> None:
        harness = _Harness(tmp_path, monkeypatch, {"a": READY, "b": program})
        running = asyncio.ensure_future(harness.supervisor.run())
        await harness.reports("ready a")
        await _exists(tmp_path / "ran")
        first = harness.state("b")
        os.kill(int(first["pid"]), signal.SIGKILL)
        await harness.reports("ready b")
        second = harness.state("b")
        assert (first["restarts"], second["restarts"]) == (0, 1)
        assert first["pid"] != second["pid"]
        harness.supervisor.stop()
        await asyncio.wait_for(running, 60)

    asyncio.run(scenario())


def _run(harness: _Harness) -> None:
    async def scenario() -> None:
        await asyncio.wait_for(harness.supervisor.run(), 60)

    asyncio.run(scenario())


def test_it_gives_up_on_a_part_that_keeps_dying_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the last line that the part printed, without the ruler that ends a group's traceback."""
    failing = r"import sys; sys.exit('Traceback\n  | ValueError: no such thing\n  +-----')"
    harness = _Harness(tmp_path, monkeypatch, {"a": READY, "b": failing})
    _run(harness)
    reports = os.read(harness.reader, 4096).decode()
    assert reports.count("b ended before it was ready and is started again: ValueError: no such thing") == 1
    log = harness.layout.log("b")
    assert harness.supervisor.failure == (
        f"b ended 5 times before it was ready: ValueError: no such thing (log: {log})"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(harness.state("a")["pid"]), 0)


def test_it_gives_up_when_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = _Harness(tmp_path, monkeypatch, {"b": "import signal; signal.pause()"}, ready_within_s=0.3)
    harness.layout.log("b").parent.mkdir()
    harness.layout.log("b").write_text("W kubelet: image pause:1 is missing\n")
    _run(harness)
    assert "b did not become ready within 0 s" in harness.supervisor.failure
    assert "image pause:1 is missing" in harness.supervisor.failure


def test_a_killed_part_that_said_nothing_is_described_by_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = _Harness(tmp_path, monkeypatch, {"a": "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"})
    _run(harness)
    assert "killed by SIGABRT" in harness.supervisor.failure


def test_a_state_that_cannot_be_noted_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: here a file stands where the folder should be."""

    async def scenario() -> None:
        harness = _Harness(tmp_path, monkeypatch, {"a": READY})
        harness.layout.state("a").parent.write_text("")
        running = asyncio.ensure_future(harness.supervisor.run())
        await harness.reports("done")
        harness.supervisor.stop()
        await asyncio.wait_for(running, 60)

    asyncio.run(scenario())


async def _exists(path: Path) -> None:
    """A process of another interpreter has to come up first, and tells nobody."""
    async with asyncio.timeout(60):
        while not path.exists():
            await asyncio.sleep(0.01)
