"""Failures on one line."""

import errno
from pathlib import Path

import pytest

from kajitori.app.failure import about_file, last_words, one_line


def test_a_group_is_its_errors() -> None:
    group = ExceptionGroup("a", [ValueError("one\ntwo"), ExceptionGroup("b", [KeyError("x"), ValueError("one\ntwo")])])
    assert one_line(group) == "ValueError: one two; KeyError: 'x'"


def test_an_operating_system_error_is_its_file_and_its_words() -> None:
    assert (
        one_line(PermissionError(errno.EACCES, "Permission denied", "/x")) == "PermissionError: /x: Permission denied"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Traceback\n  | KeyError: 'x'\n  +------------------------------------\n", "KeyError: 'x'"),
        ("kajitori: port 1 is taken\n\n", "port 1 is taken"),
        ("", ""),
    ],
)
def test_last_words_are_the_last_that_say_something(tmp_path: Path, text: str, words: str) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    assert last_words(log) == words


def test_a_log_that_is_missing_says_nothing(tmp_path: Path) -> None:
    assert last_words(tmp_path / "none") == ""


@pytest.mark.parametrize(("number", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "remount it")])
def test_a_file_that_cannot_be_written_comes_with_a_remedy(number: int, remedy: str) -> None:
    line = about_file(OSError(number, "no", "/data/x"), Path("/data"))
    assert line.startswith("/data/x cannot be written (no)")
    assert remedy in line
