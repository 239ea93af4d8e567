"""Runs that MLflow's client began inside of a script: they lie below the script's own, which shows what they logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ropewalk.runs import keep, search
from ropewalk.runs.log import LogEntry
from ropewalk.runs.run import Run
from ropewalk.runs.states import PARENT_TAG
from ropewalk.store.database import Reader

RUNS_MAX = 50


def tracked_by(reader: Reader, run: Run) -> list[Run]:
    """Return the runs that clients began below a script's run, oldest first, 50 at most."""
    found = search.search(reader, f"tags.`{PARENT_TAG}` = '{run.id}'", count=RUNS_MAX)
    return sorted(found.runs, key=lambda one: one.id)


def carried(reader: Reader, tracked: Sequence[Run], entries: Sequence[LogEntry]) -> Iterator[LogEntry]:
    """Yield parameters and last metrics of the one run below a script's, so that the script's own shows them.

    Of several, none: their names would say different things. What the script's run has under a name stays.
    """
    if len(tracked) != 1:
        return
    own = {(entry.kind, entry.key) for entry in entries}
    for fact in keep.facts(reader, tracked[0].id, "param"):
        if ("param", fact.key) not in own:
            yield LogEntry(kind="param", key=fact.key, value=fact.value, at_us=tracked[0].started_us)
    for point in keep.metrics(reader, tracked[0].id):
        if ("metric", point.key) not in own:
            yield LogEntry(kind="metric", key=point.key, value=point.value, step=point.step, at_us=point.at_us)
