"""Frames on a socket: four bytes of length, then JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

_LENGTH = struct.Struct(">I")
FRAME_BYTES_MAX = 256 << 20
PIECE_BYTES = 1 << 18


def send(channel: socket.socket, message: Mapping[str, object]) -> None:
    """Send one frame; blocks until the other side has room."""
    data = json.dumps(message, separators=(",", ":")).encode()
    channel.sendall(_LENGTH.pack(len(data)) + data)


class Frames:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Add bytes as they came; return the messages that are whole now.

        Raises:
            ValueError: a frame is longer than any of ours.
        """
        self._buffer += data
        whole: list[dict[str, Any]] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_BYTES_MAX:
                raise ValueError(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            whole.append(json.loads(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return whole


def receive(channel: socket.socket, frames: Frames) -> dict[str, Any] | None:
    """Wait for one message; return None when the other side has gone."""
    while True:
        try:
            data = channel.recv(PIECE_BYTES)
        except ConnectionResetError:
            return None
        if not data:
            return None
        whole = frames.feed(data)
        if whole:
            assert len(whole) == 1, "one job at a time"
            return whole[0]
