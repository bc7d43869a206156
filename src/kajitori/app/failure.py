"""A failure as one line: what a supervisor reports and a user reads; the traceback stays in the log."""

import errno
import re
from pathlib import Path

LINE_CHARACTERS_MAX = 400


def one_line(error: BaseException) -> str:
    """The sentence of an error, or of each error in a group, on a single line."""
    return _cut("; ".join(dict.fromkeys(_sentence(leaf) for leaf in leaves(error))))


def leaves(error: BaseException) -> list[BaseException]:
    """The errors of a group, however deep; of any other error, itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def last_words(log: Path) -> str:
    """The last line a process printed, which is where Python and our own commands name what went wrong; or ""."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    # A traceback of a group ends with a ruler, and its inner lines begin with one.
    stripped = (re.sub(r"^[\s|+-]+", "", line).strip() for line in reversed(lines))
    return _cut(next((line for line in stripped if line), "").removeprefix("kajitori: "))


def about_file(error: OSError, fallback: Path) -> str:
    """What, why and what to do about a file that cannot be written."""
    where = error.filename or fallback
    return f"{where} cannot be written ({error.strerror}): {_REMEDY.get(error.errno or 0, _ELSEWHERE)}"


_ELSEWHERE = "mend that, or choose another place with --data-dir"
_REMEDY = {
    errno.ENOSPC: "the disk is full; free some space, or choose another place with --data-dir",
    errno.EDQUOT: "the quota is used up; free some space, or choose another place with --data-dir",
    errno.EACCES: "run as root, or choose another place with --data-dir",
    errno.EPERM: "run as root, or choose another place with --data-dir",
    errno.EROFS: "the file system is read-only; remount it, or choose another place with --data-dir",
    errno.ENOTDIR: "a file stands where a directory has to be; choose another place with --data-dir",
}


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _cut(text: str) -> str:
    return text if len(text) <= LINE_CHARACTERS_MAX else f"{text[:LINE_CHARACTERS_MAX]}..."
