"""What a data directory says of itself, and who may use it."""

import json
from pathlib import Path

import pytest

from kajitori.app.layout import Layout
from kajitori.app.locks import is_running, lock_data_dir
from kajitori.app.record import ClusterRecord, node_address, read_record, require_record, write_record
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
    with pytest.raises(CommandError, match="cannot be read"):
        read_record(layout)


def test_another_format_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.record.write_text(json.dumps({"format": 2}))
    with pytest.raises(CommandError, match="format 2"):
        read_record(layout)


def test_a_locked_data_directory_counts_as_running(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert not is_running(layout)
    lock_data_dir(layout)
    assert is_running(layout)
    with pytest.raises(CommandError, match="already running"):
        lock_data_dir(layout)
