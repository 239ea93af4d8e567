"""A data plane: the confined process that owns the sockets of an endpoint's callers and asks its models itself.

It is given connections by the home process, with what has been read of them, answers plain questions, and gives every
connection back that brings anything else. It opens nothing: files, sockets and models come to it as open files.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import MsgspecError

from ropewalk.clock import Clock, SystemClock
from ropewalk.endpoints.channel import PIECE_BYTES, Channel, Message
from ropewalk.endpoints.goods import ROW_SECONDS_MAX, Stand, unpack
from ropewalk.endpoints.heads import SHORT_BYTES_MAX, Head, Heads
from ropewalk.endpoints.journal import append
from ropewalk.endpoints.line import Line, Rules
from ropewalk.endpoints.replies import Replies
from ropewalk.endpoints.tallies import Tallies
from ropewalk.endpoints.turn import Question, Turn
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.models.sandbox import confine
from ropewalk.models.seccomp import forbid_rings
from ropewalk.releases.traffic import Traffic

REPORT_SECONDS = 0.05
SWEEP_SECONDS = 0.25
BATCH_ROWS_MAX = 512
# Of the long bodies so many bytes are answered in one turn, and so many may wait.
LONG_BYTES_MAX, LONG_WAITING_BYTES_MAX = 512 << 10, 32 << 20
DRAIN_SECONDS_MAX = 2.0
# Such a model fails its callers too often to be asked here.
UNFIT_MAX = 20


class Plane:
    """Answers for one endpoint.

    Args:
        end: the socket that leads home.
        wall: confines this process.
        clock: the time.
    """

    def __init__(self, end: socket.socket, wall: Callable[[int], object], clock: Clock) -> None:
        self.done = asyncio.Event()
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._wall = wall
        self._clock = clock
        self._channel = Channel(end, take=self._take, gone=self.done.set)
        self._heads = Heads()
        self._tallies = Tallies()
        self._lines: dict[int, Line] = {}
        self._coming: dict[int, tuple[Message, socket.socket]] = {}
        self._closed: list[int] = []
        self._stands: dict[str, Stand] = {}
        self._turn: Turn | None = None
        self._rules = Rules()
        self._replies = Replies(request_ids=False)
        self._only = False
        self._queue_max = 1
        self._journal, self._length = -1, 0
        self._captures = False
        self._pending: list[Question] = []
        self._reporting = False
        self._works: set[asyncio.Task[Any]] = set()

    def _work(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    # ------------------------------------------------------------------------------------------ from home
    def _take(self, message: Message, files: list[int]) -> None:
        try:
            getattr(self, f"_on_{message['op']}")(message, files)
        finally:
            for one in files:
                os.close(one)

    def _on_begin(self, message: Message, _files: list[int]) -> None:
        """Confine this process, before anything of a model or a caller is in it."""
        held = self._wall(int(message["open_files"]))
        self._replies = Replies(request_ids=message["request_ids"])
        self._queue_max = message["queue_max"]
        self._captures = message["captures"]
        self._rules = Rules(
            body_bytes_max=message["body_bytes_max"],
            idle_seconds_max=message["idle_seconds_max"],
            stall_seconds_max=message["stall_seconds_max"],
        )
        self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self._channel.send({"op": "begun", "confinement": held})

    def _on_load(self, message: Message, files: list[int]) -> None:
        self._work(self._load(str(message["release"]), os.dup(files[0])))

    async def _load(self, release: str, handle: int) -> None:
        """Make a release stand, in a thread: callers of the others do not wait for it."""
        try:
            stand = await self._loop.run_in_executor(None, unpack, handle)
            if stand.row_seconds > ROW_SECONDS_MAX:
                why = f"it takes {stand.row_seconds * 1e3:.1f} ms for a row"
                raise Unavailable("model-too-slow", "The model stays with its own process.", why=why)
        except RopewalkError as error:
            self._channel.send({"op": "loaded", "error": error.record()})
            return
        except (MsgspecError, OSError, MemoryError) as error:
            told = Unavailable("release-not-warm", "The release does not stand yet.", why=str(error)[:300])
            self._channel.send({"op": "loaded", "error": told.record()})
            return
        finally:
            os.close(handle)
        self._stands[release] = stand
        gc.collect()
        gc.freeze()  # the model stays; the collector need not look at it again
        self._channel.send({"op": "loaded"})

    def _on_route(self, message: Message, _files: list[int]) -> None:
        """Change who answers, between two turns; forget the releases that do not any more."""
        traffic = Traffic(**message["traffic"])
        self._only = bool(message["only"])
        self._stands = {name: stand for name, stand in self._stands.items() if name in message["releases"]}
        write = self._append if self._captures else None
        self._turn = Turn(traffic, self._stands, clock=self._clock, write=write, tallies=self._tallies)
        self._channel.send({"op": "routed", "generation": traffic.generation})

    def _on_journal(self, _message: Message, files: list[int]) -> None:
        """Go on in another journal, or in none where there is no room; the one before is home's to seal."""
        old, self._journal, self._length = self._journal, os.dup(files[0]) if files else -1, 0
        if old >= 0:
            os.close(old)
        self._channel.send({"op": "shut"})

    def _on_line(self, message: Message, files: list[int]) -> None:
        """Take a caller's connection over."""
        end = socket.socket(fileno=os.dup(files[0]))
        if len(message["data"]) < message["length"]:
            self._coming[message["id"]] = message, end
        else:
            self._take_over(message, end)

    def _on_piece(self, message: Message, _files: list[int]) -> None:
        """Take more of what the home process has read of a connection."""
        line, end = self._coming[message["id"]]
        line["data"] += message["data"]
        if len(line["data"]) >= line["length"]:
            del self._coming[message["id"]]
            self._take_over(line, end)

    def _take_over(self, message: Message, end: socket.socket) -> None:
        line = Line(message, plane=self, heads=self._heads, rules=self._rules)
        self._lines[line.number] = line
        self._work(self._open(line, end))

    async def _open(self, line: Line, end: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: line, end)
        except OSError:
            end.close()
            self.forget(line)

    def _on_drop(self, message: Message, _files: list[int]) -> None:
        """End a connection that only waits, to make room."""
        line = self._lines.get(message["id"])
        if line is not None and line.waits:
            line.end()

    def _on_home(self, _message: Message, _files: list[int]) -> None:
        """Give everybody back."""
        self._turn_all()
        self._turn = None
        for line in tuple(self._lines.values()):
            line.go_home("recall")
        self._report()
        self._channel.send({"op": "homed"})

    def _on_ping(self, _message: Message, _files: list[int]) -> None:
        self._channel.send({"op": "pong"})

    def _on_drain(self, _message: Message, _files: list[int]) -> None:
        self._work(self._drain())

    async def _drain(self) -> None:
        """Answer what has begun to come, then end."""
        self._turn_all()
        self._empty.clear()
        for line in tuple(self._lines.values()):
            line.drain(_stopping(self._replies))
        if self._lines:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS_MAX):
                    await self._empty.wait()
        for line in tuple(self._lines.values()):
            line.end()
        self._report()
        self._channel.send({"op": "drained"})

    # ----------------------------------------------------------------------------------------- from lines
    def is_ours(self, head: Head) -> bool:
        """Say whether a head asks this endpoint."""
        turn = self._turn
        if turn is None or (head.length > SHORT_BYTES_MAX and not turn.takes_blocks):
            return False
        return head.endpoint == turn.traffic.endpoint or (not head.endpoint and self._only)

    def ask(self, question: Question) -> None:
        """Queue a question for the end of this round of the event loop."""
        if not self._pending:
            self._loop.call_soon(self._turn_now)
        question.begun = self._clock.monotonic()
        self._pending.append(question)

    def forget(self, line: Line) -> None:
        """Note that a caller has gone."""
        if self._lines.pop(line.number, None) is not None:
            self._closed.append(line.number)
            self._report_soon()
            if not self._lines:
                self._empty.set()

    def give_back(self, line: Line, end: int, data: bytes, why: str) -> None:
        """Give a connection back to the home process with what came of the next request."""
        self._lines.pop(line.number, None)
        while len(data) > PIECE_BYTES:
            self._channel.send({"op": "piece", "id": line.number, "data": data[:PIECE_BYTES]})
            data = data[PIECE_BYTES:]
        self._channel.send({"op": "line", "id": line.number, "data": data, "why": why}, [end])

    # --------------------------------------------------------------------------------------------- a turn
    def _turn_now(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        began = self._clock.monotonic()
        turn = self._turn
        asked = [one for one in pending if one.line.asks]
        if turn is None or (self._captures and self._journal < 0):
            for one in asked:
                one.line.leave(one)
            return
        due, later, over = self._sorted(asked)
        if later:  # others get their turn in between
            self._pending = later
            self._loop.call_soon(self._turn_now)
        for at in range(0, len(due), BATCH_ROWS_MAX):
            batch = due[at : at + BATCH_ROWS_MAX]
            turn.answer(batch)
            for one in batch:
                if one.left or one.reply is None:
                    one.line.leave(one)
                else:
                    sent = one.line.answered(self._replies.whole(one.reply, close=one.line.is_last))
                    self._tallies.answered(one.head.route, one.head.length, sent)
        for one in over:
            one.line.answered(self._replies.refused(one.head.path, _queue_full(len(asked), self._queue_max)))
            self._tallies.refused(one.head.route)
        self._tallies.busy_ns += int((self._clock.monotonic() - began) * 1e9)
        if self._tallies.unfit > UNFIT_MAX:
            self._tallies.unfit = 0
            self._channel.send({"op": "unfit"})
        self._report_soon()

    def _sorted(self, asked: list[Question]) -> tuple[list[Question], list[Question], list[Question]]:
        """Return which questions are answered in this turn, which in a later one, and which are too many."""
        over = asked[self._queue_max :]
        due: list[Question] = []
        later: list[Question] = []
        length = 0
        for one in asked[: self._queue_max]:
            if one.head.length <= SHORT_BYTES_MAX:
                due.append(one)
                continue
            fits = not length or length + one.head.length <= LONG_BYTES_MAX
            length += one.head.length
            (due if fits else later if length <= LONG_WAITING_BYTES_MAX else over).append(one)
        return due, later, over

    def _turn_all(self) -> None:
        while self._pending:
            self._turn_now()

    def _append(self, frames: bytes) -> None:
        self._length += append(self._journal, frames, self._length)

    # ------------------------------------------------------------------------------------------ reporting
    def _report_soon(self) -> None:
        if not self._reporting:
            self._reporting = True
            self._loop.call_later(REPORT_SECONDS, self._report)

    def _report(self) -> None:
        self._reporting = False
        if self._tallies or self._closed:
            closed, self._closed = self._closed[:8192], self._closed[8192:]
            self._channel.send({"op": "told", "closed": closed, "journal": self._length, **self._tallies.taken()})

    def _sweep(self) -> None:
        now = self._loop.time()
        for line in tuple(self._lines.values()):
            line.look_at_clock(now)
        self._loop.call_later(SWEEP_SECONDS, self._sweep)


def _queue_full(waiting: int, most: int) -> Unavailable:
    return Unavailable(
        "queue-full",
        "Too many requests wait already.",
        why=f"{waiting} rows wait, at most {most} may",
        fix="send it again after the seconds in Retry-After",
    )


def _stopping(replies: Replies) -> Callable[[str], bytes]:
    gone = Unavailable("endpoint-stopping", "The endpoint is stopping.", fix="send it again")
    return lambda path: replies.refused(path, gone, close=True)


def _confined(open_files: int) -> dict[str, object]:
    return confine((), open_files=open_files).record()


async def serve(end: socket.socket) -> None:
    """Serve until the home process goes away or says so."""
    plane = Plane(end, _confined, SystemClock())
    await plane.done.wait()


def main(arguments: list[str]) -> None:
    """Serve on the inherited socket whose number is the only argument."""
    import uvloop

    # As in a worker: no project by the folder it was started in, nothing written, no signal of a terminal's.
    if sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]
    sys.dont_write_bytecode = True
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    forbid_rings(platform.machine())
    with (
        suppress(KeyboardInterrupt),
        socket.socket(fileno=int(arguments[0])) as end,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(serve(end))
    sys.stderr.flush()
    os._exit(0)  # nothing at exit may want to write files any more


if __name__ == "__main__":
    main(sys.argv[1:])
