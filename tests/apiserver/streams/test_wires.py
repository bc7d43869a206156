import orjson
from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.streams.spdy import SpdySession
from kajitori.apiserver.streams.wires import RemoteCommand, Tunnel

# The order in which streams are opened: error, stdin, stdout, stderr, resize.
ERROR, STDIN, STDOUT, STDERR, RESIZE = 1, 3, 5, 7, 9


def said(payload, opcode=2):
    """A short client message, masked with zeroes."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def heard(wire):
    """The server's short frames: opcode and payload."""
    found, data = [], bytes(wire.to_client)
    wire.to_client.clear()
    while data:
        size, at = data[1], 2
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
        found.append((data[0] & 15, data[at : at + size]))
        data = data[at + size :]
    return found


def begun(*asked):
    wire = RemoteCommand(asked)
    opened = bytes(wire.to_backend)
    wire.to_backend.clear()
    heard(wire)
    return wire, opened


def test_a_stream_is_opened_for_each_thing_asked_for():
    for asked, streams in ((("stdout",), 2), (("stdin", "stdout", "stderr"), 4), (("stdin", "stdout", "tty"), 4)):
        assert begun(*asked)[1].count(b"\x80\x03\x00\x01") == streams


def test_channels_and_streams_carry_the_same():
    wire, _ = begun("stdin", "stdout", "stderr")
    wire.from_client(said(b"\0hello"))
    assert wire.to_backend == SpdySession.data(STDIN, b"hello")
    wire.from_backend(SpdySession.data(STDOUT, b"out") + SpdySession.data(STDERR, b"err"))
    assert heard(wire) == [(2, b"\1out"), (2, b"\2err")]


def test_the_end_of_stdin_half_closes_while_output_goes_on():
    wire, _ = begun("stdin", "stdout")
    wire.from_client(said(b"\xff\0") + said(b"\0too late"))
    assert wire.to_backend == SpdySession.data(STDIN, b"", ended=True)
    wire.from_backend(SpdySession.data(5, b"sorted"))
    assert heard(wire) == [(2, b"\1sorted")] and not wire.over


def test_sizes_of_the_terminal_have_their_stream():
    wire, _ = begun("stdin", "stdout", "tty")
    wire.from_client(said(b'\4{"Width":80}'))
    assert wire.to_backend == SpdySession.data(7, b'{"Width":80}')


def test_the_exit_code_comes_on_the_error_channel_before_the_goodbye():
    wire, _ = begun("stdout")
    status = b'{"status":"Failure","reason":"NonZeroExitCode"}'
    wire.from_backend(SpdySession.data(3, b"", ended=True) + SpdySession.data(ERROR, status, ended=True))
    assert heard(wire) == [(2, b"\3" + status), (8, b"\x03\xe8")] and wire.over


def test_a_kubelet_that_hangs_up_early_is_a_failure():
    wire, _ = begun("stdout")
    wire.backend_ended()
    (_, failure), (opcode, code) = heard(wire)
    assert failure[0] == 3 and orjson.loads(failure[1:])["status"] == "Failure"
    assert (opcode, int.from_bytes(code[:2])) == (8, 1011) and wire.over


def test_a_kubelet_that_breaks_off_the_error_stream_has_not_said_that_all_went_well():
    wire, _ = begun("stdout")
    reset = b"\x80\x03\x00\x03" + (8).to_bytes(4) + ERROR.to_bytes(4) + (6).to_bytes(4)
    wire.from_backend(SpdySession.data(3, b"", ended=True) + reset)
    (_, failure), (opcode, code) = heard(wire)
    assert failure[0] == 3 and orjson.loads(failure[1:])["status"] == "Failure"
    assert (opcode, int.from_bytes(code[:2])) == (8, 1011) and wire.over


def test_a_runtime_may_reset_its_streams_once_the_end_is_known():
    wire, _ = begun("stdout")
    reset = b"\x80\x03\x00\x03" + (8).to_bytes(4) + ERROR.to_bytes(4) + (6).to_bytes(4)
    status = b'{"metadata":{},"status":"Success"}'
    wire.from_backend(SpdySession.data(3, b"", ended=True) + SpdySession.data(ERROR, status) + reset)
    wire.backend_ended()
    (_, said), (opcode, code) = heard(wire)
    assert said == b"\x03" + status
    assert (opcode, int.from_bytes(code[:2])) == (8, 1000) and wire.over


def test_who_breaks_the_protocol_is_told_and_the_rest_is_not_read():
    wire, _ = begun("stdin", "stdout")
    wire.from_client(b"\x82\x01x")
    [(opcode, code)] = heard(wire)
    assert opcode == 8 and int.from_bytes(code[:2]) == 1002 and wire.over
    wire, _ = begun("stdout")
    wire.from_backend(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"\x80\x01\x00\x01\0\0\0\0")
    assert not wire.over or heard(wire)


def test_a_tunnel_carries_bytes_whatever_they_are():
    wire = Tunnel()
    wire.from_client(said(b"\x80\x03") + said(b"abc"))
    assert wire.to_backend == b"\x80\x03abc"
    wire.from_backend(b"xyz")
    wire.backend_ended()
    assert heard(wire) == [(2, b"xyz"), (8, b"\x03\xe8")] and wire.over


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=100))))
def test_whatever_either_side_sends_is_no_fault_of_ours(pieces):
    wire, _ = begun("stdin", "stdout", "stderr", "tty")
    for client, piece in pieces:
        (wire.from_client if client else wire.from_backend)(piece)
        if wire.over:
            break
    wire.backend_ended()
    assert wire.over
