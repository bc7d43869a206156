"""Decoded JSON as Go's `%v` prints it: `map[a:[1 x <nil>]]`, `2.5e+10`. Messages pass such text on."""

from decimal import Decimal
from typing import Any

TYPES: dict[type, str] = {
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    list: "[]interface {}",
    dict: "map[string]interface {}",
    type(None): "<nil>",
}
_PLAIN_EXPONENTS = range(-4, 6)


def go_text(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    return str(value)


_ESCAPES = {mark: f"\\{code}" for mark, code in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)}


def quoted(text: str) -> str:
    """As Go's `%q` writes it: what cannot be seen is spelled out."""
    if text.isprintable() and "\\" not in text and '"' not in text:
        return f'"{text}"'
    return f'"{"".join(map(_spelled, text))}"'


def _spelled(character: str) -> str:
    code = ord(character)
    if escape := _ESCAPES.get(character):
        return escape
    if character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_float(value: float) -> str:
    """The shortest text that means this number; with an exponent from a million on."""
    sign, digits, power = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(power, int), "JSON has finite numbers only"
    exponent = len(digits) - 1 + power
    text = "".join(map(str, digits))
    if any(digits) and exponent not in _PLAIN_EXPONENTS:
        shown = f"{text[0]}{'.' if text[1:] else ''}{text[1:]}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    else:
        shown = f"{Decimal(repr(value)).normalize():f}".removeprefix("-")
    return f"-{shown}" if sign else shown
