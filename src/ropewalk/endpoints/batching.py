"""A lane: the bounded queue before one release's workers; what queued while the last batch ran goes as one batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from ropewalk.clock import Clock
from ropewalk.endpoints.items import (
    ERROR,
    TIMEOUT,
    Columns,
    Item,
    Outcome,
    is_gone,
    not_captured,
    statuses,
    too_late,
)
from ropewalk.endpoints.runtime import Worker, failure
from ropewalk.errors import RopewalkError, Unavailable

BATCH_ROWS_MAX = 512
SWEEP_SECONDS = 0.05
RESTART_SECONDS_MIN = 0.1
RESTART_SECONDS_MAX = 5.0
HEALTHY_SECONDS = 10.0
# Called once per finished batch, before any answer leaves: items, inputs, outputs, a status per row, the error's words.
Record = Callable[[list[Item], Columns, Columns, list[str], str], None]


class Lane:
    """The queue and the workers of one release.

    Args:
        start: starts one worker; called again after a crash.
        record: writes a batch down; an `OSError` of it turns the batch into an error.
        clock: the time.
        workers: how many processes.
        queue_max: rows that may wait; a request that finds an empty queue is taken whatever its size.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[Worker]],
        *,
        record: Record,
        clock: Clock,
        workers: int = 1,
        queue_max: int = 1024,
    ) -> None:
        self.problem: RopewalkError | None = None
        self.restarts = 0
        self.expired = 0
        self.queued_rows = 0
        self._start = start
        self._record = record
        self._clock = clock
        self._queue_max = queue_max
        self._queue: deque[Item] = deque()
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._running = 0
        self._loop = asyncio.get_running_loop()
        self._tried = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._closing = asyncio.Event()
        self._kicked = False
        self._broken = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._keepers = [self._loop.create_task(self._keep()) for _ in range(workers)]

    @property
    def ready(self) -> bool:
        """Whether a worker stands warm."""
        return bool(self._workers)

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that stand."""
        return tuple(worker.pid for worker in self._workers)

    @property
    def facts(self) -> dict[str, Any]:
        """What a worker said when it had loaded the model."""
        facts = [worker.facts for worker in self._workers]
        return facts[0] if facts else {}

    async def warm(self) -> RopewalkError | None:
        """Wait until a worker stands or the first try has failed; return the problem or None."""
        await self._tried.wait()
        return None if self.ready else self.problem

    def submit(self, item: Item) -> None:
        """Queue an item; its future gets the answer, at once an error where no worker could start.

        Raises:
            Unavailable: the queue is full; `why` says for how long.
        """
        rows = len(item.ids)
        if self._broken:
            self.refuse(item, self._no_worker())
            return
        self.admit(rows)
        self._queue.append(item)
        self.queued_rows += rows
        self._quiet.clear()
        if self._idle and not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._kick)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def admit(self, rows: int) -> None:
        """Pass when so many rows may be queued now.

        Raises:
            Unavailable: the queue is full; `why` says for how long.
        """
        if not self._broken and self.queued_rows and self.queued_rows + rows > self._queue_max:
            raise Unavailable(
                "queue-full",
                "Too many requests wait already.",
                why=f"{self.queued_rows} rows wait, at most {self._queue_max} may",
                fix="send it again after the seconds in Retry-After",
            )

    def refuse(self, item: Item, error: RopewalkError) -> None:
        """Write an item down as failed without asking the model, and answer it with the error."""
        self._fail([item], error, ERROR)

    async def drain(self) -> None:
        """Answer what is queued, then end the workers."""
        await self._quiet.wait()
        await self.close()

    async def close(self) -> None:
        """End the workers now; what is still queued is answered with an error."""
        self._closing.set()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in tuple(self._workers)))
        self._workers.clear()
        self._broken = True
        gone = Unavailable("endpoint-stopping", "The endpoint is stopping.", fix="send it again")
        while self._queue:
            self._fail([self._queue.popleft()], gone, ERROR)

    async def _keep(self) -> None:
        """Keep one worker standing: start, wait for its end, start again, slower each time it fails."""
        pause = RESTART_SECONDS_MIN
        while not self._closing.is_set():
            began = self._clock.monotonic()
            try:
                worker = await self._start()
            except RopewalkError as error:
                self.problem = error
                self._broken = not self._workers
                self._tried.set()
                self._sweep()
            else:
                self.problem = None
                self._broken = False
                self._workers.add(worker)
                self._idle.append(worker)
                self._tried.set()
                self._kick()
                await asyncio.shield(worker.gone)
                self._workers.discard(worker)
                if worker in self._idle:
                    self._idle.remove(worker)
                self.problem = failure(None, worker.tail)
                await worker.stop()
            self.restarts += 1
            if self._clock.monotonic() - began > HEALTHY_SECONDS:
                pause = RESTART_SECONDS_MIN
            await asyncio.sleep(pause)
            pause = min(pause * 2, RESTART_SECONDS_MAX)

    def _kick(self) -> None:
        self._kicked = False
        while self._idle and self._queue:
            batch = self._take()
            if batch:
                self._run(self._idle.pop(), batch)
        if not self._queue and not self._running:
            self._quiet.set()

    def _take(self) -> list[Item]:
        """Return the next batch, leaving out what is too late or whose caller has left."""
        batch: list[Item] = []
        rows = 0
        now = self._clock.monotonic()
        names = self._queue[0].columns.keys()
        while self._queue:
            item = self._queue[0]
            if rows and (item.alone or rows + len(item.ids) > BATCH_ROWS_MAX or item.columns.keys() != names):
                break
            self._queue.popleft()
            self.queued_rows -= len(item.ids)
            if item.deadline <= now:
                self.expired += 1
                self._fail([item], too_late(), TIMEOUT)
            elif item.answer.done() or (now - item.begun > SWEEP_SECONDS and is_gone(item.receive)):
                _left(item)
            else:
                batch.append(item)
                rows += len(item.ids)
                names = batch[0].columns.keys()
                if item.alone:
                    break
        return batch

    def _run(self, worker: Worker, batch: list[Item]) -> None:
        columns = batch[0].columns
        rows = len(batch[0].ids)
        if len(batch) > 1:
            columns = {name: [value for item in batch for value in item.columns[name]] for name in columns}
            rows = sum(len(item.ids) for item in batch)
        began = self._clock.monotonic()
        late = False

        def end() -> None:
            nonlocal late
            late = True
            worker.kill()

        timer = self._loop.call_later(max(item.deadline for item in batch) - began, end)
        self._running += 1

        def done(answer: dict[str, Any] | None) -> None:
            timer.cancel()
            self._running -= 1
            parted = not late and len(batch) > 1 and (answer is None or bool(answer.get("error")))
            try:
                if parted:
                    self._part(batch)
                elif answer is None and late:
                    self._fail(batch, too_late(), TIMEOUT, columns)
                elif answer is None or answer.get("error"):
                    self._fail(batch, failure(answer, worker.tail), ERROR, columns)
                else:
                    self._finish(batch, columns, answer.get("outputs", {}), rows)
            finally:
                if not parted:
                    for item in batch:
                        _left(item)  # answered already, unless a defect of ours got in the way: nobody waits for ever
                if answer is not None:
                    self._idle.append(worker)
                self._kick()

        worker.predict(columns, rows, done)

    def _part(self, batch: list[Item]) -> None:
        """Ask each item of a failed batch again by itself: only the one that makes the model fail shall fail."""
        for item in reversed(batch):
            item.alone = True
            self._queue.appendleft(item)
            self.queued_rows += len(item.ids)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _finish(self, batch: list[Item], columns: Columns, outputs: Columns, rows: int) -> None:
        if not outputs or any(len(values) != rows for values in outputs.values()):
            wrong = RopewalkError(
                "model-failed", "The model failed on these rows.", why=f"it did not answer {rows} rows"
            )
            self._fail(batch, wrong, ERROR, columns)
            return
        status = statuses(outputs, rows)
        try:
            self._record(batch, columns, outputs, status, "")
        except OSError as error:
            self._fail(batch, not_captured(error), ERROR)
            return
        if len(batch) == 1:
            if not batch[0].answer.done():
                batch[0].answer.set_result(Outcome(outputs, status))
            return
        at = 0
        for item in batch:
            end = at + len(item.ids)
            if not item.answer.done():
                part = {name: values[at:end] for name, values in outputs.items()}
                item.answer.set_result(Outcome(part, status[at:end]))
            at = end

    def _fail(self, batch: list[Item], error: RopewalkError, status: str, columns: Columns | None = None) -> None:
        rows = sum(len(item.ids) for item in batch)
        try:
            if error.code != "capture-not-written":
                self._record(batch, columns or batch[0].columns, {}, [status] * rows, f"{error.code}: {error.what}")
        except OSError as refusal:
            error = not_captured(refusal)
        for item in batch:
            if not item.answer.done():
                item.answer.set_result(Outcome({}, [status] * len(item.ids), error))

    def _no_worker(self) -> RopewalkError:
        why = f"{self.problem.code}: {self.problem.what} {self.problem.why}" if self.problem else ""
        return Unavailable("release-not-warm", "No worker of this release stands.", why=why, fix="ropewalk status")

    def _sweep(self) -> None:
        """Answer what waited too long, also while no worker takes anything."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        now = self._clock.monotonic()
        keep: deque[Item] = deque()
        for item in self._queue:
            if self._broken:
                self.queued_rows -= len(item.ids)
                self._fail([item], self._no_worker(), ERROR)
            elif item.deadline <= now:
                self.queued_rows -= len(item.ids)
                self.expired += 1
                self._fail([item], too_late(), TIMEOUT)
            else:
                keep.append(item)
        self._queue = keep
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep) if keep else None
        if not keep and not self._running:
            self._quiet.set()


def _left(item: Item) -> None:
    """Answer an item whose caller has gone: nothing is asked and nothing recorded for it."""
    if not item.answer.done():
        item.answer.set_exception(ConnectionResetError())
