"""Runs as MLflow's clients see them: one value for each name, and its words for states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from ropewalk.runs.compile import rows_of
from ropewalk.runs.points import Point, value_of
from ropewalk.runs.search import by_run
from ropewalk.runs.states import INTERRUPTED, STATUS_OF, Run
from ropewalk.store.database import Reader, Row

WHY_TAG = "ropewalk.interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A run with everything that it logged.

    Attributes:
        run: the run.
        status: MLflow's word for its state.
        metrics: newest points by name. Where several steps logged a name, it stands for the newest of theirs, and
            `NAME [STEP]` for that of each.
        params: parameters by name, likewise; the name stands for what the first step said.
        tags: tags by name, likewise.
    """

    run: Run
    status: str
    metrics: tuple[Point, ...]
    params: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]


def views(reader: Reader, runs: Sequence[Run]) -> list[View]:
    """Return runs with what they logged, in few statements however many they are."""
    numbers = [run.number for run in runs]
    logged = {what: by_run(rows_of(reader, what, numbers)) for what in ("latest", "run_params", "run_tags")}
    return [
        View(
            run=run,
            status=status_of(run.state),
            metrics=tuple(
                (name, value_of(row), cast("int", row["at_ms"]), cast("int", row["step"]))
                for name, row in _names(logged["latest"].get(run.number, []))
            ),
            params=_texts(logged["run_params"].get(run.number, [])),
            tags=_tags(run, _texts(logged["run_tags"].get(run.number, []))),
        )
        for run in runs
    ]


def status_of(state: str) -> str:
    """Return MLflow's word for a state: what was interrupted has failed."""
    return STATUS_OF.get(state, "FAILED")


def _texts(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(row["value"])) for name, row in _names(rows))


def _names(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Yield the run's own rows by name, and those of steps where several used the name."""
    steps = Counter(row["key"] for row in rows if row["node"])
    for row in rows:
        if not row["node"]:
            yield str(row["key"]), row
        elif steps[row["key"]] > 1:
            yield f"{row['key']} [{row['node']}]", row


def _tags(run: Run, logged: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the tags that were set, and where MLflow has no word for the state, one that says it."""
    if run.state != INTERRUPTED:
        return logged
    return tuple((dict(logged) | {WHY_TAG: run.error or "it was interrupted"}).items())
