"""Files that are replaced whole."""

import stat
from pathlib import Path

import pytest

from kajitori.kit.files import replace_file


def test_the_content_and_the_mode_are_as_asked_and_no_draft_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    replace_file(path, b"old", 0o644)
    replace_file(path, b"secret", durable=True)
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_content_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
