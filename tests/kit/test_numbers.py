import pytest

from kajitori.kit.numbers import UINT64_MAX, parse_unsigned, unsigned


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (str(UINT64_MAX), UINT64_MAX)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert unsigned(text) == parse_unsigned(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "x", "1_0", " 1", "\u0663", "\u00b2", "0x1"])
def test_anything_else_is_none(text: str) -> None:
    assert unsigned(text) is None
    with pytest.raises(ValueError) as refused:
        parse_unsigned(text)
    assert str(refused.value) == f'strconv.ParseUint: parsing "{text}": invalid syntax'


@pytest.mark.parametrize("text", [str(UINT64_MAX + 1), "9" * 30, "9" * 5_000])
def test_what_is_too_large_is_none(text: str) -> None:
    assert unsigned(text) is None
    with pytest.raises(ValueError) as refused:
        parse_unsigned(text)
    assert str(refused.value) == f'strconv.ParseUint: parsing "{text}": value out of range'


def test_the_most_may_be_less() -> None:
    assert unsigned("9", 9) == 9 and unsigned("10", 9) is None
