import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api import quantity
from kajitori.api.quantity import Quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0.0", "0"),
        ("1", "1"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("1000m", "1"),
        ("1000", "1k"),
        ("100", "100"),
        ("1024Mi", "1Gi"),
        ("1Gi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("512Mi", "512Mi"),
        ("1024", "1024"),
        ("2048Ki", "2Mi"),
        ("1000Ki", "1000Ki"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1e3", "1e3"),
        ("1000e3", "1e6"),
        ("12e-1", "1200e-3"),
        ("5E", "5E"),
        ("1E3", "1E3"),
        ("1000E", "1e21"),
        ("8Ki", "8Ki"),
        ("0.5Ki", "512"),
        ("100Ei", "9223372036854775807"),
        ("-1Gi", "-1Gi"),
        (".5", "500m"),
        (" 1 ", "1"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


def test_numbers_are_quantities_too() -> None:
    assert quantity.canonical(2) == "2"
    assert quantity.canonical(0.5) == "500m"


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1-x", "1.2.3", "Bad_Name!"])
def test_bad_form(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        quantity.parse(text)


@pytest.mark.parametrize("text", ["1Q", "1mi", "1KK", "1ee3"])
def test_bad_suffix(text: str) -> None:
    with pytest.raises(ValueError, match=r"unable to parse quantity's suffix|quantities must match"):
        quantity.parse(text)


def test_rounding_goes_away_from_zero() -> None:
    assert quantity.milli("1") == 1000
    assert quantity.milli("1u") == 1
    assert quantity.milli("-1u") == -1
    assert quantity.value("1m") == 1
    assert quantity.value("1Gi") == 2**30
    assert quantity.value("-1500m") == -2
    assert quantity.round_up("0.0005") == "1m"
    assert quantity.round_up("1.5") == "1500m"


def test_arithmetic_keeps_the_first_family() -> None:
    assert quantity.add("1Gi", "1024Mi") == "2Gi"
    assert quantity.add("0", "1Gi") == "1Gi"
    assert quantity.add("500m", "500m") == "1"
    assert quantity.sub("1", "250m") == "750m"
    assert quantity.sub("1Gi", "1Mi") == "1023Mi"
    assert quantity.compare("1000m", "1") == 0
    assert quantity.compare("1Gi", "1G") > 0


def test_made_from_numbers() -> None:
    assert quantity.from_milli(1500) == "1500m"
    assert quantity.from_value(2**31, "binary") == "2Gi"


quantities = st.builds(Quantity, st.integers(-(10**24), 10**24), st.sampled_from(["binary", "decimal", "exponent"]))


@given(quantities)
def test_written_and_read_again_is_the_same_amount(wanted: Quantity) -> None:
    assert quantity.parse(str(wanted)).nanos == wanted.nanos


@given(quantities)
def test_canonical_form_is_stable(wanted: Quantity) -> None:
    once = quantity.canonical(str(wanted))
    assert quantity.canonical(once) == once


@given(quantities, quantities)
def test_subtraction_undoes_addition(a: Quantity, b: Quantity) -> None:
    assert a.plus(b).minus(b).nanos == a.nanos
    assert a.plus(b).nanos == b.plus(a).nanos


@given(st.text(alphabet="0123456789.+-eEKMGimnu ", max_size=10))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        amount = quantity.parse(text)
    except ValueError:
        return
    assert quantity.parse(str(amount)).nanos == amount.nanos
