"""Why a step ran, or did not, the last time."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.errors import NotFound
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.outcomes import CACHED, StepRecord
from ropewalk.pipelines.told import notes_of
from ropewalk.runs import run as runs
from ropewalk.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What the newest run that met a step did with it.

    Attributes:
        node: the node's id.
        run_id: the run.
        run_name: what people call it.
        pipeline: `FILE.py:FUNCTION`.
        state: the node's state in that run.
        ran: whether its code ran, and was not answered for by an earlier outcome.
        reasons: sentences that name each function, constant, library, input or file that had changed.
        notes: what the fingerprint cannot see of the step's code.
    """

    node: str
    run_id: str
    run_name: str
    pipeline: str
    state: str
    ran: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def why(site: Site, step: str) -> Why:
    """Return why a step ran, or did not, in the newest run that met it.

    Args:
        site: the project.
        step: a node's id such as `fit-2`, or a step's function name.

    Raises:
        NotFound: no run has met it.
    """
    with site.db.read() as reader:
        found = reader.get(StepRecord, "pipelines.newest_of_step", name=step, suffix=f":{step}")
        if found is None:
            raise NotFound(
                "step-not-found",
                f"No run has met a step {step[:80]!r}.",
                why="a step is named by its function, its second call in a pipeline by `-2`",
                fix="ropewalk plan",
            )
        run = runs.get(reader, found.run_id)
        notes = notes_of(outcomes.parts_of(reader, found.code))
    return Why(
        node=found.node,
        run_id=run.id,
        run_name=run.name,
        pipeline=found.pipeline,
        state=found.state,
        ran=found.state != CACHED,
        reasons=found.reasons(),
        notes=notes,
    )
