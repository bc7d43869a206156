"""A prefix of keys as a half-open range. Keys are ordered by code point, which is also the order of their UTF-8."""

from kajitori.storage.interface import Key

_LAST = 0x10FFFF
_BEFORE_SURROGATES, _AFTER_SURROGATES = 0xD7FF, 0xE000


def prefix_end(prefix: Key) -> Key | None:
    """The least key greater than every key with this prefix; None when there is none."""
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    point = ord(kept[-1])
    following = _AFTER_SURROGATES if point == _BEFORE_SURROGATES else point + 1
    return kept[:-1] + chr(following)
