"""The curves of runs: each metric's history, thinned by the store, drawn alone or one run over the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from ropewalk.console.cells import SYSTEM
from ropewalk.console.look import Wanted
from ropewalk.console.plots import Curve, plot
from ropewalk.console.thinned import marks
from ropewalk.console.words import at, number
from ropewalk.errors import NotFound
from ropewalk.house import House
from ropewalk.runs import run as runs
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader, Row

PLOTS_SHOWN = 24
COMPARED_SHOWN = 12
GROUPED_FROM = 12
MARKS = 160
MARKS_WIDE = 600
POINTS_SHOWN = 50


def address_of(run_id: str, key: str, home: str = "/runs") -> str:
    """Return the address of a metric's page."""
    return f"{home}/{run_id}/metric/{quote(key)}"


def pattern(only: str) -> str:
    """Return the pattern of keys that contain a word, in small letters."""
    escaped = only.lower()
    for letter in "\\%_":
        escaped = escaped.replace(letter, f"\\{letter}")
    return f"%{escaped}%"


def show(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return a run's curves alone, as they are shown anew while it runs."""
    return of_run(house, rows, runs.get(rows, request.path_params["run"]), Wanted.read(request.query_params))


def of_run(house: House, rows: Reader, run: Run, wanted: Wanted) -> dict[str, Any]:
    """Return a run's curves in groups: by the folder in a metric's name, the machine's own last and folded."""
    values = {"run": run.number, "pattern": pattern(wanted.only)}
    own = rows.rows("console.metrics", **values, count=PLOTS_SHOWN * 4)
    system = rows.rows("console.system_metrics", **values, count=PLOTS_SHOWN * 2)
    drawn = [row for row in own if int(str(row["points"])) > 1]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in drawn[:PLOTS_SHOWN]:
        # A few plots stand together; many are found by the folder in their name.
        folder = str(row["key"]).rpartition("/")[0] if len(drawn) > GROUPED_FROM else ""
        groups.setdefault(folder, []).append(_one(house, rows, run, row, wanted))
    listed = [{"name": name, "plots": plots, "folded": False} for name, plots in sorted(groups.items())]
    if system:
        plots = [_one(house, rows, run, row, wanted) for row in system[:PLOTS_SHOWN]]
        listed.append({"name": "The machine meanwhile", "plots": plots, "folded": True})
    whole = int(str(rows.value("console.metrics_like", **values)))
    return {
        "groups": listed,
        "more_curves": max(0, len(drawn) - PLOTS_SHOWN, whole - len(own) - len(system)),
        "no_curves": _none(wanted, whole),
    }


def _none(wanted: Wanted, whole: int) -> str:
    if wanted.only:
        return "No metric of this name has more than one point."
    return (
        "Each metric has one point; the table below has them all."
        if whole
        else "No metric yet. log_metric(name, value, step=n) draws one."
    )


def _one(house: House, rows: Reader, run: Run, row: Row, wanted: Wanted) -> dict[str, Any]:
    key = str(row["key"])
    title = key.removeprefix(SYSTEM)
    line = Curve(name=key, slot=0, marks=marks(house.site.db, rows, run, key, MARKS), start_us=run.started_us)
    value = math.nan if row["is_nan"] else float(str(row["value"]))
    return {
        "title": title,
        "address": address_of(run.id, key),
        "last": number(value),
        "svg": plot(f"{key} of {run.name}", [line], wanted.look),
        "told": "Nothing of it can be drawn so: NaN and infinities have no place.",
    }


def of_metric(house: House, rows: Reader, run: Run, key: str, wanted: Wanted) -> dict[str, Any]:
    """Return one metric of a run, drawn wide, with its figures and newest points.

    Raises:
        NotFound: the run has no such metric.
    """
    figures = rows.row("console.figures", run=run.number, key=key)
    if figures is None or not figures["points"]:
        raise NotFound(
            "metric-not-found", "The run has no such metric.", where=key[:200], fix=f"ropewalk runs {run.id}"
        )
    points = rows.rows("console.newest_points", run=run.number, key=key, count=POINTS_SHOWN)
    line = Curve(name=key, slot=0, marks=marks(house.site.db, rows, run, key, MARKS_WIDE), start_us=run.started_us)
    said = (
        ("points", f"{int(str(figures['points'])):,}"),
        ("last", number(_value(points[0]))),
        ("smallest", "" if figures["low"] is None else number(float(str(figures["low"])))),
        ("largest", "" if figures["high"] is None else number(float(str(figures["high"])))),
        ("steps", f"{int(str(figures['first_step'])):,} to {int(str(figures['last_step'])):,}"),
    )
    return {
        "svg": plot(f"{key} of {run.name}", [line], wanted.look, wide=True),
        "figures": [(word, value) for word, value in said if value],
        "points": [
            {"step": row["step"], "at": at(int(str(row["at_ms"])) * 1000), "value": repr(_value(row))} for row in points
        ],
    }


def _value(row: Row) -> float:
    return math.nan if row["is_nan"] else float(str(row["value"]))


def show_metric(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return one metric's curve and figures alone."""
    run = runs.get(rows, request.path_params["run"])
    return of_metric(house, rows, run, request.path_params["key"], Wanted.read(request.query_params))


def compared(house: House, rows: Reader, found: Sequence[Run], wanted: Wanted) -> dict[str, Any]:
    """Return the curves of several runs laid over each other, a plot for each metric that has one."""
    keys: dict[str, None] = {}
    for run in found:
        values = {"run": run.number, "pattern": pattern(wanted.only), "count": PLOTS_SHOWN * 4}
        keys |= dict.fromkeys(
            str(row["key"]) for row in rows.rows("console.metrics", **values) if int(str(row["points"])) > 1
        )
    shown = sorted(keys)[:COMPARED_SHOWN]
    plots: list[dict[str, Any]] = []
    for key in shown:
        lines = [
            Curve(
                name=f"{slot + 1} {run.name}",
                slot=slot,
                marks=marks(house.site.db, rows, run, key, MARKS),
                start_us=run.started_us,
            )
            for slot, run in enumerate(found)
        ]
        plots.append(
            {
                "title": key,
                "address": "#values",
                "last": "",
                "svg": plot(key, [line for line in lines if line.marks], wanted.look),
                "told": "Nothing of it can be drawn so: NaN and infinities have no place.",
            }
        )
    none = "No metric of this name has a curve." if wanted.only else "No metric of these runs has more than one point."
    return {
        "groups": [{"name": "", "plots": plots, "folded": False}] if plots else [],
        "more_curves": len(keys) - len(shown),
        "no_curves": none,
    }
