"""What the console shows of two to twenty runs beside each other: curves, strands, spots, values and code."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from ropewalk.console import curves, told
from ropewalk.console.cells import SYSTEM
from ropewalk.console.look import Wanted
from ropewalk.console.parallel import AXES_MAX, Strand, parallel
from ropewalk.console.patch import lines_of
from ropewalk.console.scatter import Spot, scatter
from ropewalk.console.walks import WATCHED
from ropewalk.console.words import at, number, span
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.house import House
from ropewalk.runs import diff
from ropewalk.runs import run as runs
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader

RUNS_MAX = 20
RUNS_MIN = 2
METRICS_LOOKED_AT = 500
FILES_SHOWN = 40
PACKAGES_SHOWN = 200
NAMES_SHOWN = 200
LETTERS_SHOWN = 2000


def chosen(rows: Reader, request: Request) -> list[Run]:
    """Return the runs that an address names, each once.

    Raises:
        NotFound: there is no such run.
        Invalid: there are fewer than two, or more than twenty.
    """
    ids = list(dict.fromkeys(request.query_params.getlist("run")))
    if not RUNS_MIN <= len(ids) <= RUNS_MAX:
        raise Invalid(
            "compare-count",
            f"{RUNS_MIN} to {RUNS_MAX} runs can be compared.",
            where="run",
            why=f"the address names {len(ids)}",
            fix="choose runs in the table and press Compare",
        )
    return [runs.find(rows, item) for item in ids]


def whole(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return everything that the comparison shows."""
    found = chosen(rows, request)
    wanted = Wanted.read(request.query_params)
    logged = [_logged(rows, run) for run in found]
    own = [("run", run.id) for run in found]
    values, same = _values(found, logged, only=request.query_params.get("differing") == "1")
    return {
        "runs": [_head(found, slot) for slot in range(len(found))],
        "look": wanted.shown,
        "look_words": urlencode([*own, *wanted.pairs]),
        "kept": own,
        "watched": any(run.state in WATCHED for run in found),
        **curves.compared(house, rows, found, wanted),
        "strands": _strands(found, logged),
        **_scattered(found, logged, request),
        "values": values,
        "same": same,
        "only_differing": request.query_params.get("differing") == "1",
        "all_rows": f"/compare?{urlencode(own)}",
        "differing_rows": f"/compare?{urlencode([*own, ('differing', '1')])}",
        "code": _code(house, found, request),
    }


