"""One model worker's life, seen from the event loop: started warm, asked one batch at a time, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from ropewalk.endpoints.frames import Frames, encode
from ropewalk.errors import Invalid, RopewalkError, Unavailable

COMMAND = (sys.executable, "-m", "ropewalk.endpoints.worker")
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 5.0
TAIL_BYTES = 4096
# The worker gets no secrets by its environment: only what finds the interpreter, its libraries and its language.
_PASSED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "COVERAGE_PROCESS_CONFIG",
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")

OnAnswer = Callable[[dict[str, Any] | None], None]


def worker_environment() -> dict[str, str]:
    """Return the few environment variables that a worker is given."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ} | _ONE_THREAD


class Worker(asyncio.Protocol):
    """A worker process with one loaded model; make it with `start_worker`.

    Attributes:
        gone: done when the process's connection has ended, for whatever reason.
        facts: what the worker said when it had loaded the model, such as its engine.
    """

    def __init__(self) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.facts: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.Transport | None = None
        self._frames = Frames()
        self._on_answer: OnAnswer | None = None
        self._number = 0
        self._tail = b""
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process's id, 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def tail(self) -> str:
        """The last words of the process on its standard error."""
        return self._tail.decode("utf-8", "replace").strip()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer; call back when it is whole (asyncio calls this)."""
        try:
            for answer in self._frames.feed(data):
                waiting, self._on_answer = self._on_answer, None
                if waiting is not None:
                    waiting(answer)
        except Invalid as error:  # a confined process may still talk nonsense; it is not listened to any longer
            self._tail += f"\n{error.what}".encode()
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """Tell whoever waits that nothing will come (asyncio calls this)."""
        waiting, self._on_answer = self._on_answer, None
        if waiting is not None:
            waiting(None)
        if not self.gone.done():
            self.gone.set_result(None)

    def ask(self, message: Mapping[str, object], on_answer: OnAnswer) -> None:
        """Send one message; `on_answer` is called with the answer, or with None when the process is gone.

        Only one message is under way at a time: the caller batches.
        """
        assert self._on_answer is None, "the worker is busy"
        if self._transport is None or self.gone.done():
            on_answer(None)
            return
        self._on_answer = on_answer
        self._transport.write(encode(message))

    def predict(self, columns: Mapping[str, list[Any]], rows: int, on_answer: OnAnswer) -> None:
        """Ask for predictions: named columns of `rows` values each; the answer holds `outputs` or `error`."""
        self._number += 1
        self.ask({"op": "predict", "id": self._number, "columns": columns, "rows": rows}, on_answer)

    async def start(self, load: Mapping[str, object], command: tuple[str, ...], seconds_max: float) -> None:
        """Start the process and have it load the model.

        Raises:
            RopewalkError: it could not load it (the worker's own words), died, or took too long.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=worker_environment(),
                start_new_session=True,  # a terminal's Ctrl-C must not kill it before the gateway has drained
            )
        finally:
            theirs.close()
        self._reader = loop.create_task(self._listen())
        await loop.create_connection(lambda: self, sock=ours)
        loaded: asyncio.Future[dict[str, Any] | None] = loop.create_future()
        self.ask({"op": "load", "id": 0, **load}, lambda answer: None if loaded.done() else loaded.set_result(answer))
        try:
            async with asyncio.timeout(seconds_max):
                answer = await loaded
        except TimeoutError:
            await self.stop()
            raise Unavailable(
                "worker-too-slow",
                "The model did not load in time.",
                why=f"waited {seconds_max:g} s; {self.tail[-500:]}",
            ) from None
        if answer is None or answer.get("error"):
            await self.stop()
            raise failure(answer, self.tail)
        self.facts = answer

    async def _listen(self) -> None:
        stream = self._process.stderr if self._process else None
        while stream is not None and (piece := await stream.read(TAIL_BYTES)):
            self._tail = (self._tail + piece)[-TAIL_BYTES:]

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """End the process: a word first, a kill after five seconds."""
        if self._process is None:
            return
        if self._transport is not None and not self._transport.is_closing():
            if self._on_answer is None:
                self._transport.write(encode({"op": "stop"}))
            else:
                self.kill()
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader
        if self._transport is not None:
            self._transport.close()
            await self.gone


def failure(answer: Mapping[str, Any] | None, tail: str = "") -> RopewalkError:
    """Return the error of a worker's answer, or of its silence, in our words."""
    found = None if answer is None else answer.get("error")
    if found is None:
        last = tail.splitlines()[-1] if tail else "it said nothing"
        return Unavailable("worker-died", "The model's process ended.", why=last[:300], fix="send it again")
    if isinstance(found, Mapping):
        words = {
            name: str(cast("Mapping[str, object]", found).get(name, "")) for name in ("what", "where", "why", "fix")
        }
        code = str(cast("Mapping[str, object]", found).get("code", "model-failed"))
        return RopewalkError(
            code, words["what"] or "The model failed.", where=words["where"], why=words["why"], fix=words["fix"]
        )
    return RopewalkError("model-failed", "The model failed on these rows.", why=str(found)[:300])


async def start_worker(
    load: Mapping[str, object], *, command: tuple[str, ...] = COMMAND, seconds_max: float = START_SECONDS_MAX
) -> Worker:
    """Return a worker that has loaded its model.

    Args:
        load: `blobs`, `manifest`, `code_folder`, `engine`, `allow_pickle` of the load message.
        command: the worker's argv; the number of its socket is added.
        seconds_max: longest wait for the load.

    Raises:
        RopewalkError: it could not be loaded.
    """
    worker = Worker()
    try:
        await worker.start(load, command, seconds_max)
    except asyncio.CancelledError:
        worker.kill()
        await worker.stop()
        raise
    return worker
