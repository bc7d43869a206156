"""What a line of the log looks like."""

import logging

from kajitori.kit import log


def test_a_record_is_one_line_with_time_level_and_part(capsys):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log.configure(logging.INFO)
        logging.getLogger("kajitori.storage.sqlite").warning("%d pages", 3)
        logging.getLogger("kajitori.storage.sqlite").debug("not shown")
    finally:
        root.handlers[:], root.level = before
    line = capsys.readouterr().err
    assert line.endswith("Z W storage.sqlite: 3 pages\n")
    assert line.count("\n") == 1
