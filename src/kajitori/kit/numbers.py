"""Numbers in what clients send: `str.isdigit` takes digits of every script, `int` not all of these, nor long ones."""

UINT64_MAX = 2**64 - 1
_DIGITS_MAX = 1_000


def parse_unsigned(text: str, most: int = UINT64_MAX) -> int:
    """ASCII digits as a number of at most `most`. Raises ValueError in the words that clients know."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    number = int(text) if len(text) <= _DIGITS_MAX else UINT64_MAX + 1
    if number > most:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return number


def unsigned(text: str, most: int = UINT64_MAX) -> int | None:
    """The same, or None for anything else."""
    try:
        return parse_unsigned(text, most)
    except ValueError:
        return None
