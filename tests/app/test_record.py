"""What a data directory says of itself, and who may use it."""

import json
import os
from pathlib import Path

import pytest

from kajitori.app.layout import Layout
from kajitori.app.locks import is_running, lock_data_dir, supervisor_of
from kajitori.app.record import BrokenRecord, ClusterRecord, node_address, read_record, require_record, write_record
from kajitori.cli.interface import CommandError


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = ClusterRecord(nodes=3, disable=("dns",), http_port=8080)
    write_record(Layout(tmp_path), record)
    assert read_record(Layout(tmp_path)) == record
    assert record.node_names == ("node-1", "node-2", "node-3")
    assert node_address("node-3") == "10.89.0.3"


def test_no_cluster_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert read_record(layout) is None
    with pytest.raises(CommandError, match="start one with `kajitori up`"):
        require_record(layout)
    layout.record.write_text("{")
    with pytest.raises(CommandError, match="cannot be used"):
        read_record(layout)


@pytest.mark.parametrize("text", ["[]", '{"format": 1, "nodes": "two"}', "\x00\x01", '{"format": 1, "disable": "dns"'])
def test_a_broken_record_names_the_file_and_the_remedies(tmp_path: Path, text: str) -> None:
    layout = Layout(tmp_path)
    layout.record.write_text(text)
    with pytest.raises(BrokenRecord, match="down --purge") as caught:
        read_record(layout)
    assert str(layout.record) in str(caught.value)


def test_another_format_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.record.write_text(json.dumps({"format": 2}))
    with pytest.raises(CommandError, match="format 2"):
        read_record(layout)


def test_a_locked_data_directory_counts_as_running(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert not is_running(layout)
    held = lock_data_dir(layout)
    assert is_running(layout)
    assert supervisor_of(layout) == os.getpid()
    with pytest.raises(CommandError, match="already running"):
        lock_data_dir(layout)
    os.close(held)
    assert not is_running(layout)
