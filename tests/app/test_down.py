"""What `down` stops and removes, and what it leaves alone."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kajitori.app import data_dir
from kajitori.app.data_dir import is_ours, refuse_foreign, refuse_unmountable
from kajitori.app.down import down
from kajitori.app.layout import Layout
from kajitori.app.locks import is_running
from kajitori.app.prepare import prepare
from kajitori.app.processes import PartState, is_part, write_state
from kajitori.app.record import ClusterRecord, write_record
from kajitori.cli.interface import CommandError

ALONE = ClusterRecord(nodes=0)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A stopped cluster without nodes."""
    layout = Layout(tmp_path / "data")
    data_dir.make(layout, with_runtime=False)
    write_record(layout, ALONE)
    prepare(layout, ALONE, time.time())
    return layout


def test_down_may_be_repeated(layout: Layout) -> None:
    down(layout.root, purge=False)
    down(layout.root, purge=False)
    assert layout.kubeconfig.exists()


def test_purge_removes_the_folder(layout: Layout) -> None:
    down(layout.root, purge=True)
    assert not layout.root.exists()


def test_purge_keeps_what_others_put_there(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    (layout.root / "notes.txt").write_text("mine")
    down(layout.root, purge=True)
    assert [path.name for path in layout.root.iterdir()] == ["notes.txt"]
    assert "notes.txt" in capsys.readouterr().err


def test_a_folder_of_others_is_refused_by_up_and_down(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(CommandError, match="no cluster in"):
        down(tmp_path, purge=True)
    with pytest.raises(CommandError, match="no data directory of Kajitori"):
        refuse_foreign(Layout(tmp_path))
    assert (tmp_path / "logs").exists()


def test_what_an_early_failure_left_is_purged(layout: Layout) -> None:
    """`up` got as far as its certificates, and the record is gone."""
    layout.record.unlink()
    assert is_ours(layout)
    down(layout.root, purge=True)
    assert not layout.root.exists()


def test_a_broken_record_does_not_keep_purge_from_its_work(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    layout.record.write_text("{")
    down(layout.root, purge=True)
    assert not layout.root.exists()
    assert str(layout.record) in capsys.readouterr().err


def test_a_record_of_another_version_does(layout: Layout) -> None:
    layout.record.write_text(json.dumps({"format": 99}))
    with pytest.raises(CommandError, match="format 99"):
        down(layout.root, purge=True)
    assert layout.kubeconfig.exists()


def test_parts_without_a_supervisor_are_ended(layout: Layout) -> None:
    """They name their package and their data directory on the command line, as the real ones do."""
    program = "import signal; signal.pause()"
    orphan = subprocess.Popen([sys.executable, "-c", program, "kajitori", str(layout.root)])
    other = subprocess.Popen([sys.executable, "-c", program, "kajitori", "/elsewhere"])
    try:
        write_state(layout, "apiserver", PartState(orphan.pid, 0.0, 0))
        write_state(layout, "controllers", PartState(other.pid, 0.0, 0))
        while not is_part(orphan.pid, layout):
            pass  # Between fork and exec it still is this process.
        assert not is_running(layout)
        down(layout.root, purge=False)
        assert orphan.wait(10) != 0
        assert other.poll() is None
    finally:
        for process in (orphan, other):
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", ["a:b", "a,b", 'a"b'])
def test_a_path_that_overlayfs_cannot_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="overlayfs"):
        refuse_unmountable(Layout(tmp_path / name))


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match=r"file.*choose another place"):
        data_dir.make(Layout(tmp_path / "file" / "data"), with_runtime=False)
    with pytest.raises(CommandError, match="is a file"):
        data_dir.entries(Layout(tmp_path / "file"))


def test_a_disk_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1 << 20

    assert data_dir.full_disk(Layout(tmp_path / "not" / "yet")) == ""
    monkeypatch.setattr(data_dir.shutil, "disk_usage", lambda path: Usage)
    assert data_dir.full_disk(Layout(tmp_path / "not" / "yet")).startswith(f"full: 1024 KiB free at {tmp_path}")
