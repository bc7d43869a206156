"""Groups of every size are stored as the same writes one by one would be."""

import apsw
import pytest

from kajitori.storage.interface import Event, Record
from kajitori.storage.sqlite_file import open_writer
from kajitori.storage.sqlite_group import GroupStatements


@pytest.fixture
def connection(tmp_path):
    connection = open_writer(tmp_path / "store.db")
    yield connection
    connection.close()


def put(key, revision, previous=None):
    record = Record(key, b"value %d" % revision, previous.created if previous else revision, revision)
    return Event(key, revision, record, previous)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100, 512])
def test_a_group_of_any_size(connection, size):
    statements = GroupStatements(connection)
    events = [put(f"/a/{number}", number) for number in range(2, size + 2)]
    statements.store(events)
    found = statements.current([f"/a/{number}" for number in range(size + 2)])
    assert found == {event.key: event.record for event in events}
    assert connection.execute("SELECT value FROM meta WHERE name = 'revision'").get == size + 1


def test_one_key_several_times_in_a_group(connection):
    statements = GroupStatements(connection)
    first = put("/a", 2)
    second = put("/a", 3, first.record)
    statements.store([first, second, put("/b", 4), Event("/a", 5, None, second.record), put("/a", 6)])
    found = statements.current(["/a", "/b", "/c"])
    assert found == {"/a": Record("/a", b"value 6", 6, 6), "/b": Record("/b", b"value 4", 4, 4)}


def test_a_group_that_fails_leaves_nothing(connection):
    statements = GroupStatements(connection)
    statements.store([put("/a", 2)])
    with pytest.raises(apsw.ConstraintError):
        statements.store([put("/b", 3), put("/c", 2)])
    assert statements.current(["/b", "/c"]) == {}
    assert connection.execute("SELECT value FROM meta WHERE name = 'revision'").get == 2
    assert not connection.in_transaction


def test_an_empty_value_is_no_deletion(connection):
    statements = GroupStatements(connection)
    statements.store([Event("/a", 2, Record("/a", b"", 2, 2), None)])
    assert statements.current(["/a"]) == {"/a": Record("/a", b"", 2, 2)}
