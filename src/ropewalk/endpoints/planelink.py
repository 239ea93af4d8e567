"""One data plane's life, seen from the home process: started, given releases and connections, watched, ended."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from ropewalk.endpoints.channel import PIECE_BYTES, Channel, Message, pair
from ropewalk.endpoints.journal import Journal
from ropewalk.endpoints.lending import Captures, Guest, Lent, Terms
from ropewalk.endpoints.meters import Meters
from ropewalk.endpoints.runtime import failure, worker_environment
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.releases.traffic import Traffic

COMMAND = (sys.executable, "-m", "ropewalk.endpoints.plane")
START_SECONDS_MAX = 60.0
ANSWER_SECONDS_MAX = 5.0
TEND_SECONDS = 1.0
JOURNAL_BYTES = 8 << 20
TAIL_BYTES = 4096
LINGER_SECONDS_MAX = 35.0
log = logging.getLogger(__name__)


class PlaneLink:
    """One data plane.

    Args:
        endpoint: whose questions it answers.
        capture: where journals come from; None where nothing is captured.
        meters: where its counts go.
        told: called with each report of it.
        ended: called once, when it has ended by itself.
        unfit: called when its model fails too often.

    Attributes:
        live: whether connections may be given to it.
        generation: of the traffic by which it answers.
        only: whether it answers where no endpoint is named.
        given: how many connections it was given in all.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        capture: Captures | None,
        meters: Meters,
        told: Callable[[Mapping[str, Any]], None],
        ended: Callable[[PlaneLink], None],
        unfit: Callable[[PlaneLink], None],
    ) -> None:
        self.endpoint = endpoint
        self.live = False
        self.generation = -1
        self.only = False
        self.loaded: set[str] = set()
        self._capture, self._meters = capture, meters
        self._told, self._ended, self._unfit = told, ended, unfit
        self._loop = asyncio.get_running_loop()
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._journal: Journal | None = None
        self._written = 0
        self._lent: dict[int, Lent] = {}
        self._pieces: dict[int, bytes] = {}
        self.given = 0
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._tail = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._full = asyncio.Event()
        self._empty = asyncio.Event()
        self._gone = False

    @property
    def pid(self) -> int:
        """The process's id, 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def tail(self) -> str:
        """The last line of the process on its standard error."""
        said = self._tail.decode("utf-8", "replace").strip().splitlines()
        return said[-1][:300] if said else ""

    @property
    def connections(self) -> int:
        """How many connections it has."""
        return len(self._lent)

    # ------------------------------------------------------------------------------------------------- life
    async def start(self, terms: Terms, command: tuple[str, ...] = COMMAND) -> None:
        """Start the process and have it confine itself.

        Raises:
            RopewalkError: it did not.
            OSError: the machine gives no process.
        """
        ours, theirs = pair()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=worker_environment(),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = Channel(ours, take=self._take, gone=self._lost)
        self._spawn(self._listen())
        files = min(soft, 1 << 16) if soft != resource.RLIM_INFINITY else 1 << 16
        await self._asked({"op": "begin", **asdict(terms), "open_files": files}, "begun", START_SECONDS_MAX)
        if self._capture is not None:
            await self._turn_journal(self._capture)
        self._spawn(self._tend())

    async def load(self, release: str, handle: int) -> None:
        """Have it load a release from an open file.

        Raises:
            RopewalkError: it could not, in the process's own words.
        """
        answer = await self._asked({"op": "load", "release": release}, "loaded", START_SECONDS_MAX, (handle,))
        if answer.get("error"):
            raise failure(answer)
        self.loaded.add(release)

    async def route(self, traffic: Traffic, releases: Sequence[str], *, only: bool) -> None:
        """Have it answer by a generation of the traffic; when this returns it does.

        Raises:
            RopewalkError: it did not say so in time.
        """
        message = {"op": "route", "traffic": asdict(traffic), "releases": list(releases), "only": only}
        await self._asked(message, "routed", ANSWER_SECONDS_MAX)
        self.generation, self.only = traffic.generation, only
        self.loaded &= set(releases)

    async def recall(self) -> None:
        """Have every connection given back: when this returns it asks no model any more."""
        self.live = False
        with suppress(RopewalkError):
            await self._asked({"op": "home"}, "homed", ANSWER_SECONDS_MAX)
            return
        self._lost()

    async def linger(self) -> None:
        """Wait until what was answered has been sent, then end."""
        self._empty.clear()
        if self._lent:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS_MAX):
                    await self._empty.wait()
        await self.close()

    async def drain(self) -> None:
        """Let it answer what has begun to come, then end."""
        self.live = False
        with suppress(RopewalkError):
            await self._asked({"op": "drain"}, "drained", ANSWER_SECONDS_MAX)
        await self.close()

    async def close(self) -> None:
        """End it now."""
        self._lost()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process is not None:
            self.kill()
            await self._process.wait()
        # Not before it has ended: what it wrote last may have been answered.
        journal, self._journal = self._journal, None
        self._keep(journal)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    def _lost(self) -> None:
        """Take back what it had; its callers' connections have ended with it."""
        if self._gone:
            return
        self._gone, was_live, self.live = True, self.live, False
        if self._channel is not None:
            self._channel.close()
        for one in self._lent.values():
            one.free()
        self._lent.clear()
        self._empty.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(failure(None, self.tail))
        self.kill()
        if was_live:
            self._ended(self)

    # ------------------------------------------------------------------------------------------ connections
    def take(self, guest: Guest, end: int, *, host: bytes, data: bytes) -> bool:
        """Give it a connection with what was read of the next request, or say that it cannot have it now."""
        if not self.live or self._channel is None:
            return False
        self.given += 1
        message = {"op": "line", "id": self.given, "host": host, "data": data[:PIECE_BYTES], "length": len(data)}
        if not self._channel.offer(message, (end,)):
            return False
        for at in range(PIECE_BYTES, len(data), PIECE_BYTES):
            self._channel.send({"op": "piece", "id": self.given, "data": data[at : at + PIECE_BYTES]})
        self._lent[self.given] = Lent(guest, guest.leave_behind(partial(self._drop, self.given)))
        return True

    def _drop(self, number: int) -> None:
        """Have it end a connection, if that only waits: its place is wanted."""
        if self._channel is not None:
            self._channel.send({"op": "drop", "id": number})

    # ---------------------------------------------------------------------------------------------- messages
    def _take(self, message: Message, files: list[int]) -> None:
        op = message.get("op")
        if op == "line" and files:
            self._again(message, files.pop(0))
        elif op == "piece":
            number = message["id"]
            self._pieces[number] = self._pieces.get(number, b"") + message["data"]
        elif op == "told":
            self._report(message)
        elif op == "unfit":
            self._unfit(self)
        else:
            future = self._waiting.pop(str(op), None)
            if future is not None and not future.done():
                future.set_result(message)
        for one in files:
            os.close(one)

    def _again(self, message: Message, handle: int) -> None:
        end = socket.socket(fileno=handle)
        lent = self._lent.pop(message["id"], None)
        if lent is None:
            end.close()
            return
        lent.free()
        data = self._pieces.pop(message["id"], b"") + message["data"]
        self._look_for_empty()
        lent.guest.again(end, data, odd=message["why"] != "recall")

    def _report(self, message: Message) -> None:
        for number in message["closed"]:
            lent = self._lent.pop(number, None)
            if lent is not None:
                lent.free()
        self._look_for_empty()
        self._meters.add(self.endpoint, message)
        if self._capture is not None:
            self._capture.note(sum(count for _, _, count in message["rows"]))
        self._told(message)
        self._written = message["journal"]
        if self._written > JOURNAL_BYTES:
            self._full.set()

    def _look_for_empty(self) -> None:
        if not self._lent:
            self._empty.set()

    async def _asked(self, message: Message, reply: str, seconds: float, files: Sequence[int] = ()) -> Message:
        gone = Unavailable("worker-died", "The model's process ended.", fix="send it again")
        if self._channel is None or self._gone:
            raise gone
        future = self._waiting[reply] = self._loop.create_future()
        self._channel.send(message, files)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Unavailable("worker-too-slow", "The model's process did not answer in time.", why=reply) from None
        finally:
            self._waiting.pop(reply, None)

    # ----------------------------------------------------------------------------------------------- tending
    def _spawn(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> None:
        stream = self._process.stderr if self._process else None
        while stream is not None and (piece := await stream.read(TAIL_BYTES)):
            self._tail = (self._tail + piece)[-TAIL_BYTES:]

    async def _tend(self) -> None:
        """Change the journal once a second, and end a process that does not answer any more."""
        while not self._gone:
            with suppress(TimeoutError):
                async with asyncio.timeout(TEND_SECONDS):
                    await self._full.wait()
            self._full.clear()
            try:
                await self._asked({"op": "ping"}, "pong", ANSWER_SECONDS_MAX)
                if self._capture is not None and (self._written or self._journal is None):
                    await self._turn_journal(self._capture)
            except RopewalkError as error:
                if not self._gone:
                    log.warning("a data plane of %s is ended: %s %s", self.endpoint, error.code, error.why)
                    self._loop.call_soon(self._lost)
                return
            except OSError as error:
                log.warning("no new journal for %s: %s", self.endpoint, error)

    async def _turn_journal(self, capture: Captures) -> None:
        """Give it a new journal, and take the one that it had; without one it leaves every question to this process."""
        try:
            fresh = await asyncio.to_thread(capture.lend, self.endpoint)
        except OSError:
            await self._asked({"op": "journal"}, "shut", ANSWER_SECONDS_MAX)
            old, self._journal, self._written = self._journal, None, 0
            self._keep(old)
            raise
        try:
            await self._asked({"op": "journal"}, "shut", ANSWER_SECONDS_MAX, (fresh.fileno(),))
        except BaseException:
            self._keep(fresh)
            raise
        old, self._journal, self._written = self._journal, fresh, 0
        self._keep(old)

    def _keep(self, journal: Journal | None) -> None:
        if journal is not None and self._capture is not None:
            self._capture.take_back(self.endpoint, journal)
