"""What the console shows of runs: the table, one run, its steps, metrics, parameters and files."""

from __future__ import annotations

from typing import Any

from ropewalk.console.words import at, number, span
from ropewalk.house import House
from ropewalk.pipelines import outcomes
from ropewalk.refs import short
from ropewalk.runs import run as runs
from ropewalk.runs import search
from ropewalk.runs.artifacts import artifacts, run_models
from ropewalk.store.database import Reader

COLUMNS_MOST = 4


def table(rows: Reader, *, count: int, after: str = "") -> dict[str, Any]:
    """Return a page of runs with the first metrics that they share."""
    page = search.search(rows, count=count, token=after)
    found = [search.summarize(rows, run) for run in page.runs]
    names = list(dict.fromkeys(point.key for one in found for point in one.metrics))[:COLUMNS_MOST]
    return {"runs": [_row(one) for one in found], "metric_names": names, "next": page.token}


def _row(found: search.Summary) -> dict[str, Any]:
    run = found.run
    return {
        "id": run.id,
        "state": run.state,
        "what": f"{run.name}: {run.pipeline}",
        "commit": run.commit_sha,
        "dirty": run.dirty,
        "branch": run.branch,
        "author": run.author,
        "error": run.error,
        "took": span(run.started_us, run.ended_us),
        "started": at(run.started_us),
        "metrics": {point.key: number(point.value) for point in found.metrics},
    }


def one(house: House, rows: Reader, text: str) -> dict[str, Any]:
    """Return everything that a run's page shows.

    Raises:
        NotFound: there is no such run.
    """
    run = runs.find(rows, text)
    found = search.summarize(rows, run)
    files = [(item.path, item.digest) for item in artifacts(rows, run.id)]
    files += [
        (f"{model.name}/{part}", digest)
        for model in run_models(rows, house.site.blobs, run.id)
        for part, digest in model.parts
    ]
    return {
        "run": _row(found),
        "metrics": [(point.key, number(point.value)) for point in found.metrics],
        "params": [*run.arguments().items(), *found.params.items()],
        "steps": [
            {
                "node": item.node,
                "state": item.state,
                "cached": item.state == outcomes.CACHED,
                "attempt": item.attempt,
                "took": span(item.started_us, item.ended_us),
                "outcome": short(item.key) if item.key else "",
            }
            for item in outcomes.steps_of(rows, run.id, running=run.state == runs.RUNNING)
        ],
        "artifacts": files,
    }
