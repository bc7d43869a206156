"""Short names for templates: FNV-1a of the canonical document, in letters that never spell a word."""

import orjson

from kajitori.api.meta import Object

# Upstream's safe alphabet: no vowels, no 0, 1 or 3, so that a generated name can be neither rude nor misread.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


def fnv1a_32(data: bytes, start: int = 0x811C9DC5) -> int:
    value = start
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def safe_encode(text: str) -> str:
    return "".join(_SAFE[ord(character) % len(_SAFE)] for character in text)


def template_hash(template: Object, collisions: int | None = None) -> str:
    """Equal templates have equal hashes; `collisions` makes another one when a name is taken."""
    value = fnv1a_32(orjson.dumps(template, option=orjson.OPT_SORT_KEYS))
    if collisions is not None:
        value = fnv1a_32(collisions.to_bytes(8, "little"), value)
    return safe_encode(str(value))