def show_curves(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return the curves alone."""
    return curves.compared(house, rows, chosen(rows, request), Wanted.read(request.query_params))


def show_scatter(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return the scatter plot alone."""
    found = chosen(rows, request)
    return _scattered(found, [_logged(rows, run) for run in found], request)


def _head(found: Sequence[Run], slot: int) -> dict[str, Any]:
    run = found[slot]
    others = [("run", other.id) for other in found if other is not run]
    return {
        "id": run.id,
        "slot": slot,
        "name": run.name,
        "state": run.state,
        "without": f"/compare?{urlencode(others)}" if len(found) > RUNS_MIN else "",
    }


def _logged(rows: Reader, run: Run) -> dict[str, dict[str, Any]]:
    """Return a run's parameters, newest metrics and tags by name."""
    metrics = rows.rows("console.some_metrics", run=run.number, count=METRICS_LOOKED_AT)
    tags = told.named(rows, "runs.tags", run)
    arguments = {key: json.dumps(value) for key, value in run.arguments().items()}
    return {
        "params": {**arguments, **told.named(rows, "runs.params", run)},
        "metrics": {
            str(row["key"]): math.nan if row["is_nan"] else float(str(row["value"]))
            for row in metrics
            if not str(row["key"]).startswith(SYSTEM)
        },
        "tags": {key: value for key, value in tags.items() if not key.startswith("mlflow.")},
    }


def _names(logged: Sequence[dict[str, dict[str, Any]]], part: str) -> list[str]:
    return sorted({name for one in logged for name in one[part]})


def _differs(values: Sequence[object]) -> bool:
    return len({str(value) for value in values}) > 1


def _present(logged: Sequence[dict[str, dict[str, Any]]], part: str, name: str) -> list[object]:
    return [one[part][name] for one in logged if name in one[part]]


def _number(value: object) -> float | None:
    try:
        number_ = float(str(value))
    except ValueError:
        return None
    return number_ if math.isfinite(number_) else None


def _strands(found: Sequence[Run], logged: Sequence[dict[str, dict[str, Any]]]) -> str:
    """Return parallel coordinates of the parameters that differ, then of metrics."""
    params = [name for name in _names(logged, "params") if _differs(_present(logged, "params", name))]
    metrics = [name for name in _names(logged, "metrics") if _differs(_present(logged, "metrics", name))]
    most = max(AXES_MAX // 2, AXES_MAX - len(metrics))
    named = [("params", name, name) for name in params[:most]]
    # A metric that is called like a parameter is told from it.
    left = AXES_MAX - len(named)
    named += [("metrics", name, f"{name} (metric)" if name in params else name) for name in metrics[:left]]
    strands: list[Strand] = []
    for slot, (run, one) in enumerate(zip(found, logged, strict=True)):
        values: dict[str, float | str] = {}
        for part, name, word in named:
            if name in one[part]:
                value = _number(one[part][name])
                values[word] = str(one[part][name])[:LETTERS_SHOWN] if value is None else value
        strands.append(Strand(name=run.name, slot=slot, values=values))
    return parallel("Parameters and metrics of each run", [word for _, _, word in named], strands)


def _scattered(found: Sequence[Run], logged: Sequence[dict[str, dict[str, Any]]], request: Request) -> dict[str, Any]:
    """Return the scatter plot of any two numbers; a parameter and a metric of one name are told apart."""
    columns: dict[str, list[float | None]] = {}
    for part, word in (("params", "parameter"), ("metrics", "metric")):
        for name in _names(logged, part):
            values = [_number(one[part][name]) if name in one[part] else None for one in logged]
            if any(value is not None for value in values):
                columns[f"{word} {name}"] = values
    differ = {name: _differs([value for value in values if value is not None]) for name, values in columns.items()}
    numbers = sorted(columns, key=lambda name: not differ[name])[:NAMES_SHOWN]
    if len(numbers) <= 1 or not any(differ.values()):
        return {"numbers": [], "scattered": {"x": "", "y": "", "svg": ""}}
    metrics = [name for name in numbers if name.startswith("metric ")]
    x, y = request.query_params.get("x", ""), request.query_params.get("y", "")
    x = x if x in columns else numbers[0]
    y = y if y in columns else next((name for name in metrics if name != x), numbers[1])
    spots = [
        Spot(name=run.name, slot=slot, x=across, y=up)
        for slot, (run, across, up) in enumerate(zip(found, columns[x], columns[y], strict=True))
        if across is not None and up is not None
    ]
    return {"numbers": sorted(numbers), "scattered": {"x": x, "y": y, "svg": scatter(x, y, spots)}}


def _values(
    found: Sequence[Run], logged: Sequence[dict[str, dict[str, Any]]], *, only: bool
) -> tuple[list[dict[str, Any]], int]:
    """Return rows of values in groups, and how many of them are the same in all runs."""
    own = {
        "state": [run.state for run in found],
        "started": [at(run.started_us) for run in found],
        "took": [span(run.started_us, run.ended_us) for run in found],
        "user": [run.user_name for run in found],
        "source": [run.source_name for run in found],
        "commit": [f"{run.commit_sha[:10]}{'+' if run.dirty else ''}" for run in found],
    }
    groups = [("run", list(own.items()))]
    for part, word in (("params", "parameters"), ("metrics", "metrics"), ("tags", "tags")):
        groups.append((word, [(name, [_said(one[part].get(name)) for one in logged]) for name in _names(logged, part)]))
    # What differs stands first in each group.
    groups = [
        (word, sorted(rows, key=lambda row: not _differs(row[1])) if word != "run" else rows) for word, rows in groups
    ]
    same = sum(not _differs(cells) for _, rows in groups for _, cells in rows)
    shown = [
        {
            "name": word,
            "rows": [
                {"name": name, "cells": cells, "differs": _differs(cells)}
                for name, cells in rows
                if not only or _differs(cells)
            ],
        }
        for word, rows in groups
    ]
    return [group for group in shown if group["rows"]], same


def _said(value: object) -> str:
    return "" if value is None else number(value)[:LETTERS_SHOWN]


def _code(house: House, found: Sequence[Run], request: Request) -> dict[str, Any]:
    """Return what is different between the code and the environments of two of the runs."""
    by_id = {run.id: run for run in found}
    a = by_id.get(request.query_params.get("from", ""), found[0])
    b = by_id.get(request.query_params.get("to", ""), found[-1])
    page: dict[str, Any] = {"a": a.id, "b": b.id, "files": [], "environment": [], "told": ""}
    if not (a.code and b.code):
        commits = {a.commit_sha, b.commit_sha}
        said = "The clients kept no snapshot of the code."
        if len(commits) == 1 and a.commit_sha:
            said += f" Both runs name the commit {a.commit_sha[:10]}."
        return page | {"told": said}
    try:
        found_diff = diff.diff(house.site, a.id, b.id)
    except RopewalkError as error:
        return page | {"told": f"{error.what} {error.why}"}
    files = [
        {"path": item.path, "change": item.change, "patch": lines_of(item.text)}
        for item in found_diff.files[:FILES_SHOWN]
    ]
    more = len(found_diff.files) - len(files)
    said = "" if files else f"The code of {a.name} and {b.name} is the same, file by file."
    return page | {
        "files": files,
        "told": f"The first {FILES_SHOWN} files are shown; {more} more differ." if more > 0 else said,
        "environment": found_diff.environment[:PACKAGES_SHOWN],
    }
