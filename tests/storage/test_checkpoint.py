"""The log is carried over into the file beside the writer, who only ends what was begun."""

from pathlib import Path

import apsw
import pytest

from kajitori.storage.interface import Event, Record
from kajitori.storage.sqlite_checkpoint import Checkpoints
from kajitori.storage.sqlite_file import open_beside, open_writer
from kajitori.storage.sqlite_group import GroupStatements

PAGES = 12


class Store:
    def __init__(self, path: Path) -> None:
        self.writer, self.beside = open_writer(path), open_beside(path)
        self.checkpoints = Checkpoints(self.writer, self.beside, PAGES)
        self._statements = GroupStatements(self.writer)
        self.revision = 1

    def write(self) -> None:
        self.revision += 1
        record = Record(f"/k/{self.revision}", b"x" * 9_000, self.revision, self.revision)
        self._statements.store([Event(record.key, self.revision, record, None)])
        self.checkpoints.after_commit()

    def carry(self) -> None:
        """Write until a checkpoint is begun, and wait for its part beside the writer."""
        while self.checkpoints._carrying is None:
            self.write()
        self.checkpoints._carrying.result(60)

    def rows(self) -> int:
        return self.writer.execute("SELECT count(*) FROM history").get

    def close(self) -> None:
        self.checkpoints.close()
        self.writer.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.db")


def test_the_log_begins_anew_however_much_is_written(store: Store, tmp_path: Path) -> None:
    sizes = []
    for _ in range(20):
        store.carry()
        store.write()  # ends the checkpoint
        store.write()  # begins the log anew
        assert store.checkpoints._log_pages < PAGES
        sizes.append((tmp_path / "state.db-wal").stat().st_size)
    assert max(sizes) < 2 * PAGES * 4_200
    assert store.rows() == store.revision - 1
    store.close()


def test_what_is_in_the_file_after_a_checkpoint_needs_no_log(store: Store, tmp_path: Path) -> None:
    store.carry()
    written = store.revision
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "state.db").read_bytes())
    connection = apsw.Connection(str(copy))
    assert connection.execute("SELECT max(revision) FROM history").get == written
    connection.close()
    store.close()


def test_a_checkpoint_that_fails_holds_up_nobody_and_is_tried_again(store: Store, tmp_path: Path) -> None:
    store.beside.close()
    for _ in range(3 * PAGES):
        store.write()
    assert store.checkpoints._log_pages > 0
    assert store.rows() == store.revision - 1
    store.close()
    again = Store(tmp_path / "state.db")
    assert again.rows() == store.revision - 1
    again.close()
