import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.streams.spdy import CONTROL_BYTES_MAX, DICTIONARY, Data, SpdyError, SpdySession


def control(kind, body, flags=0):
    return (0x80030000 | kind).to_bytes(4) + bytes([flags]) + len(body).to_bytes(3) + body


def received(session, data):
    return list(session.receive(data))


def test_the_dictionary_is_the_drafts():
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_streams_are_opened_with_headers_compressed_in_one_go():
    session, inflate = SpdySession(), zlib.decompressobj(zdict=DICTIONARY)
    for expected, kind in ((1, b"error"), (3, b"stdin")):
        stream, frame = session.open({"streamtype": kind.decode()})
        assert stream == expected and frame[:4] == b"\x80\x03\x00\x01"
        assert int.from_bytes(frame[5:8]) == len(frame) - 8 and frame[8:18] == stream.to_bytes(4) + bytes(6)
        block = inflate.decompress(frame[18:])
        assert block == b"\0\0\0\1\0\0\0\x0astreamtype" + len(kind).to_bytes(4) + kind


def test_data_is_handed_on_as_it_comes_and_ends_with_fin():
    session = SpdySession()
    frame = SpdySession.data(3, b"hello", ended=True)
    assert received(session, frame[:10]) == [Data(3, b"he", False)]
    assert received(session, frame[10:]) == [Data(3, b"llo", True)]
    assert received(session, SpdySession.data(5, b"", ended=True)) == [Data(5, b"", True)]


def test_pings_are_answered_and_a_reset_stream_has_ended():
    session = SpdySession()
    assert received(session, control(6, b"\0\0\0\6")) == [] and session.replies == control(6, b"\0\0\0\6")
    assert received(session, control(6, b"\0\0\0\7") + control(6, b"")) == []
    assert len(session.replies) == 12, "an odd ping would be the answer to one of ours"
    assert received(session, control(3, b"\0\0\0\3\0\0\0\1")) == [Data(3, b"", True, reset=True)]
    assert received(session, control(2, b"\0\0\0\1zz")) == [] and not session.gone
    assert received(session, control(7, bytes(8))) == [] and session.gone


@pytest.mark.parametrize(
    "data",
    [control(2, b"x" * (CONTROL_BYTES_MAX + 1))[:8], control(3, b"\0"), b"\x80\x02\0\x06" + bytes(4)],
)
def test_what_breaks_the_protocol_is_refused(data):
    with pytest.raises(SpdyError):
        received(SpdySession(), data)


@given(st.lists(st.binary(max_size=200)))
def test_whatever_arrives_is_events_or_an_error_and_little_is_held(pieces):
    session = SpdySession()
    try:
        for piece in pieces:
            received(session, piece)
            assert len(session._pending) <= CONTROL_BYTES_MAX + 8
    except SpdyError:
        pass


@given(
    st.lists(st.tuples(st.sampled_from((1, 3, 5)), st.binary(max_size=50), st.booleans())),
    st.lists(st.integers(1, 40)),
)
def test_where_the_bytes_are_split_does_not_matter(sent, cuts):
    wire = b"".join(
        SpdySession.data(stream, payload, ended=fin) + control(6, b"\0\0\0\2") for stream, payload, fin in sent
    )
    session, found, at = SpdySession(), {}, 0
    for size in (*cuts, len(wire)):
        for piece in session.receive(wire[at : at + size]):
            payload, ends = found.get(piece.stream, (b"", 0))
            found[piece.stream] = (payload + piece.payload, ends + piece.ended)
        at += size
    expected = {}
    for stream, payload, fin in sent:
        before, ends = expected.get(stream, (b"", 0))
        expected[stream] = (before + payload, ends + fin)
    assert found == {stream: value for stream, value in expected.items() if value != (b"", 0)}
    assert len(session.replies) == 12 * len(sent)
