"""docs/architecture.md is true: every package has its paragraph, every path that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "kajitori"
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_package_has_a_paragraph():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set(re.findall(r"^\*\*(\w+)\*\*", PAGE, re.MULTILINE))


def test_every_path_is_there():
    paths = {path for path in re.findall(r"`([\w./]+)`", PAGE) if "/" in path and path.endswith(("/", ".py", ".txt"))}
    assert len(paths) > 50
    places = (
        ROOT,
        PACKAGE,
        *(path.parent for path in PACKAGE.glob("*/__init__.py")),
    )  # a paragraph is about its package
    assert [path for path in sorted(paths) if not any((place / path).exists() for place in places)] == []
