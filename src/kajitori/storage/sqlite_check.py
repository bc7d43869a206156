"""Whether SQLite's file is whole: its pages and indexes before they are relied on, its records as they are read.

Every record has a checksum of ours. The structure is SQLite's to check, which takes 3 ms a megabyte: of a small file at
the opening, of a large one afterwards, beside the reads of what is current. Those rest on the small table `current`,
which is checked at every opening, and on records that each say by their checksum which key and revision they are of.
"""

import apsw

AT_ONCE_BYTES = 64 << 20
"""Files up to this size are checked whole before they are used: 0.2 s."""


def fault(connection: apsw.Connection, table: str = "") -> str:
    """What is wrong with the structure of the whole file or of one table, "" for nothing. May raise apsw.Error."""
    scope = f'"{table}"' if table else "1"
    found = str(next(iter(connection.execute(f"PRAGMA integrity_check({scope})")))[0])
    return "" if found == "ok" else found.splitlines()[-1]


class LaterCheck:
    """The whole file, by a connection of its own; `run` in a thread of its own."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def run(self) -> str:
        """What is wrong, "" for nothing or when it was interrupted."""
        try:
            return fault(self._connection)
        except apsw.InterruptError:
            return ""
        except apsw.Error as error:
            return str(error)
        finally:
            self._connection.close()

    def interrupt(self) -> None:
        try:
            self._connection.interrupt()
        except apsw.ConnectionClosedError:
            return
