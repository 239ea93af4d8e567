"""Runs a program to its end: what it says is passed on at once and kept within bounds, signals reach it."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Self, cast

from ropewalk.compute.pool import ended_how

HEAD_BYTES = 256 << 10
TAIL_BYTES = 2 << 20
PIECE_BYTES = 64 << 10
LOOK_SECONDS = 5.0
# After its end a program's own children may still hold its output open; they are not waited for longer than this.
LINGER_SECONDS = 1.0
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Kept:
    """The beginning and the end of what a stream said.

    Args:
        target: where it is passed on to; None to keep it alone.
    """

    def __init__(self, target: BinaryIO | None) -> None:
        self.bytes = 0
        self._target = target
        self._head = bytearray()
        self._tail = bytearray()

    def take(self, piece: bytes) -> None:
        """Pass a piece on and keep it; where nobody reads any more, the program goes on unheard."""
        self.bytes += len(piece)
        room = HEAD_BYTES - len(self._head)
        self._head += piece[:room] if room > 0 else b""
        self._tail += piece[max(room, 0) :]
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        if self._target is not None:
            try:
                self._target.write(piece)
                self._target.flush()
            except (BrokenPipeError, ValueError):
                self._target = None

    def text(self) -> str:
        """Return what was kept, with a line that says how much is missing in the middle."""
        tail = bytes(self._tail[-TAIL_BYTES:])
        missing = self.bytes - len(self._head) - len(tail)
        gap = f"\n... {missing:,} bytes are not kept ...\n".encode() if missing else b""
        return (bytes(self._head) + gap + tail).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a program ended.

    Attributes:
        status: its exit status; 128 and the signal's number where one ended it, as a shell says it.
        told: the signal that we were sent while it ran; 0 for none.
        stdout: what it said.
        stderr: what it said there.
        killed: number of the signal that ended it; 0 for none.
    """

    status: int
    told: int
    stdout: Kept
    stderr: Kept
    killed: int = 0

    @property
    def how(self) -> str:
        """How it ended, in words that follow `it`."""
        return ended_how(-self.killed or self.status)


def run(
    words: tuple[str, ...],
    environment: Mapping[str, str],
    *,
    loud: bool = True,
    on_turn: Callable[[], None] = lambda: None,
    doors: Mapping[socket.socket, Callable[[], Any]] | None = None,
) -> Ending:
    """Run a program with our standard input until it ends.

    Args:
        words: its argv.
        environment: its variables.
        loud: whether its output may go to our standard output; else it goes to standard error.
        on_turn: called every few seconds.
        doors: listening sockets, each with what is called once when somebody first knocks; it returns what is closed
            when the program has ended.

    Raises:
        OSError: it cannot be started.
    """
    streams = (sys.stdout if loud else sys.stderr, sys.stderr)
    for stream in streams:
        stream.flush()
    out, err = (Kept(cast("BinaryIO | None", getattr(stream, "buffer", None))) for stream in streams)
    with ExitStack() as open_ones, _Signals() as signals:
        process = subprocess.Popen(words, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        signals.begin(process)
        try:
            _listen(process, {cast("IO[bytes]", process.stdout): out, cast("IO[bytes]", process.stderr): err},
                    on_turn, dict(doors or {}), open_ones)  # fmt: skip
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
    shown, killed = (status, 0) if status >= 0 else (128 - status, -status)
    return Ending(status=shown, told=signals.told, stdout=out, stderr=err, killed=killed)


def _listen(
    process: subprocess.Popen[bytes],
    pipes: Mapping[IO[bytes], Kept],
    on_turn: Callable[[], None],
    doors: dict[socket.socket, Callable[[], Any]],
    open_ones: ExitStack,
) -> None:
    """Pass everything on until both pipes are closed, or the process is gone and what it left has had its second."""
    with selectors.DefaultSelector() as selector, _ended(process) as gone:
        for pipe, kept in pipes.items():
            selector.register(pipe, selectors.EVENT_READ, kept)
        for door in doors:
            selector.register(door, selectors.EVENT_READ, None)
        selector.register(gone, selectors.EVENT_READ, None)
        left, patience = len(pipes), LOOK_SECONDS
        while left:
            ready = selector.select(patience)
            if not ready and patience != LOOK_SECONDS:
                return
            on_turn()
            for key, _ in ready:
                where = cast("Any", key.fileobj)
                if isinstance(key.data, Kept):
                    piece = os.read(key.fd, PIECE_BYTES)
                    key.data.take(piece)
                    if not piece:
                        selector.unregister(where)
                        left -= 1
                else:
                    selector.unregister(where)
                    if where is gone:
                        patience = LINGER_SECONDS
                    else:
                        open_ones.enter_context(doors.pop(where)())


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Generator[socket.socket]:
    """Yield a socket that becomes readable when the process has ended."""
    ours, theirs = socket.socketpair()

    def wait() -> None:
        process.wait()
        with suppress(OSError):
            theirs.send(b".")

    threading.Thread(target=wait, name="ropewalk-child", daemon=True).start()
    try:
        yield ours
    finally:
        ours.close()
        theirs.close()


class _Signals:
    """Passes on what asks us to end: the child decides what becomes of that, and we wait for it.

    A terminal sends Ctrl-C to everybody in its foreground, the child included; then it is not sent a second time.
    """

    def __init__(self) -> None:
        self.told = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._take) for each in _FORWARDED}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def begin(self, child: subprocess.Popen[bytes]) -> None:
        """Pass on from now on, and what came before there was a child."""
        self._child = child
        if self.told:
            child.send_signal(self.told)

    def _take(self, number: int, _frame: object) -> None:
        self.told = number
        if self._child is not None and not (number == signal.SIGINT and _in_foreground()):
            with suppress(ProcessLookupError):
                self._child.send_signal(number)


def _in_foreground() -> bool:
    """Say whether we stand in the foreground of a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:  # noqa: PTH123 - a device
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
