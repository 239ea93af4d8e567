"""What a run tells while it runs, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.pipelines import outcomes
from ropewalk.pipelines.outcomes import StepRecord
from ropewalk.records import frozen
from ropewalk.runs.run import Run
from ropewalk.store.database import Database


@frozen
class Progress:
    """Something happened to a node.

    Attributes:
        run_id: the run.
        node: the node's id.
        state: `running`, `done`, `cached`, `retrying` or `failed`.
        message: why it runs, or what went wrong; empty for nothing to say.
        seconds: how long it took, 0 while it has not ended.
        finished: how many nodes are done or cached now.
        total: how many nodes there are.
    """

    run_id: str
    node: str
    state: str
    message: str
    seconds: float
    finished: int
    total: int


@frozen
class RunResult:
    """A run that has finished.

    Attributes:
        run: as it is now.
        counts: how many nodes ended in each state.
        resumed: whether an interrupted run was taken up again.
        db: where its steps are read, for as long as the project is open: a run may have a hundred thousand.
    """

    run: Run
    counts: Mapping[str, int]
    resumed: bool
    db: Database

    @property
    def total(self) -> int:
        """How many nodes there are."""
        return sum(self.counts.values())

    @property
    def steps(self) -> tuple[StepRecord, ...]:
        """What it did with each node, in the order they were recorded."""
        with self.db.read() as reader:
            return outcomes.steps_of(reader, self.run.id, running=False)

    def states(self) -> list[tuple[str, str]]:
        """Return each node with its state, in the order they were recorded."""
        with self.db.read() as reader:
            return [(node, state) for node, state, _ in outcomes.states_of(reader, self.run.id)]

    def count(self, state: str) -> int:
        """Return how many nodes ended in a state."""
        return self.counts.get(state, 0)
