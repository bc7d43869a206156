"""What is not JSON: protobuf, tokens, WebSocket frames, certificates; each well-formed in part."""

import base64
import random
import struct
from collections.abc import Callable

from bench.fuzz.documents import MARK, STRINGS, dumps

_ALGORITHMS = ("RS256", "ES256", "none", "HS256", "", "PS512", "x" * 500, None, 5)


def protobuf(chance: random.Random, api_version: str, kind: str) -> bytes:
    """An object as Go clients send it: what its fields hold is by chance, most of it of a plausible form."""
    meta = _field(1, api_version.encode()) + _field(2, kind.encode())
    raw = _message(chance, 0)
    if chance.random() < 0.6:  # metadata with a name, as most have it
        raw = _field(1, _field(1, b"p") + _message(chance, 3)) + raw
    return b"k8s\x00" + _field(1, meta) + _field(2, raw) + (_message(chance, 3) if chance.random() < 0.1 else b"")


def _varint(number: int) -> bytes:
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*pieces, number))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _message(chance: random.Random, depth: int) -> bytes:
    pieces = []
    for _ in range(chance.randint(0, 5)):
        number = chance.choice((1, 2, 3, 4, 5, chance.randint(6, 50), 2**29 - 1))
        match chance.randrange(6 if depth < 6 else 4):
            case 0:
                pieces.append(_varint(number << 3) + _varint(chance.choice((0, 1, 80, 2**31, 2**63, 2**64 - 1))))
            case 1:
                pieces.append(_varint(number << 3 | chance.choice((1, 5, 3, 7))) + chance.randbytes(8))
            case 2:
                pieces.append(_field(number, chance.randbytes(chance.randrange(40))))
            case 3:
                pieces.append(_field(number, chance.choice(STRINGS).encode("utf-8", "replace")))
            case _:
                pieces.append(_field(number, _message(chance, depth + 1)))
    return b"".join(pieces)


def token(chance: random.Random) -> str:
    """A bearer token that looks like a JWT."""
    header = {"alg": chance.choice(_ALGORITHMS), "kid": chance.choice((*STRINGS[:12], None)), "typ": "JWT", "crit": []}
    claims = {
        "iss": chance.choice(("https://kubernetes.default.svc", "", None, [], "x")),
        "aud": chance.choice((["https://kubernetes.default.svc"], "x", [], [None], {}, 5)),
        "sub": chance.choice(("system:serviceaccount:default:default", "", None, ["x"])),
        "exp": chance.choice((2**40, 0, -1, 1e308, "soon", None, [])),
        "kubernetes.io": chance.choice(({}, None, "x", {"namespace": 5, "serviceaccount": [], "pod": {"name": {}}})),
        "note": MARK,
    }
    for part in (header, claims):
        for name in chance.sample(list(part), chance.randint(0, 2)):
            del part[name]
    parts = [_base64(dumps(header)), _base64(dumps(claims)), _base64(chance.randbytes(chance.choice((0, 64, 256))))]
    if chance.random() < 0.2:
        parts[chance.randrange(3)] = chance.choice(("", "=", "e30", "bnVsbA", "W10", "/+", "A" * 3000, "\xe9"))
    return ".".join(parts[: chance.choice((3, 3, 3, 2, 1))])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def socket_head(chance: random.Random) -> list[tuple[str, str]]:
    """The header lines that ask for a WebSocket, mostly as they should."""
    lines = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", chance.choice(("13", "13", "13", "13", "8", ""))),
        ("Sec-WebSocket-Key", chance.choice(("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==", "", "\xff"))),
    ]
    if chance.random() < 0.5:
        offered = ("binary.k8s.io", "base64.binary.k8s.io", "x", "v5.channel.k8s.io", "a,b", "\xe9", f"x, {MARK}", ",,")
        lines.append(("Sec-WebSocket-Protocol", chance.choice(offered)))
    return lines


def frames(chance: random.Random) -> bytes:
    """What a client may say on a WebSocket, and what it may not."""
    return b"".join(chance.choice(_FRAMES)(chance) for _ in range(chance.randint(0, 6)))


def _frame(chance: random.Random) -> bytes:
    payload = chance.randbytes(chance.choice((0, 1, 125, 126, 3000)))
    first = chance.choice((0x80, 0)) | chance.choice((0, 1, 2, 8, 9, 9, 10, 3, 15)) | chance.choice((0, 0, 0, 0x40))
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes((first,)) + length + bytes(4) + payload


_FRAMES: tuple[Callable[[random.Random], bytes], ...] = (
    _frame,
    _frame,
    lambda chance: b"\x89\x80" + bytes(4),
    lambda chance: b"\x88\x82" + bytes(4) + chance.choice((b"\x03\xe8", b"\x03\xed", b"\xff\xff")),
    lambda chance: b"\x82\xff" + chance.choice((b"\xff" * 8, bytes(8), (1 << 20).to_bytes(8))),
    lambda chance: b"\x82\x05hello",
    lambda chance: chance.randbytes(20),
)


def broken_answer(answer: bytes) -> str:
    """What is wrong with the frames behind the head of a server's answer; "" for nothing, or a frame not yet whole."""
    rest = answer
    while len(rest) >= 2:
        first, size, at = rest[0], rest[1], 2
        if first & 0x70 or size & 0x80 or first & 0x0F not in (1, 2, 8, 9, 10):
            return f"not a frame of a server: {rest[:20]!r}"
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(rest[2 : 2 + width]), 2 + width
        if first & 0x08 and size > 125:
            return f"a control frame that is too long: {rest[:20]!r}"
        closing = first & 0x0F == 8
        rest = rest[at + size :]
        if closing and rest:
            return f"said after the goodbye: {rest[:20]!r}"
    return ""
