"""Files that init containers leave variables in."""

import pytest

from kajitori.kubelet.env_files import WrongEnvFile, value_in

TEXT = """
# what follows is for the application
COLOUR='red'
  SIZE='very
big'   # two lines
EMPTY= 'nothing'
QUOTED='a "b" $c \\n'
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [("COLOUR", "red"), ("SIZE", "very\nbig"), ("EMPTY", ""), ("QUOTED", 'a "b" $c \\n'), ("MISSING", "")],
)
def test_values_are_literal(key, value):
    assert value_in(TEXT, key) == value


@pytest.mark.parametrize("text", ["A", "A=1", "A ='1'", "='1'", "A='1", "A='1' 2", 'A="1"'])
def test_what_is_not_of_the_form_is_wrong(text):
    with pytest.raises(WrongEnvFile, match="line 1: "):
        value_in(text, "A")


def test_what_follows_the_key_is_not_looked_at():
    assert value_in("A='1'\nB", "A") == "1"
