"""Whole messages between the home process and a data plane, with open files beside them, over local sockets."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

MESSAGE_BYTES_MAX = 1 << 17
# Bytes that are longer go in pieces.
PIECE_BYTES = 48 << 10
FILES_MAX = 4
# So many messages are read at once; others get their turn in between.
READS_MAX = 64
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
Message = dict[str, Any]
Take = Callable[[Message, list[int]], None]


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends between which messages keep their bounds and their order."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Channel:
    """One end on an event loop.

    Args:
        end: the socket; closed with the channel.
        take: called with each message and the files that came with it, which are the taker's to close.
        gone: called once, when the other side has gone.
    """

    def __init__(self, end: socket.socket, *, take: Take, gone: Callable[[], None]) -> None:
        self._end = end
        self._take = take
        self._gone = gone
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        end.setblocking(False)
        self._loop.add_reader(end.fileno(), self._read)

    def offer(self, message: Message, files: Sequence[int] = ()) -> bool:
        """Send a message now, or say that it cannot be sent now; the files stay the caller's to close."""
        return not self._closed and not self._waiting and self._sent(_encode(message), files)

    def send(self, message: Message, files: Sequence[int] = ()) -> None:
        """Send a message, later where the other side is slow; the files stay the caller's to close."""
        if self._closed:
            return
        data = _encode(message)
        if self._waiting or not self._sent(data, files):
            self._waiting.append((data, [os.dup(one) for one in files]))
            if len(self._waiting) == 1:
                self._loop.add_writer(self._end.fileno(), self._write)

    def close(self) -> None:
        """Close this end; what still waits is not sent."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._end.fileno())
        self._loop.remove_writer(self._end.fileno())
        self._end.close()
        for _, files in self._waiting:
            for one in files:
                os.close(one)
        self._waiting.clear()

    def _sent(self, data: bytes, files: Sequence[int]) -> bool:
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        try:
            self._end.sendmsg([data], beside)
        except BlockingIOError:
            return False
        except OSError:  # the other side has gone, which `_read` notices, or too many files are under way
            return False
        return True

    def _write(self) -> None:
        while self._waiting:
            data, files = self._waiting[0]
            if not self._sent(data, files):
                return
            self._waiting.popleft()
            for one in files:
                os.close(one)
        self._loop.remove_writer(self._end.fileno())

    def _read(self) -> None:
        space = socket.CMSG_SPACE(FILES_MAX * array.array("i").itemsize)
        for _ in range(READS_MAX):
            if self._closed:
                return
            try:
                data, beside, _, _ = self._end.recvmsg(MESSAGE_BYTES_MAX, space, socket.MSG_CMSG_CLOEXEC)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, beside = b"", []
            files = array.array("i")
            for level, kind, held in beside:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    files.frombytes(held[: len(held) - len(held) % files.itemsize])
            if not data:
                self.close()
                self._gone()
                return
            try:
                message = _decode(data)
            except msgspec.MsgspecError:  # a confined process may talk nonsense; it is not listened to any longer
                for one in files:
                    with suppress(OSError):
                        os.close(one)
                self.close()
                self._gone()
                return
            self._take(message, list(files))
