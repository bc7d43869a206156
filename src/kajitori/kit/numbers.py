"""Numbers in what clients send: `str.isdigit` takes digits of every script, `int` not all of these, nor long ones."""

UINT64_MAX = 2**64 - 1


def unsigned(text: str, most: int = UINT64_MAX) -> int | None:
    """ASCII digits as a number of at most `most`; None for anything else."""
    if not (text.isascii() and text.isdigit()) or len(text) > 1_000:
        return None
    number = int(text)
    return number if number <= most else None


def no_unsigned(text: str) -> str:
    """Why `unsigned` gives None, in the words that clients know."""
    why = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
    return f'strconv.ParseUint: parsing "{text}": {why}'
