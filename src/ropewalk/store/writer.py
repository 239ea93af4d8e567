"""One thread that writes: jobs of many callers in one commit, each behind a savepoint, answered once durable."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar, cast

from ropewalk.clock import Clock
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.records import frozen
from ropewalk.refs import canonical
from ropewalk.store.database import Transaction
from ropewalk.store.link import Link
from ropewalk.store.turns import Turns

T = TypeVar("T")
GROUP_MAX = 256
GROUP_SECONDS = 0.05
WAITING_MAX = 4096
# How much the newest group tells of what a job takes; the rest tell those before it.
PACE_SHARE = 0.2


@frozen
class Job:
    """What a caller wants done and where it waits."""

    work: Callable[[Transaction], object]
    key: str | None
    answer: Future[Any]


class Writer:
    """Runs jobs in groups, one commit each; the thread starts with the first job.

    Args:
        connect: opens the writer's own connection.
        clock: tells the time of idempotency keys.
        refusal: says why nothing but what is urgent may be written now, or None.

    Attributes:
        turns: whose turn it is, where an event loop takes turns with the writer.
    """

    def __init__(
        self, connect: Callable[[], Link], clock: Clock, refusal: Callable[[], Unavailable | None] = lambda: None
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._refusal = refusal
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._pace = 0.0
        self.turns = Turns()

    def pace(self) -> float:
        """Return the seconds that a job took as of late, with its share of a commit; 0 before the first."""
        return self._pace

    def submit(self, work: Callable[[Transaction], T], key: str | None = None, *, urgent: bool = False) -> Future[T]:
        """Queue a job; its future is done once the commit is durable, or with the job's own exception.

        Raises:
            Unavailable: the store is closed, more jobs wait than can be done in a second or two, or the disk is so full
                that only what is urgent is written.
        """
        assert threading.current_thread() is not self._thread, "a write inside a write: pass the transaction on"
        refusal = None if urgent else self._refusal()
        if refusal is not None:
            raise refusal
        job = Job(work=work, key=key, answer=Future())
        with self._lock:
            if self._closed:
                raise Unavailable("store-closed", "The store is closed.", fix="run the same command again")
            if self._jobs.qsize() >= WAITING_MAX:
                raise Unavailable(
                    "store-overloaded",
                    "More writes are waiting than the store takes.",
                    why=f"{WAITING_MAX:,} wait already",
                    fix="send the same request again in a second",
                )
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="ropewalk-store-writer", daemon=True)
                self._thread.start()
            self._jobs.put(job)
        return job.answer

    def close(self) -> None:
        """Finish what was accepted, then close the connection."""
        with self._lock:
            self._closed = True
            self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        link: Link | None = None
        while (job := self._jobs.get()) is not None:
            self.turns.begin()
            link = self._commit(link, job)
            self.turns.end()
        if link is not None:
            link.close()

    def _next(self) -> Job | None:
        """Return a job that waits already, or None."""
        try:
            job = self._jobs.get_nowait()
        except queue.Empty:
            return None
        if job is None:  # the end, which is for the loop
            self._jobs.put(None)
        return job

    def _commit(self, link: Link | None, first: Job) -> Link | None:
        """Run a group in one commit; after a failed one the connection is never trusted again."""
        link = self._begun(link, first)
        if link is None:
            return None
        asked: list[Future[Any]] = []
        outcomes: list[tuple[bool, object]] = []
        job: Job | None = first
        began = monotonic()
        until = began + GROUP_SECONDS
        try:
            while job is not None:
                if job.answer.set_running_or_notify_cancel():
                    asked.append(job.answer)
                    outcomes.append(self._attempt(link, job))
                job = self._next() if len(asked) < GROUP_MAX and monotonic() < until else None
            self.turns.end()  # the disk needs no interpreter
            link.commit()
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
            link.close()
            for answer in asked:
                answer.set_exception(error)
            if isinstance(error, RopewalkError) and error.code == "store-unreachable":
                self._refuse_waiting(error)
            return None
        if asked:
            self._pace += PACE_SHARE * ((monotonic() - began) / len(asked) - self._pace)
        for answer, (well, result) in zip(asked, outcomes, strict=True):
            if well:
                answer.set_result(result)
            else:
                answer.set_exception(cast("BaseException", result))
        return link

    def _begun(self, link: Link | None, first: Job) -> Link | None:
        """Begin; a store that cannot be reached is told at once to all who wait, and not to one after the other."""
        try:
            link = link or self._connect()
            link.begin()
        except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
            if link is not None:
                link.close()
            if first.answer.set_running_or_notify_cancel():
                first.answer.set_exception(error)
            self._refuse_waiting(error)
            return None
        return link

    def _refuse_waiting(self, error: Exception) -> None:
        for _ in range(WAITING_MAX):
            job = self._next()
            if job is None:
                break
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(error)

    def _attempt(self, link: Link, job: Job) -> tuple[bool, object]:
        link.mark()
        try:
            result = self._answer(link.session, job)
        except BaseException as error:  # whatever the work raised goes to the caller who waits
            if link.lost():
                if isinstance(error, RopewalkError):
                    raise
                raise Unavailable("store-io", "The disk refused a write.", why=str(error)) from error
            link.undo()
            return False, error
        link.keep()
        return True, result

    def _answer(self, session: Transaction, job: Job) -> object:
        if job.key is None:
            return job.work(session)
        known = session.value("idempotency.get", key=job.key)
        if known is not None:
            return json.loads(str(known))
        result = job.work(session)
        answer = canonical(result).decode()
        session.run("idempotency.insert", key=job.key, at_us=self._clock.now_us(), answer=answer)
        return result
