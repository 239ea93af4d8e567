"""A pool on a Ray cluster: the same five verbs, with workers on its nodes; Ray itself lives in a process beside."""

from __future__ import annotations

import base64
import importlib.util
import secrets
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ropewalk import __version__
from ropewalk.compute import connection
from ropewalk.compute.nodes import Nodes
from ropewalk.compute.pool import ONE, Answer, Ending, Job, Lost, Needs
from ropewalk.errors import Unavailable, missing_extra

IDLE_SECONDS = 10.0
# A node keeps the time of a job itself; this much later its word is not waited for any more.
GRACE_SECONDS = 15.0
SLOW_SECONDS = 10.0
AGAIN_MAX = 2


def make_token(folder: Path) -> tuple[Path, str]:
    """Write a file that a node can read if it sees the folder; return it and its text."""
    path = folder / f".node-{secrets.token_hex(8)}"
    path.write_text(path.name)
    return path, path.name


class _Worker:
    """One worker on a node, or on its way to one; `needs` is what it holds of the cluster as long as it is."""

    def __init__(self, number: int, needs: Needs) -> None:
        self.number = number
        self.needs = needs
        self.job: Job | None = None
        self.tries = 0
        self.host = ""
        self.since = time.monotonic()
        self.deadline: float | None = None
        self.told_slow = False


