"""What the console shows of pipelines over time: their runs, what each ran anew, and what the cache saved."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from ropewalk.console import savings
from ropewalk.console.savings import Saved
from ropewalk.console.scales import rounds, short_span
from ropewalk.console.words import at, span
from ropewalk.errors import NotFound
from ropewalk.house import House
from ropewalk.schedules import schedule as schedules
from ropewalk.store.database import Reader

PIPELINES_SHOWN = 100
RUNS_SHOWN = 40
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 900, 200, 56, 22, 12
SECOND_US = 1e6


def list_pipelines(_house: House, rows: Reader, _request: Request) -> dict[str, Any]:
    """Gather the page of all pipelines that have run."""
    found: list[dict[str, Any]] = []
    for row in rows.rows("pipelines.pipelines", count=PIPELINES_SHOWN):
        name = str(row["pipeline"])
        runs = _runs(rows, name, 1)
        if runs:
            found.append({"name": name, **runs[0]})
    found.sort(key=lambda one: one["started_us"], reverse=True)
    return {"pipelines": found}


def show_pipeline(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one pipeline's page.

    Raises:
        NotFound: no run of it is there.
    """
    name = request.path_params["pipeline"]
    runs = _runs(rows, name, RUNS_SHOWN)
    if not runs:
        raise NotFound(
            "pipeline-not-found",
            "No run of this pipeline is there.",
            where=name[:200],
            why="a pipeline is named FILE.py:FUNCTION",
            fix=f"ropewalk run {name[:200]}",
        )
    saved, worked = sum(one["saved_us"] for one in runs), sum(one["worked_us"] for one in runs)
    hits, steps = sum(one["hits"] for one in runs), sum(one["hits"] + one["ran"] for one in runs)
    return {
        "name": name,
        "runs": runs,
        "figures": (
            ("runs", f"{len(runs):,}" + ("+" if len(runs) == RUNS_SHOWN else "")),
            ("steps from the cache", f"{hits:,} of {steps:,}"),
            ("saved", span(1, 1 + saved) if saved else "none"),
            ("worked", span(1, 1 + worked) if worked else "none"),
        ),
        "plot": _plot(runs),
        "schedules": [one.name for one in schedules.every(rows, removed=False) if one.pipeline == name],
    }


def _runs(rows: Reader, name: str, count: int) -> list[dict[str, Any]]:
    """Return a pipeline's newest runs, newest first, each with what the cache saved it."""
    found: list[dict[str, Any]] = []
    for row in rows.rows("pipelines.runs_of_pipeline", pipeline=name, count=count):
        saved: Saved = savings.of_run(rows, str(row["id"]))
        started_us = int(str(row["started_us"]))
        ended_us = None if row["ended_us"] is None else int(str(row["ended_us"]))
        found.append(
            {
                "id": str(row["id"]),
                "run": str(row["name"]),
                "state": str(row["state"]),
                "started_us": started_us,
                "began": at(started_us),
                "took": span(started_us, ended_us),
                "hits": saved.hits,
                "ran": saved.ran,
                "saved_us": saved.saved_us,
                "worked_us": saved.worked_us,
                "unknown": saved.unknown,
                "saved": span(1, 1 + saved.saved_us) if saved.saved_us else "",
                "worked": span(1, 1 + saved.worked_us) if saved.worked_us else "",
            }
        )
    return found


def _plot(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return a bar for each run, oldest first: work that was done below, work that the cache saved above."""
    most = max(one["saved_us"] + one["worked_us"] for one in runs)
    if not most:
        return None
    high, wide = HEIGHT - TOP - BOTTOM, (WIDTH - LEFT) / max(8, len(runs))
    bars: list[dict[str, Any]] = []
    for place, one in enumerate(reversed(runs)):
        worked, saved = one["worked_us"] / most * high, one["saved_us"] / most * high
        told = f"{one['run']}: {one['ran']:,} steps ran, {one['worked'] or 'no time'}; {one['hits']:,} from the cache"
        bars.append(
            {
                "x": LEFT + place * wide + 2,
                "wide": max(2.0, wide - 4),
                "run": one["id"],
                "worked": (HEIGHT - BOTTOM - worked, worked),
                "saved": (HEIGHT - BOTTOM - worked - saved, saved),
                "told": told + (f", {one['saved']} saved" if one["saved"] else ""),
            }
        )
    ticks = [
        (HEIGHT - BOTTOM - value * SECOND_US / most * high, short_span(value)) for value in rounds(0, most / SECOND_US)
    ]
    return {"bars": bars, "ticks": ticks, "width": WIDTH, "height": HEIGHT, "left": LEFT, "floor": HEIGHT - BOTTOM}
