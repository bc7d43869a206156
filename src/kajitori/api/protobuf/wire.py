"""The wire format: a message is a sequence of (field number, value)."""

import struct
from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

Value = int | float | memoryview


class Malformed(ValueError):
    """Not a protobuf message."""


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at a position, and where it ends."""
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a number is cut off")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def signed(number: int) -> int:
    """A varint as the int64 it stands for."""
    number &= (1 << 64) - 1
    return number - (1 << 64) if number >= 1 << 63 else number


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Numbers as unsigned integers, doubles as floats, everything else as its bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire_type = key >> 3, key & 7
        value: Value
        if wire_type == VARINT:
            value, at = varint(data, at)
        elif wire_type == LENGTH:
            size, at = varint(data, at)
            end = at + size
            if end > len(data):
                raise Malformed("a field is cut off")
            value, at = data[at:end], end
        elif wire_type == FIXED64:
            value, at = _fixed("<d", data, at, 8)
        elif wire_type == FIXED32:
            value, at = _fixed("<f", data, at, 4)
        else:
            raise Malformed(f"wire type {wire_type} is not known")
        yield number, value


def _fixed(layout: str, data: memoryview, at: int, size: int) -> tuple[float, int]:
    if at + size > len(data):
        raise Malformed("a number is cut off")
    return struct.unpack(layout, data[at : at + size])[0], at + size


def encoded_varint(number: int) -> bytes:
    """An int64 as a varint."""
    number &= (1 << 64) - 1
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def number_field(number: int, value: int) -> bytes:
    return encoded_varint(number << 3 | VARINT) + encoded_varint(value)


def double_field(number: int, value: float) -> bytes:
    return encoded_varint(number << 3 | FIXED64) + struct.pack("<d", value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A string or a message."""
    return encoded_varint(number << 3 | LENGTH) + encoded_varint(len(value)) + value
