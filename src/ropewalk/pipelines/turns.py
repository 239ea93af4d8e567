"""The walk over a graph: each turn stores what has ended, looks up what is ready, and begins what has to run."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ropewalk import leases
from ropewalk.compute.pool import Answer, Ending, Job, Lost
from ropewalk.errors import Interrupted, Invalid
from ropewalk.pipelines import failures, outcomes
from ropewalk.pipelines.describe import Described
from ropewalk.pipelines.frontier import Frontier
from ropewalk.pipelines.graph import Node, Tree
from ropewalk.pipelines.keys import Keyed
from ropewalk.pipelines.outcomes import CACHED, DONE, FAILED, RUNNING, SKIPPED, WAITING, Outcome, StepRecord
from ropewalk.pipelines.plan import Hit, Judge
from ropewalk.pipelines.progress import Progress
from ropewalk.pipelines.values import frames_of
from ropewalk.refs import canonical
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.log import LogEntry
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

RENEW_SECONDS = leases.LEASE_SECONDS / 3
BACKOFF_SECONDS_MAX = 60.0
READS_AGAIN_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An attempt at a node.

    Attributes:
        node: what runs.
        keyed: its key and inputs.
        attempt: from 1.
        reason: why it runs.
        started_us: microseconds since the epoch.
    """

    node: Node
    keyed: Keyed
    attempt: int
    reason: tuple[str, ...]
    started_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that ended, with what is to be stored of it; everything large is among the blobs already.

    Attributes:
        begun: the attempt.
        outcome: what it gave, None for a failure.
        value: the outcome's tree.
        failure: what went wrong, None for nothing.
        ended_us: microseconds since the epoch.
        notes: what people should know of how it ran.
    """

    begun: Begun
    outcome: Outcome | None
    value: Tree
    failure: dict[str, Any] | None
    ended_us: int
    notes: tuple[str, ...] = ()


class Turns:
    """One run's walk; the thread that makes it owns it.

    Args:
        site: the project.
        opened: graph and workers.
        run: the run, held by this process.
        on_progress: told of each node that begins or ends.
    """

    def __init__(self, site: Site, opened: Described, run: Run, on_progress: Callable[[Progress], None]) -> None:
        self._site = site
        self._graph = opened.graph
        self._pool = opened.pool
        self._project = opened.project
        self._run = run
        self._shape = opened.graph.shape()
        self._on_progress = on_progress
        self._judge = Judge(site, opened.graph, salt=run.id)
        self._positions = {node.id: position for position, node in enumerate(opened.graph.nodes)}
        self._frontier = Frontier(opened.graph)
        self._fresh = list(self._frontier.ready.values())
        self._values: dict[str, Tree] = {}
        self._attempts: dict[str, int] = {}
        self._rereads: dict[str, int] = {}
        self._running: dict[str, Begun] = {}
        self._later: dict[str, float] = {}
        self._handed: list[Begun] = []
        self._failed: list[Ended] = []
        self._told: list[Progress] = []
        self._renew_at = time.monotonic() + RENEW_SECONDS

    def walk(self) -> None:
        """Take turns until every node has an outcome.

        Raises:
            Invalid: a step failed for good; the steps that ran beside it were waited for.
            Interrupted: another process took the run over.
        """
        self._judge.read_files()
        ended: Sequence[Ended] = ()
        while True:
            self._site.db.write(lambda tx, ended=ended: self._turn(tx, ended))
            for begun in self._handed:
                self._pool.submit(self._job(begun))
            self._handed.clear()
            told, self._told = self._told, []
            for progress in told:
                self._on_progress(progress)
            if not self._running and (self._failed or not self._frontier.left):
                break
            ended = [self._ended(ending) for ending in self._pool.wait(self._patience())]
            self._renew()
        if self._failed:
            raise self._error(self._failed[0])

    def _patience(self) -> float:
        """Return how long the next turn may wait for something to end."""
        now = time.monotonic()
        return max(0.0, min([self._renew_at, *self._later.values()]) - now)

    def _renew(self) -> None:
        if time.monotonic() >= self._renew_at:
            lease = leases.take(self._site.clock.now_us(), self._run.fence)
            self._site.db.write(lambda tx: runs.renew(tx, self._run.id, lease))
            self._renew_at = time.monotonic() + RENEW_SECONDS

    def _turn(self, tx: Transaction, ended: Sequence[Ended]) -> None:
        """Do all that one turn changes, in one transaction: outcomes first, then what they make possible."""
        self._check_fence(tx)
        for item in ended:
            self._store(tx, item)
        if not self._failed:
            self._look_up(tx)

    def _check_fence(self, tx: Transaction) -> None:
        now = runs.get(tx, self._run.id)
        if now.fence != self._run.fence or now.state != runs.RUNNING:
            raise Interrupted(
                "run-lease-lost",
                "Another process has taken this run over.",
                where=self._run.subject,
                why=f"this one holds fence {self._run.fence}, the run is at {now.fence} and {now.state}",
                fix="ropewalk runs",
            )

    def _look_up(self, tx: Transaction) -> None:
        """Take what is kept, and begin what is not, as far as there are workers."""
        while self._fresh:
            node = self._fresh.pop(0)
            found = self._judge.look(tx, node, self._values)
            if isinstance(found, Hit):
                self._take(tx, node, found)
        now = time.monotonic()
        for node in list(self._frontier.ready.values()):
            if self._pool.free() <= len(self._handed):
                break
            if self._later.get(node.id, now) > now:
                continue
            # Looked at again: a step that ran meanwhile, here or in another run, may have answered for it.
            found = self._judge.look(tx, node, self._values)
            if isinstance(found, Hit):
                self._take(tx, node, found)
            elif found is not None:
                self._begin(tx, node, found)

    def _know(self, node: Node, value: Tree) -> None:
        self._values[node.id] = value
        self._fresh += self._frontier.meet(node)

    def _take(self, tx: Transaction, node: Node, hit: Hit) -> None:
        """Let an earlier outcome answer for a node: the run logs and shows what the step did then."""
        self._frontier.take(node)
        self._know(node, hit.value)
        now_us = self._site.clock.now_us()
        reason = ("nothing that it depends on has changed",)
        begun = Begun(node=node, keyed=hit.keyed, attempt=0, reason=reason, started_us=now_us)
        outcomes.keep_step(tx, self._record(begun, CACHED, ended_us=now_us))
        self._apply(tx, node, hit.outcome, hit.keyed)
        self._tell(node, CACHED, reason[0])

    def _begin(self, tx: Transaction, node: Node, key: Keyed) -> None:
        self._frontier.take(node)
        self._later.pop(node.id, None)
        attempt = self._attempts[node.id] = self._attempts.get(node.id, 0) + 1
        reason = self._judge.why(tx, node, key, self._run.id)
        begun = Begun(node=node, keyed=key, attempt=attempt, reason=reason, started_us=self._site.clock.now_us())
        self._running[node.id] = begun
        self._handed.append(begun)
        outcomes.keep_step(tx, self._record(begun, RUNNING))
        self._tell(node, RUNNING, reason[0] if attempt == 1 else f"attempt {attempt}")

    def _job(self, begun: Begun) -> Job:
        return Job(
            id=begun.node.id,
            message={
                "op": "run",
                "project": self._project,
                "run": self._run.id,
                "shape": self._shape,
                "node": begun.node.id,
                "inputs": dict(begun.keyed.inputs),
            },
            log=self._log(begun.node),
            timeout_seconds=begun.node.timeout_seconds,
        )

    def _log(self, node: Node) -> Path:
        return self._site.hidden / "logs" / self._run.id / f"{node.id}.log"

    def _ended(self, ending: Ending) -> Ended:
        """Return what an attempt came to; files that it declared and that changed meanwhile make it run again."""
        begun = self._running.pop(ending.job)
        now_us = self._site.clock.now_us()
        failure = self._failure(begun, ending)
        if failure is not None or not isinstance(ending, Answer):
            return Ended(begun=begun, outcome=None, value=None, failure=failure, ended_us=now_us)
        told = ending.message["ok"]
        blobs = self._site.blobs
        value, digest = outcomes.packed(blobs, told["tree"])
        assert digest == told["digest"], "the worker and we write the same tree the same way"
        outcome = Outcome(
            key=begun.keyed.key,
            step=begun.node.step,
            code=begun.node.code,
            inputs=canonical(begun.keyed.facts).decode(),
            value=value,
            digest=digest,
            entries=outcomes.packed(blobs, told["entries"])[0],
            frames=canonical(told["frames"]).decode(),
            run_id=self._run.id,
            node=begun.node.id,
            at_us=now_us,
        )
        notes = self._judge.undeclared(begun.node, told["read"])
        return Ended(begun=begun, outcome=outcome, value=told["tree"], failure=None, ended_us=now_us, notes=notes)

    def _failure(self, begun: Begun, ending: Ending) -> dict[str, Any] | None:
        node, log = begun.node, self._log(begun.node)
        if isinstance(ending, Lost):
            late = f"it took longer than its {node.timeout_seconds:g} s" if ending.why == "timeout" else ""
            died = f"its process ended with status {ending.status}" + (
                " (out of memory?)" if ending.status == -signal.SIGKILL else ""
            )
            facts: dict[str, Any] = {"type": "Timeout" if late else "Died", "message": late or died, "frames": []}
        elif "error" in ending.message:
            facts = dict(ending.message["error"])
        elif self._judge.key(node, self._values).key != begun.keyed.key:
            facts = {"type": "Reread", "message": "a file that it reads changed while it ran", "frames": []}
        else:
            return None
        return {**facts, "log": log.relative_to(self._site.root).as_posix(), "tail": failures.tail(log, facts)}

    def _store(self, tx: Transaction, ended: Ended) -> None:
        begun, node = ended.begun, ended.begun.node
        seconds = (ended.ended_us - begun.started_us) / 1e6
        if ended.outcome is None:
            self._store_failure(tx, ended, seconds)
            return
        stored = outcomes.keep(tx, ended.outcome)
        # Another run may have stored this key first: then its value is the one, for all that follows.
        same = stored.digest == ended.outcome.digest
        value = ended.value if same else outcomes.value_of(self._site.blobs, stored)
        self._know(node, value)
        begun = replace(begun, reason=begun.reason + ended.notes)
        outcomes.keep_step(tx, self._record(begun, DONE, ended_us=ended.ended_us))
        self._apply(tx, node, stored, begun.keyed)
        body = {"node": node.id, "step": node.step, "key": stored.key, "code": node.code, "value": stored.digest}
        self._site.record(tx, "step.done", self._run.subject, body)
        self._tell(node, DONE, "; ".join(ended.notes), seconds)

    def _store_failure(self, tx: Transaction, ended: Ended, seconds: float) -> None:
        """Write a failure down; the node waits for its next attempt, or the run fails."""
        node, failure = ended.begun.node, ended.failure
        assert failure is not None, "an attempt gives a value or fails"
        text = canonical(failure).decode()
        rereads = self._rereads.get(node.id, 0)
        if failure["type"] == "Reread" and rereads < READS_AGAIN_MAX:
            self._rereads[node.id] = rereads + 1
            wait = 0.0
        elif ended.begun.attempt <= node.retries:
            wait = min(node.backoff_seconds * 2 ** (ended.begun.attempt - 1), BACKOFF_SECONDS_MAX)
        else:
            outcomes.keep_step(tx, self._record(ended.begun, FAILED, ended_us=ended.ended_us, error=text))
            self._failed.append(ended)
            self._tell(node, FAILED, failures.headline(failure), seconds)
            return
        outcomes.keep_step(tx, self._record(ended.begun, WAITING, ended_us=ended.ended_us, error=text))
        self._frontier.give_back(node)
        self._later[node.id] = time.monotonic() + wait
        self._tell(node, "retrying", f"{failures.headline(failure)}; again in {wait:g} s", seconds)

    def _apply(self, tx: Transaction, node: Node, outcome: Outcome, key: Keyed) -> None:
        """Give the run what the step logged and which frames it made."""
        plain = outcomes.unpacked(self._site.blobs, outcome.entries)
        entries = [LogEntry.from_plain(values) for values in plain]
        if not keep.apply(tx, self._run.id, entries, node=node.id, at_us=self._site.clock.now_us()):
            return
        frames: list[dict[str, Any]] = json.loads(outcome.frames)
        if not frames:
            return
        from ropewalk.data import snapshot
        from ropewalk.data.frames import FrameRef

        parents = frames_of(list(key.inputs.values()))
        for position, facts in enumerate(frames):
            plain_schema: list[tuple[str, str]] = facts["schema"]
            facts["schema"] = tuple((column, kind) for column, kind in plain_schema)
            name = node.id if position == 0 else f"{node.id}[{position}]"
            ref = FrameRef(**facts)
            snapshot.record(tx, self._site, ref, name=name, run_id=self._run.id, node=node.id, parents=parents)

    def skip_rest(self, tx: Transaction) -> None:
        """Write down which nodes a failed run never came to."""
        now_us = self._site.clock.now_us()
        for node in self._graph.nodes:
            if node.id in self._values or self._attempts.get(node.id):
                continue
            empty = Keyed(key="", inputs={}, facts={})
            why = ("a step before it failed",)
            begun = Begun(node=node, keyed=empty, attempt=0, reason=why, started_us=now_us)
            outcomes.keep_step(tx, self._record(begun, SKIPPED, ended_us=now_us))

    def _tell(self, node: Node, state: str, message: str, seconds: float = 0.0) -> None:
        self._told.append(
            Progress(
                run_id=self._run.id,
                node=node.id,
                state=state,
                message=message,
                seconds=seconds,
                finished=len(self._values),
                total=len(self._graph.nodes),
            )
        )

    def _error(self, ended: Ended) -> Invalid:
        """Return a step's failure in four lines, with what it printed last as notes."""
        node, failure = ended.begun.node, ended.failure
        assert failure is not None, "only failures come here"
        record = failure.get("record", {})
        error = Invalid(
            "step-failed",
            f"The step {node.id} failed: {failures.headline(failure)}",
            where=failures.place(failure) or node.where,
            why=record.get("why") or failures.source(failure) or str(failure["message"]),
            fix=record.get("fix")
            or f"mend it, then run the same command again: finished steps are kept ({failure['log']})",
        )
        for note in (failures.lines(failure), failure["tail"]):
            if note:
                error.add_note(note)
        return error

    def _record(self, begun: Begun, state: str, *, ended_us: int | None = None, error: str = "") -> StepRecord:
        return StepRecord(
            run_id=self._run.id,
            node=begun.node.id,
            position=self._positions[begun.node.id],
            pipeline=self._graph.pipeline,
            step=begun.node.step,
            state=state,
            attempt=begun.attempt,
            key=begun.keyed.key,
            code=begun.node.code,
            inputs=canonical(begun.keyed.facts).decode(),
            reason=canonical(begun.reason).decode(),
            error=error,
            fence=self._run.fence,
            started_us=begun.started_us,
            ended_us=ended_us,
        )
