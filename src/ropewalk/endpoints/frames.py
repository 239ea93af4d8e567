"""Frames between a gateway and its worker: four bytes of length, then MessagePack."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from ropewalk.errors import Invalid, Unavailable

FRAME_BYTES_MAX = 1 << 28
_LENGTH = struct.Struct("!I")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def encode(message: object) -> bytes:
    """Return one frame.

    Raises:
        Invalid: the message takes more than FRAME_BYTES_MAX bytes.
    """
    body = _encoder.encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise Invalid("frame-too-long", "A message to a worker is too long.", why=f"{len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Takes bytes as they come and gives whole messages; knows no socket, so that sync and async sides share it."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Any]:
        """Take bytes; yield every message that is whole now.

        Raises:
            Invalid: a frame announces more than FRAME_BYTES_MAX bytes, or does not hold MessagePack.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_BYTES_MAX:
                raise Invalid("frame-too-long", "A message from the other side is too long.", why=f"{length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield _decode(body)


def _decode(body: bytes) -> Any:  # noqa: ANN401 - MessagePack of any shape
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise Invalid("frame-malformed", "A frame does not hold MessagePack.", why=str(error)) from error


def send(connection: socket.socket, message: object) -> None:
    """Send one message and wait until the kernel has all of it."""
    connection.sendall(encode(message))


def receive(connection: socket.socket) -> Any:  # noqa: ANN401 - MessagePack of any shape
    """Wait for one message and return it; None when the other side has closed between two frames.

    Raises:
        Unavailable: the other side closed in the middle of a frame.
        Invalid: the frame is too long or does not hold MessagePack.
    """
    head = _exactly(connection, _LENGTH.size, between=True)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > FRAME_BYTES_MAX:
        raise Invalid("frame-too-long", "A message from the other side is too long.", why=f"{length} bytes")
    return _decode(bytes(_exactly(connection, length) or b""))


def _exactly(connection: socket.socket, count: int, *, between: bool = False) -> bytearray | None:
    data = bytearray(count)
    view = memoryview(data)
    have = 0
    while have < count:
        got = connection.recv_into(view[have:])
        if got == 0:
            if between and have == 0:
                return None
            raise Unavailable("worker-gone", "The other side went away in the middle of a message.")
        have += got
    return data
