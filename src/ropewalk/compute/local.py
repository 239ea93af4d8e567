"""Worker processes on this machine, started once and used for many jobs."""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ropewalk.compute import family
from ropewalk.compute.channel import PIECE_BYTES, Frames, send
from ropewalk.compute.machine import Room, room_of_machine
from ropewalk.compute.pool import ONE, Answer, Ending, Job, Lost, Needs
from ropewalk.leases import process_start

GOODBYE_SECONDS = 2.0


class _Worker:
    """One process with our end of its socket."""

    def __init__(self, module: str, *, cwd: Path, log: Path, environ: Mapping[str, str], mark: str) -> None:
        import socket  # a run that finds everything in the cache starts nobody

        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as out:
            # -P: the project's live folder stays off the path; -u: what was printed before a kill is in the log.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-u", "-m", module, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=cwd,
                env={**environ, family.MARK: mark},
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self.mark = mark
        ours.setblocking(True)
        self.channel = ours
        self.frames = Frames()
        self.job: Job | None = None
        self.deadline: float | None = None

    def kill(self) -> int:
        """End the process and everything it started; return its status."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.channel.close()
        if self.job is not None:
            family.end(self.mark)  # what has left the group: daemons, sessions of their own
        return self.process.wait()


class LocalPool:
    """A pool of up to `workers_max` processes that run `python -m MODULE FD PARENT`.

    The process that makes the pool must not end the thread it made workers in before `close`: Linux ends a child with
    the thread that started it.

    Args:
        module: the worker's main module; it calls `ropewalk.compute.serve.serve`.
        cwd: the workers' folder.
        log: file for what a worker prints outside of a job.
        workers_max: how many processes there may be.
        environ: variables that are set on top of ours.
        room: what jobs may take together; None for a processor a worker and this machine's memory and cards.
    """

    def __init__(
        self,
        module: str,
        *,
        cwd: Path,
        log: Path,
        workers_max: int,
        environ: Mapping[str, str] | None = None,
        room: Needs | None = None,
    ) -> None:
        self._module = module
        self._cwd = cwd
        self._log = log
        self._workers_max = workers_max
        self._environ = {**os.environ, **(environ or {})}
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._room = Room(room or room_of_machine(workers_max))
        self._mark = f"{os.getpid()}.{process_start(os.getpid()) or 0}.{id(self):x}"
        self._count = 0
        self._told: dict[str, str] = {}

    def tell(self, environ: Mapping[str, str]) -> None:
        """Set variables that were not known when the first workers were started."""
        self._environ |= environ
        self._told |= environ

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def warm(self, count: int) -> None:
        """Have so many workers started, as far as the pool allows, without waiting for them."""
        while len(self._workers) < min(count, self._workers_max):
            self._start()

    def _start(self) -> _Worker:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._count += 1
        mark = f"{self._mark}.{self._count}."
        worker = _Worker(self._module, cwd=self._cwd, log=self._log, environ=self._environ, mark=mark)
        self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        return worker

    def free(self, needs: Needs = ONE) -> int:
        """Return how many jobs of such needs can be taken now.

        Raises:
            Invalid: the machine has not so much.
        """
        idle = self._workers_max - sum(worker.job is not None for worker in self._workers)
        return min(idle, self._room.fits(needs))

    def submit(self, job: Job) -> None:
        """Start a job in an idle worker, or in a new one."""
        assert self.free(job.needs) > 0, "ask free() first"
        idle = [worker for worker in self._workers if worker.job is None]
        worker = idle[0] if idle else self._start()
        worker.job = job
        worker.deadline = None if job.timeout_seconds is None else time.monotonic() + job.timeout_seconds
        # A worker that has gone is seen by `wait`, as the end of its socket.
        order: dict[str, object] = {"log": str(job.log) if job.log else "", "job": job.message}
        order["environ"] = {**self._told, **self._room.take(job.id, job.needs)}
        with suppress(BrokenPipeError, ConnectionResetError):
            send(worker.channel, order | ({"secrets": dict(job.secrets)} if job.secrets else {}))

    def wait(self, seconds: float | None) -> list[Ending]:
        """Wait until some job ended, or so long; return what ended."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            now = time.monotonic()
            ends = [item.deadline for item in self._workers if item.deadline is not None]
            ends += [] if until is None else [until]
            soonest = min(ends, default=None)
            ready = self._selector.select(None if soonest is None else max(0.0, soonest - now))
            found = [ending for key, _ in ready for ending in self._read(key.data)]
            found += self._overdue()
            if found or (until is not None and time.monotonic() >= until):
                return found

    def _read(self, worker: _Worker) -> list[Ending]:
        try:
            data = worker.channel.recv(PIECE_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            return self._drop(worker, "died")
        answers: list[Ending] = []
        for message in worker.frames.feed(data):
            assert worker.job is not None, "an answer without a job"
            answers.append(Answer(job=worker.job.id, message=message))
            self._room.give_back(worker.job.id)
            worker.job, worker.deadline = None, None
        return answers

    def _overdue(self) -> list[Ending]:
        now = time.monotonic()
        late = [item for item in self._workers if item.deadline is not None and item.deadline <= now]
        return [ending for worker in late for ending in self._drop(worker, "timeout")]

    def _drop(self, worker: _Worker, why: str) -> list[Ending]:
        """Forget a worker; its job, if it had one, is lost."""
        self._selector.unregister(worker.channel)
        self._workers.remove(worker)
        status = _own_status(worker) if why == "died" else None
        killed = worker.kill()
        if worker.job is None:
            return []
        self._room.give_back(worker.job.id)
        status = killed if status is None else status
        return [Lost(job=worker.job.id, why="timeout" if why == "timeout" else "died", status=status)]

    def pids(self) -> list[int]:
        """Return the workers' processes, each the first of a group of its own; any thread may ask."""
        return [worker.process.pid for worker in list(self._workers)]

    def close(self) -> None:
        """Kill what still works, end what is idle; returns when every process is gone."""
        for worker in self._workers:
            self._selector.unregister(worker.channel)
            if worker.job is None:
                worker.channel.close()
            else:
                worker.kill()
        for worker in self._workers:
            _wait_for(worker.process, GOODBYE_SECONDS)
            worker.kill()
        self._workers.clear()
        self._selector.close()


def _own_status(worker: _Worker) -> int | None:
    """Return how the process ended by itself: its socket closes a moment before it can be waited for."""
    _wait_for(worker.process, GOODBYE_SECONDS)
    return worker.process.poll()


def _wait_for(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a process has ended, or so long; wakes at once, where `Popen.wait` looks again and again."""
    if not hasattr(os, "pidfd_open"):
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            select.select([handle], [], [], seconds)
        finally:
            os.close(handle)
