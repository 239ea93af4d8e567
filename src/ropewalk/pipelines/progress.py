"""What a run tells while it runs, and what it comes to."""

from __future__ import annotations

from ropewalk.pipelines.outcomes import StepRecord
from ropewalk.records import frozen
from ropewalk.runs.run import Run


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
        steps: what it did with each node.
        resumed: whether an interrupted run was taken up again.
    """

    run: Run
    steps: tuple[StepRecord, ...]
    resumed: bool

    def count(self, state: str) -> int:
        """Return how many nodes ended in a state."""
        return sum(step.state == state for step in self.steps)