class RayPool:
    """A pool of workers on the nodes of a Ray cluster that run `python -m MODULE FD PARENT` there.

    What a node or its guardian takes along is begun again elsewhere, twice at most; what ends by itself is lost, as in
    the local pool. The cluster's rooms are taken while a worker lives: an idle one is let go after ten seconds, or when
    something else has to run.

    Args:
        module: the worker's main module; it calls `ropewalk.compute.serve.serve`.
        address: `auto`, `HOST:PORT`, `ray://HOST:PORT`, or `local` for a cluster that lives as long as the pool.
        cwd: the workers' folder, on nodes that see it; on others a folder of their own.
        log: file for what workers print outside of a job, and Ray.
        workers_max: how many there may be; None for one a processor of the cluster.
        environ: variables of the workers, beside what their node has; None unsets one.
        anywhere: whether nodes that do not see `cwd` may take jobs; the message then has the node's own folder as
            `elsewhere`.

    Raises:
        Missing: Ray is not installed.
    """

    def __init__(
        self,
        module: str,
        *,
        address: str,
        cwd: Path,
        log: Path,
        workers_max: int | None = None,
        environ: Mapping[str, str | None] | None = None,
        anywhere: bool = False,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise missing_extra("Ray", "ray")
        self._anywhere = anywhere
        self._asked_max = workers_max
        self._workers: list[_Worker] = []
        self._jobs, self._held = Nodes({}), Nodes({})
        self._seen: dict[str, Any] = {}
        log.parent.mkdir(parents=True, exist_ok=True)
        self._token, text = make_token(log.parent)
        self._link = connection.take(address, workers_max if address == connection.LOCAL else None, log)
        self._facts: dict[str, object] = {
            "module": module,
            "cwd": str(cwd.resolve()),
            "log": str(log.resolve()),
            "environ": dict(environ or {}),
            "token": [str(self._token.resolve()), text],
            "anywhere": anywhere,
            "ropewalk": __version__,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ----------------------------------------------------------------------------------------------------- verbs
    def warm(self, count: int) -> None:
        """Have so many workers started, as far as the pool allows, without waiting for them.

        Raises:
            Unavailable: no cluster answers at the address.
        """
        self.connect()
        while len(self._workers) < min(count, self._max) and self._held.fits(ONE):
            self._start(self._held.asked(ONE))

    def free(self, needs: Needs = ONE) -> int:
        """Return how many jobs of such needs can be taken now.

        Raises:
            Invalid: no node of the cluster has so much.
            Unavailable: no cluster answers at the address.
        """
        self.connect()
        idle = self._max - sum(worker.job is not None for worker in self._workers)
        return max(0, min(idle, self._jobs.fits(needs)))

    def submit(self, job: Job) -> None:
        """Start a job in an idle worker, or in a new one."""
        assert self.free(job.needs) > 0, "ask free() first"
        self._give(job, tries=0)

    def wait(self, seconds: float | None) -> list[Ending]:
        """Wait until some job ended, or so long; return what ended.

        Raises:
            Interrupted: the connection to the cluster is lost, and with it all that runs.
            Unavailable: a node is not fit for the project's jobs; the error says what it lacks.
        """
        self.connect()
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            now = time.monotonic()
            soon = [at for worker in self._workers for at in self._times(worker)]
            soon += [] if until is None else [until]
            found = self._read(max(0.0, min(soon, default=now + IDLE_SECONDS) - now))
            found += self._look_after()
            if found or (until is not None and time.monotonic() >= until):
                return found

    def close(self) -> None:
        """Kill what still works, end what is idle; returns when every process is gone."""
        self._token.unlink(missing_ok=True)
        self._workers.clear()
        connection.give_back(self._link)

    def connect(self) -> None:
        """Wait until the cluster has answered; once it has, return at once.

        Raises:
            Unavailable: none does.
        """
        self._link.connect()
        self._see_nodes()

    def _see_nodes(self) -> None:
        if self._seen is not self._link.nodes:
            self._seen = self._link.nodes
            nodes = {name: Needs(cpu=one[0], memory_bytes=one[1], gpu=one[2]) for name, one in self._seen.items()}
            self._jobs.renew(nodes)
            self._held.renew(nodes)

    @property
    def _max(self) -> int:
        return self._asked_max or max(1, self._jobs.cpus)

    def _read(self, seconds: float) -> list[Ending]:
        """Take in what the link tells within so long."""
        told = self._link.read(seconds)
        self._see_nodes()
        return [ending for one in told for ending in self._take_in(one)]

    # --------------------------------------------------------------------------------------------------- workers
    def _start(self, needs: Needs) -> _Worker:
        worker = _Worker(next(self._link.numbers), needs)
        self._workers.append(worker)
        self._held.take(worker.number, needs)
        self._link.order(
            "start", worker.number, cpu=needs.cpu, memory=needs.memory_bytes, gpu=needs.gpu, facts=self._facts
        )
        return worker

    def _give(self, job: Job, *, tries: int) -> None:
        """Hand a job to an idle worker that holds what it needs, or to a new one."""
        needs = self._jobs.asked(job.needs)
        idle = [worker for worker in self._workers if worker.job is None]
        alike = [worker for worker in idle if worker.needs == needs]
        if not alike:
            # Who is idle holds what somebody else needs now.
            while idle and (self._held.fits(needs) < 1 or len(self._workers) >= self._max):
                self._end(idle.pop())
        worker = alike[0] if alike else self._start(needs)
        worker.job, worker.tries, worker.since, worker.told_slow = job, tries, time.monotonic(), False
        self._jobs.take(job.id, needs)
        order: dict[str, object] = {"id": job.id, "message": dict(job.message), "timeout": job.timeout_seconds}
        order |= {"log": "", "printed": 0, "secrets": dict(job.secrets)}
        if job.log is not None:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            order |= {"log": str(job.log.resolve()), "printed": job.log.stat().st_size if job.log.exists() else 0}
        self._link.order("do", worker.number, job=order)
        if worker.host:
            self._limit(worker, job)

    def _limit(self, worker: _Worker, job: Job) -> None:
        """Note until when a job is waited for, from when its worker is there."""
        seconds = job.timeout_seconds
        worker.deadline = None if seconds is None else time.monotonic() + seconds + GRACE_SECONDS

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._held.give_back(worker.number)
        self._link.order("end", worker.number)

    def _ended(self, worker: _Worker, ending: Ending) -> list[Ending]:
        self._jobs.give_back(ending.job)
        worker.job, worker.deadline, worker.since = None, None, time.monotonic()
        return [ending]

    # ------------------------------------------------------------------------------------------- what comes back
    def _take_in(self, told: dict[str, Any]) -> list[Ending]:
        worker = next((one for one in self._workers if one.number == told["worker"]), None)
        if worker is None:
            return []  # it was let go meanwhile
        return self._take_in_of(worker, told)

    def _take_in_of(self, worker: _Worker, told: dict[str, Any]) -> list[Ending]:
        match told["tell"]:
            case "ready":
                self._settle(worker, told["facts"])
            case "printed":
                self._print(worker, base64.b64decode(told["data"]))
            case "broken":
                raise self._unfit("a node of the cluster", told["why"])
            case "gone":
                return self._gone(worker, told["why"])
            case _:
                assert worker.job is not None, "what ends was begun"
                ending, job = told["ending"], worker.job.id
                if "answer" in ending:
                    return self._ended(worker, Answer(job=job, message=ending["answer"]))
                return self._ended(worker, Lost(job=job, why=ending["why"], status=ending["status"]))
        return []

    def _settle(self, worker: _Worker, facts: dict[str, Any]) -> None:
        """Note where a worker is, and give it what waits for it.

        Raises:
            Unavailable: it is where the project's jobs cannot run.
        """
        host = facts["host"]
        if facts["ropewalk"] != __version__:
            raise self._unfit(f"{host}", f"it has Ropewalk {facts['ropewalk']}, this machine {__version__}")
        if not facts["shared"] and not self._anywhere:
            raise Unavailable(
                "ray-node-without-project",
                f"The node {host} does not see the project's folder.",
                where=host,
                why="values and code are kept in that folder, and [blobs] url names no object store to fetch them from",
                fix='share the folder with every node under the same path, or set [blobs] url = "s3://..."',
            )
        worker.host = host
        self._held.moved(worker.number, facts["node"])
        if worker.job is not None:
            self._jobs.moved(worker.job.id, facts["node"])
            self._limit(worker, worker.job)

    def _unfit(self, where: str, why: str) -> Unavailable:
        return Unavailable(
            "ray-node-unfit",
            "A worker cannot be started on a node of the cluster.",
            where=where,
            why=why,
            fix=f'pip install "ropewalk[ray]=={__version__}" into the environment that `ray start` runs from',
        )

    def _gone(self, worker: _Worker, why: str) -> list[Ending]:
        """Begin a job again elsewhere when its worker's guardian is gone; lose it when that happens too often."""
        job, tries = worker.job, worker.tries + 1
        self._end(worker)
        if job is None:
            return []
        self._jobs.give_back(job.id)
        lost = Lost(job=job.id, why="died", status=-signal.SIGKILL)
        if tries > AGAIN_MAX:
            return [lost]
        self._note(job, f"{worker.host or 'its node'} is gone ({why}); it begins again")
        try:
            self._give(job, tries=tries)
        except Exception:  # noqa: BLE001 - no node that is left holds it
            return [lost]
        return []

    def _print(self, worker: _Worker, data: bytes) -> None:
        if worker.job is not None and worker.job.log is not None:
            with worker.job.log.open("ab") as file:
                file.write(data)

    def _note(self, job: Job, text: str) -> None:
        """Say something about a job where it prints."""
        if job.log is not None:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            with job.log.open("a") as file:
                file.write(f"ropewalk: {text}\n")

    # ------------------------------------------------------------------------------------------------------ time
    def _times(self, worker: _Worker) -> list[float]:
        """Return when a worker has to be looked after."""
        if worker.deadline is not None:
            return [worker.deadline]
        if worker.job is None:
            return [worker.since + IDLE_SECONDS]
        return [] if worker.host or worker.told_slow else [worker.since + SLOW_SECONDS]

    def _look_after(self) -> list[Ending]:
        """Let go who is idle for long, say who waits for long, give up who is silent."""
        now, found = time.monotonic(), list[Ending]()
        for worker in list(self._workers):
            if not any(at <= now for at in self._times(worker)):
                continue
            job = worker.job
            if job is None:
                self._end(worker)
            elif worker.deadline is not None:
                found += self._ended(worker, Lost(job=job.id, why="timeout", status=-signal.SIGKILL))
                self._end(worker)
            else:
                worker.told_slow = True
                self._note(job, "the cluster has had no room for it yet; it waits")
        return found
