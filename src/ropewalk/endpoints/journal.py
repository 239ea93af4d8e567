"""An append-only file of captured predictions: what was written before an answer left survives kill -9."""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

_HEAD_BYTES = 8
ENDING = ".journal"
# A column of a frame that only rows with a trace have: the id of each row's, empty for a row without one.
TRACE = "trace"
_decode = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a journal holds.

    Attributes:
        frames: captured batches in order, each a map of columns.
        whole: whether the file ends with a whole frame; a torn tail was never acknowledged.
        damaged: whether bytes in the middle do not match their checksum.
    """

    frames: tuple[dict[str, Any], ...]
    whole: bool
    damaged: bool


class Journal:
    """A journal that this process writes; it holds a lock as long as it lives, so that nobody recovers it early.

    Args:
        path: the file; must not be there.

    Raises:
        OSError: it is there, or the disk refuses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.bytes = 0
        self._handle = open_locked(path)

    def append(self, frame: dict[str, Any], rows: int) -> None:
        """Write one batch with one system call: 4 bytes length, 4 bytes CRC-32, MessagePack, big-endian.

        Raises:
            OSError: the disk refused it, or took only a part; the part is cut off again.
        """
        self.bytes += append(self._handle, framed(frame), self.bytes)
        self.rows += rows

    def fileno(self) -> int:
        """Return the open file, for whoever writes it in our place; the lock is held as long as anybody has it."""
        return self._handle

    def sync(self) -> None:
        """Make it durable against a power cut too."""
        os.fsync(self._handle)

    def close(self) -> None:
        """Give up the lock."""
        os.close(self._handle)


def framed(frame: dict[str, Any]) -> bytes:
    """Return one batch as it stands in a journal."""
    payload = _encode(frame)
    return len(payload).to_bytes(4) + zlib.crc32(payload).to_bytes(4) + payload


def append(handle: int, data: bytes, length: int) -> int:
    """Write frames at the end of a journal with one system call; return how many bytes they are.

    Args:
        handle: the open file.
        data: the frames.
        length: of the file so far.

    Raises:
        OSError: the disk refused it, or took only a part; the part is cut off again.
    """
    written = os.write(handle, data)
    if written != len(data):
        os.ftruncate(handle, length)
        raise OSError(28, "the disk took only a part")
    return written


def open_locked(path: Path) -> int:
    """Make a file and lock it; once more if somebody took it for left behind before it was locked.

    Raises:
        OSError: it is there, or the disk refuses it.
    """
    while True:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


def left_behind(folder: Path, ending: str = ENDING) -> Iterator[Path]:
    """Yield the journals whose writers are gone, oldest first; each is locked while it is looked at.

    Args:
        folder: where they lie.
        ending: of other files that are locked as long as their writers live.
    """
    for path in sorted(folder.glob(f"*{ending}")):
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            if _locked(handle):
                yield path
        finally:
            os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_journal(path: Path) -> Contents:
    """Return every whole frame; stops at the first that is torn or does not match its checksum.

    Raises:
        FileNotFoundError: it was sealed meanwhile.
    """
    data = memoryview(path.read_bytes())
    frames: list[dict[str, Any]] = []
    at = 0
    while at + _HEAD_BYTES <= len(data):
        length = int.from_bytes(data[at : at + 4])
        end = at + _HEAD_BYTES + length
        if end > len(data):
            break
        payload = data[at + _HEAD_BYTES : end]
        if zlib.crc32(payload) != int.from_bytes(data[at + 4 : at + _HEAD_BYTES]):
            return Contents(frames=tuple(frames), whole=False, damaged=True)
        frames.append(_decode(payload))
        at = end
    return Contents(frames=tuple(frames), whole=at == len(data), damaged=False)
