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
from kajitori.app.record import ClusterRecord
from kajitori.app.supervise import Part, Supervisor, parts_of

READY = "import os,signal; os.write(int(os.environ['KAJITORI_NOTIFY_FD']), b'ready\\n'); signal.pause()"


def test_parts_follow_the_record() -> None:
    def names(**values: object) -> list[str]:
        return [part.name for part in parts_of(ClusterRecord(**values))]  # type: ignore[arg-type]

    assert names(nodes=2) == ["apiserver", "controllers", "node-1", "node-2"]
    assert names(nodes=0, disable=("controllers", "scheduler")) == ["apiserver"]
    assert names(nodes=0, disable=("scheduler",)) == ["apiserver", "controllers"]


class _Harness:
    """A supervisor whose parts are one-line programs, and the end of its report pipe."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str]) -> None:
        self.layout = Layout(root)
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        parts = tuple(Part(name, (program,)) for name, program in programs.items())
        monkeypatch.setattr(supervise, "parts_of", lambda record: parts)
        monkeypatch.setattr(supervise, "command_of", lambda part, layout: [sys.executable, "-c", part.arguments[0]])
        self.supervisor = Supervisor(self.layout, ClusterRecord(), writer)

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
        await asyncio.wait_for(seen.wait(), 20)
        assert wanted in text

    def state(self, part: str) -> dict[str, float]:
        return json.loads(self.layout.state(part).read_text())


def test_it_reports_done_when_every_part_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        harness = _Harness(tmp_path, monkeypatch, {"a": READY, "b": READY})
        running = asyncio.ensure_future(harness.supervisor.run())
        await harness.reports("done")
        harness.supervisor.stop()
        await asyncio.wait_for(running, 20)
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
        await asyncio.wait_for(running, 20)

    asyncio.run(scenario())


async def _exists(path: Path) -> None:
    """A process of another interpreter has to come up first, and tells nobody."""
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.01)
