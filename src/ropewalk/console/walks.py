"""What the console shows of a pipeline's run: the graph, the time line, the cache, and a table of all its steps."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from ropewalk.api.routes import whole_number
from ropewalk.console import gantt, graphs, savings, steps
from ropewalk.console.grouped import picture
from ropewalk.console.steps import HIT, STATES, Step, Walked
from ropewalk.errors import NotFound
from ropewalk.house import House
from ropewalk.runs import run as runs
from ropewalk.runs.states import INTERRUPTED, RUNNING, SCHEDULED, Run
from ropewalk.store.database import Reader

STEPS_SHOWN = 50
MANY_SHOWN = 20
PAGE_STEPS = 200
LETTERS_MAX = 200
# How often an interrupted run is asked for: the same command may take it up again, today or never.
RESTS_MS = 15_000
WATCHED = frozenset({RUNNING, SCHEDULED, INTERRUPTED})
# Shapes of states in a square of 16, so that nobody has to tell them by colour.
SHAPES = {
    "ran": "M2 8.5l4 4 8-9", "hit": "M8 2l6 6-6 6-6-6z", "running": "M4 2l10 6-10 6z",
    "retrying": "M13 5A6 6 0 1 0 14 9M14 1v5H9", "queued": "M3 8h.01M8 8h.01M13 8h.01",
    "waiting": "M8 2a6 6 0 1 0 .01 0z", "failed": "M3 3l10 10M13 3L3 13", "skipped": "M3 8h10",
    "interrupted": "M5 3v10M11 3v10", "not reached": "M8 6a2 2 0 1 0 .01 0z",
}  # fmt: skip


def of_run(house: House, rows: Reader, run: Run) -> dict[str, Any]:
    """Return what a run's page shows of its steps; `walk` is None for a run without any."""
    walked = steps.of_run(house, rows, run)
    if walked is None:
        return {"walk": None}
    listed = [_line(walked, step, number) for number, step in enumerate(_worth(walked))]
    return {
        "walk": {
            "run": run.id,
            "pipeline": run.pipeline,
            "watched": run.state in WATCHED,
            "rests": RESTS_MS if run.state == INTERRUPTED else 0,
            "counts": [(state, steps.SIGNS[state], state.replace(" ", "-"), count) for state, count in walked.counts()],
            "count": len(walked.steps),
            "saved": savings.of_run(rows, run.id).told,
            "graph": graphs.of_walk(walked),
            "gantt": gantt.of_walk(walked),
            "steps": listed,
            "more": len(walked.steps) - len(listed),
            "shapes": SHAPES,
        }
    }


def _worth(walked: Walked) -> list[Step]:
    """Return the steps that are listed on the run's page: of many, a few, those first that somebody should look at."""
    if len(walked.steps) <= STEPS_SHOWN:
        return list(walked.steps)
    return sorted(walked.steps, key=lambda step: STATES.index(step.state))[:MANY_SHOWN]


def show(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return a run's graph, time line and steps alone."""
    return of_run(house, rows, runs.get(rows, request.path_params["run"]))


def list_steps(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of all steps of a run shows: those of one box of the graph, of one state, or of a name.

    Raises:
        NotFound: there is no such run, or it has no steps.
        Invalid: a number in the address is none.
    """
    run = runs.find(rows, request.path_params["run"])
    walked = require(house, rows, run)
    query = dict(request.query_params)
    state, wanted = query.get("state", ""), query.get("find", "").strip()[:LETTERS_MAX]
    found, title = list(walked.steps), ""
    if query.get("box", ""):
        boxes = picture(walked.calls()).boxes
        number = whole_number(query, "box", 0, 1 << 30)
        chosen = boxes[number] if number < len(boxes) else None
        title = chosen.title if chosen else "no such group"
        inside = set(chosen.steps) if chosen else set[str]()
        found = [step for step in found if step.node in inside]
    if state in STATES:
        found = [step for step in found if step.state == state]
    if wanted:
        found = [step for step in found if wanted.lower() in step.node.lower()]
    first = whole_number(query, "from", 0, 1 << 30)
    shown = found[first : first + PAGE_STEPS]
    return {
        "run": {"id": run.id, "name": run.name},
        "title": title,
        "asked": {"state": state, "find": wanted, "box": query.get("box", "")},
        "states": walked.counts(),
        "steps": [_line(walked, step, first + number) for number, step in enumerate(shown)],
        "count": len(found),
        "first": first,
        "next": first + PAGE_STEPS if len(found) > first + PAGE_STEPS else 0,
        "earlier": max(0, first - PAGE_STEPS) if first else -1,
    }


def require(house: House, rows: Reader, run: Run) -> Walked:
    """Return a run's steps.

    Raises:
        NotFound: it has none.
    """
    walked = steps.of_run(house, rows, run)
    if walked is None:
        raise NotFound(
            "step-not-found",
            f"The run {run.name} has no steps.",
            where=run.subject,
            why="scripts and runs of other clients have none; a pipeline's run has",
            fix="ropewalk run pipeline.py:train",
        )
    return walked


def _line(walked: Walked, step: Step, number: int) -> dict[str, Any]:
    record = step.record
    reasons = record.reasons() if record else ()
    return {
        "number": number,
        "node": step.node,
        "state": step.state,
        "sign": step.sign,
        "css": step.css,
        "items": f"{step.items[0]:,} of {step.items[1]:,}" if step.items else "",
        "attempt": record.attempt if record and step.state not in (HIT, steps.SKIPPED) else "",
        "took": step.took(walked.now_us),
        "why": reasons[0] if reasons else "",
        "more_reasons": max(0, len(reasons) - 1),
        "address": step.address(walked.run.id),
        "log": step.address(walked.run.id, "logs"),
    }
