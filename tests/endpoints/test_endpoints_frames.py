"""Frames carry whole messages over a stream that is cut anywhere."""

import socket

import pytest

from ropewalk.endpoints.frames import FRAME_BYTES_MAX, Frames, encode, receive, send
from ropewalk.errors import Invalid, Unavailable

MESSAGES = [{"op": "predict", "columns": {"a": [1, 2.5, None, "é"]}}, [], {"x": float("inf")}, "y" * 70_000]


def test_messages_come_out_whole_wherever_the_stream_is_cut():
    data = b"".join(map(encode, MESSAGES))

    for size in (1, 3, 4, 5, 1000, len(data)):
        frames = Frames()
        found = [one for place in range(0, len(data), size) for one in frames.feed(data[place : place + size])]
        assert found == MESSAGES


def test_a_socket_gives_what_was_sent_and_none_at_the_end():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for message in MESSAGES[:3]:
            send(ours, message)
        ours.shutdown(socket.SHUT_WR)

        assert [receive(theirs) for _ in range(4)] == [*MESSAGES[:3], None]


def test_an_end_in_the_middle_of_a_frame_is_an_error():
    for cut in (2, 6):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(encode("hello there")[:cut])
            ours.shutdown(socket.SHUT_WR)
            with pytest.raises(Unavailable):
                receive(theirs)


def test_a_frame_that_announces_too_much_or_holds_no_messagepack_is_refused():
    for data, code in (
        ((FRAME_BYTES_MAX + 1).to_bytes(4, "big"), "frame-too-long"),
        (b"\x00\x00\x00\x01\xc1", "frame-malformed"),
    ):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(data)
            with pytest.raises(Invalid) as found:
                receive(theirs)
            assert found.value.code == code
        with pytest.raises(Invalid) as found:
            list(Frames().feed(data))
        assert found.value.code == code
