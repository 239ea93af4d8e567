"""What the console shows of a sweep: how far it is, its trials with their runs, and what led to what."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request

from ropewalk.console.parallel import Strand, parallel
from ropewalk.console.words import number
from ropewalk.house import House
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.store.database import Reader
from ropewalk.sweeps import sweep as sweeps
from ropewalk.sweeps.sweep import Sweep, Trial

TRIALS_SHOWN = 100
STRANDS_MAX = 300
BEST, OTHER = 0, 1  # colours


def show(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return a sweep's trials alone."""
    return of_run(rows, runs.get(rows, request.path_params["run"]))


def of_run(rows: Reader, run: Run) -> dict[str, Any]:
    """Return what a run's page shows of its trials; nothing for a run that is no sweep."""
    found = sweeps.of_run(rows, run.id)
    if found is None:
        return {"sweep": None}
    best = sweeps.best(rows, found, STRANDS_MAX)
    trials = sweeps.page(rows, run.id, count=TRIALS_SHOWN)
    counts = sweeps.counts(rows, run.id)
    named = [f"{count:,} {state}" for state, count in counts.items() if count]
    return {
        "sweep": {
            "told": f"{found.method}, {found.trials:,} trials: {', '.join(named) or 'none has begun'}",
            "goal": found.goal,
            "best": _trial(best[0]) if best else None,
            "plot": _plot(found, best),
            "names": list(found.words()),
            "metric": found.metric,
            "trials": [_trial(one) for one in trials],
            "more": max(0, sum(counts.values()) - len(trials)),
        }
    }


def _trial(one: Trial) -> dict[str, Any]:
    return {
        "number": one.number,
        "args": one.arguments(),
        "state": one.state,
        "run": one.run,
        "value": "" if one.value is None else number(one.value),
        "error": one.error,
    }


def _plot(found: Sweep, best: list[Trial]) -> str:
    """Draw the trials that have a value, the best one last and so above the others."""
    metric = f"{found.metric} (metric)" if found.metric in found.words() else found.metric
    strands: list[Strand] = []
    for one in reversed(best):
        values: dict[str, float | str] = {name: _value(text) for name, text in one.arguments().items()}
        values[metric] = one.value if one.value is not None else math.nan
        slot = BEST if one is best[0] else OTHER
        strands.append(Strand(name=f"trial {one.number}", slot=slot, values=values))
    differing = [name for name in found.words() if len({str(one.values.get(name)) for one in strands}) > 1]
    return parallel("Arguments and goal of each trial", [*differing, metric], strands)


def _value(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text
