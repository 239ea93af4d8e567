"""Attempts at nodes: what one began with, what it came to, and how that is told and stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.compute.pool import Ending, Lost, ended_how
from ropewalk.errors import Invalid
from ropewalk.pipelines import failures
from ropewalk.pipelines.graph import Graph, Node, Tree
from ropewalk.pipelines.keys import Keyed
from ropewalk.pipelines.outcomes import Outcome, StepRecord
from ropewalk.records import frozen
from ropewalk.refs import canonical
from ropewalk.runs.run import Run

if TYPE_CHECKING:
    import random

BACKOFF_SECONDS_MAX = 60.0


@frozen
class Begun:
    """An attempt at a node.

    Attributes:
        node: what runs.
        keyed: its key and inputs.
        attempt: from 1.
        reason: why it runs.
        started_us: microseconds since the epoch.
        places: the items of a map that it runs, by their places; empty for an ordinary call.
    """

    node: Node
    keyed: Keyed
    attempt: int
    reason: tuple[str, ...]
    started_us: int
    places: tuple[int, ...] = ()

    @property
    def job(self) -> str:
        """How the pool calls it."""
        return f"{self.node.id}#{self.places[0]}" if self.places else self.node.id


@frozen
class Ended:
    """An attempt that ended, with what is to be stored of it; everything large is among the blobs already.

    Attributes:
        begun: the attempt.
        outcome: what it gave, None for a failure and for a part of a map.
        value: the outcome's tree, or the list of trees of a map's items that ran.
        failure: what went wrong, None for nothing.
        ended_us: microseconds since the epoch.
        notes: what people should know of how it ran.
        told: what the worker told of a part of a map.
        log: what it printed, as it is stored, and its bytes; None for nothing.
    """

    begun: Begun
    outcome: Outcome | None
    value: Tree
    failure: dict[str, Any] | None
    ended_us: int
    notes: tuple[str, ...] = ()
    told: dict[str, Any] | None = None
    log: tuple[str, int] | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_us - self.begun.started_us) / 1e6


class Records:
    """Makes the rows of one run.

    Args:
        graph: what it walks.
        run: the run.
        root: the project's folder.
        logs: the folder with what its steps print.
    """

    def __init__(self, graph: Graph, run: Run, root: Path, logs: Path) -> None:
        self._graph = graph
        self._run = run
        self._root = root
        self._logs = logs
        self._positions = {node.id: position for position, node in enumerate(graph.nodes)}

    def position(self, node: Node) -> int:
        """Return a node's place in the order of recording."""
        return self._positions[node.id]

    def log(self, node: Node) -> Path:
        """Return the file that a node prints into."""
        return self._logs / f"{node.id}.log"

    def step(self, begun: Begun, state: str, *, ended_us: int | None = None, error: str = "") -> StepRecord:
        """Return the row of a node."""
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

    def failure(self, begun: Begun, ending: Ending, *, reread: bool) -> dict[str, Any] | None:
        """Return what went wrong, or None.

        Args:
            begun: the attempt.
            ending: how the pool says it ended.
            reread: whether a file that it declares changed meanwhile.
        """
        node, log = begun.node, self.log(begun.node)
        if isinstance(ending, Lost):
            late = f"it took longer than its {node.timeout_seconds:g} s" if ending.why == "timeout" else ""
            died = f"its process {ended_how(ending.status)}"
            facts: dict[str, Any] = {"type": "Timeout" if late else "Died", "message": late or died, "frames": []}
        elif "error" in ending.message:
            facts = dict(ending.message["error"])
        elif ending.message["ok"].get("failed"):
            facts = dict(ending.message["ok"]["failed"])
        elif reread:
            facts = {"type": "Reread", "message": "a file that it reads changed while it ran", "frames": []}
        else:
            return None
        return {**facts, "log": log.relative_to(self._root).as_posix(), "tail": failures.tail(log, facts)}


def pause_before(node: Node, attempt: int, chance: random.Random) -> float:
    """Return how many seconds a node waits for its next attempt; none where nobody knows which one has failed."""
    wait = min(node.backoff_seconds * 2 ** (attempt - 1), BACKOFF_SECONDS_MAX) if attempt else 0.0
    return wait * (1 + chance.random() / 2)


def chance_of_its_own() -> random.Random:
    """Return chance for runs that are given none."""
    import random  # few runs fail

    return random.Random()  # noqa: S311 - no secret hangs on it


def error_of(ended: Ended) -> Invalid:
    """Return a step's failure in four lines, with what it printed last as notes."""
    node, failure = ended.begun.node, ended.failure
    assert failure is not None, "only failures come here"
    record = failure.get("record", {})
    said = str(failure["tail"]).splitlines()[-1:] if record.get("code") == "command-failed" else []
    error = Invalid(
        "step-failed",
        f"The step {node.id} failed: {failures.headline(failure)}",
        where=failures.place(failure) or record.get("where") or node.where,
        why="".join(said) or record.get("why") or failures.source(failure) or str(failure["message"]),
        fix=record.get("fix")
        or f"mend it, then run the same command again: finished steps are kept ({failure['log']})",
    )
    for note in (failures.lines(failure), failure["tail"]):
        if note:
            error.add_note(note)
    return error
