import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.streams.websocket import (
    MESSAGE_BYTES_MAX,
    PROTOCOL_ERROR,
    TOO_BIG,
    WebSocket,
    WebSocketError,
    handshake,
)


def masked(opcode, payload, *, final=True, mask=b"\x01\x02\x03\x04"):
    """As a client sends it."""
    size = len(payload)
    length = (
        bytes([0x80 | size])
        if size < 126
        else b"\xfe" + size.to_bytes(2)
        if size < 65536
        else b"\xff" + size.to_bytes(8)
    )
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([(0x80 if final else 0) | opcode]) + length + mask + body


def test_the_handshake_is_that_of_the_rfc():
    headers = {"sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    answer = handshake(headers, "v5.channel.k8s.io").decode()
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n" in answer
    with pytest.raises(WebSocketError):
        handshake({"sec-websocket-version": "8", "sec-websocket-key": "x"}, "v5.channel.k8s.io")


def test_messages_are_unmasked_and_fragments_joined():
    socket = WebSocket()
    wire = masked(2, b"a", final=False) + masked(9, b"p") + masked(0, b"b" * 300) + masked(1, b"")
    assert list(socket.receive(wire)) == [b"a" + b"b" * 300, b""]
    assert socket.replies == b"\x8a\x01p"


def test_a_goodbye_is_returned():
    socket = WebSocket()
    assert list(socket.receive(masked(8, b"\x03\xe8bye") + masked(2, b"late"))) == []
    assert socket.closed and socket.replies == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"\x82\x01x", PROTOCOL_ERROR),
        (b"\xc2\x80", PROTOCOL_ERROR),
        (b"\x83\x80", PROTOCOL_ERROR),
        (masked(0, b"x"), PROTOCOL_ERROR),
        (masked(2, b"x", final=False) + masked(2, b"x"), PROTOCOL_ERROR),
        (masked(9, b"x", final=False), PROTOCOL_ERROR),
        (masked(8, b"\x03"), PROTOCOL_ERROR),
        (masked(8, b"\x03\xed"), PROTOCOL_ERROR),
        (b"\x82\xff" + (MESSAGE_BYTES_MAX + 1).to_bytes(8), TOO_BIG),
        (masked(2, bytes(MESSAGE_BYTES_MAX), final=False) + masked(0, b"x"), TOO_BIG),
    ],
)
def test_what_breaks_the_protocol_is_refused_with_a_code(wire, code):
    with pytest.raises(WebSocketError) as caught:
        list(WebSocket().receive(wire))
    assert caught.value.code == code


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_lengths_are_written_in_the_shortest_form(size):
    frame = WebSocket.message(b"x" * size)
    assert len(frame) == size + (2 if size < 126 else 4 if size < 65536 else 10)


@given(st.lists(st.binary(max_size=200)))
def test_whatever_arrives_is_messages_or_an_error(pieces):
    socket = WebSocket()
    try:
        for piece in pieces:
            list(socket.receive(piece))
    except WebSocketError:
        pass
    assert len(socket._pending) + len(socket._message) <= sum(map(len, pieces))


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(1, 40)))
def test_where_the_bytes_are_split_does_not_matter(messages, cuts):
    wire, socket, found, at = b"".join(masked(2, message) for message in messages), WebSocket(), [], 0
    for size in (*cuts, len(wire)):
        found += socket.receive(wire[at : at + size])
        at += size
    assert found == messages
