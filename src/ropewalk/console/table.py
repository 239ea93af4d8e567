"""What the console shows of all runs: experiments beside a table that is filtered, sorted and paged by the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from ropewalk.console import cells
from ropewalk.console.compile import Values, values_of
from ropewalk.console.query import ACTIVE, VIEWS, Asked, asked_of
from ropewalk.errors import Invalid, NotFound, RopewalkError
from ropewalk.runs import experiments, search
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader

ROWS_SHOWN = 50
EXPERIMENTS_SHOWN = 100
KEYS_SHOWN = 300
EXPERIMENTS_LOOKED_AT = 20
NOTE = "mlflow.note.content"
EXAMPLES = (
    "metrics.loss < 0.3",
    "params.model = 'forest'",
    "tags.team like '%vision%'",
    "attributes.status = 'FINISHED'",
    "attributes.run_name ilike 'night%'",
    "attributes.start_time > 1700000000000",
    "datasets.name in ('train', 'test')",
    "metrics.`f1 score` > 0.8",
)


def whole(rows: Reader, request: Request) -> dict[str, Any]:
    """Return everything that the page of runs shows."""
    asked = asked_of(request)
    known = listed(rows, asked)
    names = {int(item["id"]): str(item["name"]) for item in known}
    return {
        **table(rows, request),
        "experiments": known[:EXPERIMENTS_SHOWN],
        "more_experiments": len(known) > EXPERIMENTS_SHOWN,
        "chosen_experiments": [_name(rows, names, item) for item in asked.experiments],
        "everywhere": asked.but(experiments=(), show=(), sort="").address(),
        "named": asked.named,
        "total": _total(rows, known, asked),
        "views": [(word, asked.but(view=word).address()) for word in VIEWS],
        "unfiltered": asked.but(text="").address(),
        "usual_columns": asked.but(show=()).address(),
        "kept_but_filter": asked.but(text="").pairs(),
        "kept_but_columns": asked.but(show=()).pairs(),
        "kept_but_experiment": asked.but(named="").pairs(),
        "choices": choices(rows, asked, known),
        "address": asked.address(),
        "live": asked.address("/live/runs"),
        "experiment": _experiment(rows, asked),
        "filters": [(text, asked.but(text=text).address()) for text in EXAMPLES],
        "csv": asked.but().address("/runs.csv"),
        "csv_whole": f"{asked.but(show=()).address('/runs.csv')}{'&' if asked.but(show=()).pairs() else '?'}every=1",
    }


def _experiment(rows: Reader, asked: Asked) -> dict[str, Any] | None:
    """Return the one experiment that is looked at, with what can be said of it; None for none or several."""
    if len(asked.experiments) != 1:
        return None
    try:
        found = experiments.get(rows, asked.experiments[0])
    except (Invalid, NotFound):
        return None
    tags = experiments.tags_of(rows, found.id)
    return {
        "name": found.name,
        "home": f"/experiments/{found.id}",
        "id": found.id,
        "deleted": found.state != experiments.ACTIVE,
        "location": found.location,
        "note": tags.pop(NOTE, ""),
        "tags": list(tags.items()),
    }


def table(rows: Reader, request: Request) -> dict[str, Any]:
    """Return the table alone, as it is shown anew while somebody looks."""
    asked = asked_of(request)
    problem: RopewalkError | None = None
    found: tuple[Run, ...] = ()
    token = ""
    try:
        page = search.search(
            rows,
            asked.text,
            experiments=_ids(asked),
            orders=asked.order_by(),
            view=asked.view,
            count=ROWS_SHOWN,
            token=asked.after,
        )
        found, token = page.runs, page.token
    except (Invalid, NotFound) as error:
        problem = error
    many = len({run.experiment for run in found}) > 1
    ids = [*cells.FIRST, *asked.show] if asked.show else cells.usual(rows, found, many=many)
    values = values_of(rows, [run.number for run in found], [*ids, f"tags.{cells.PARENT}"])
    names = {number: _name(rows, {}, str(number)) for number in {run.experiment for run in found}}
    return {
        "asked": asked,
        "problem": problem,
        "columns": cells.columns(asked, ids),
        "rows": [_row(run, ids, values, names) for run in found],
        "next": asked.but(after=token).address() if token else "",
        "first": asked.but().address() if asked.after else "",
        "server": str(request.base_url).rstrip("/"),
        "watched": asked.view == ACTIVE and not problem,
    }


def _ids(asked: Asked) -> tuple[int, ...] | None:
    return tuple(experiments.parse_id(item) for item in asked.experiments) or None


def _row(run: Run, ids: Sequence[str], values: Values, names: dict[int, str]) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "child": run.parent or values.get(("tags", run.number, cells.PARENT), ""),
        "cells": cells.cells(run, ids, values, names),
    }


def listed(rows: Reader, asked: Asked) -> list[dict[str, Any]]:
    """Return the experiments that stand beside the table, one more than is shown."""
    pattern = asked.named.lower()
    for letter in "\\%_":
        pattern = pattern.replace(letter, f"\\{letter}")
    found = rows.rows(
        "console.experiments", state=asked.view, pattern=f"%{pattern}%", count=EXPERIMENTS_SHOWN + 1
    )  # fmt: skip
    return [
        {
            "id": row["id"],
            "name": row["name"],
            "runs": _count(row, asked),
            "count": f"{_count(row, asked):,}",
            "here": str(row["id"]) in asked.experiments,
            "address": asked.but(experiments=(str(row["id"]),), show=(), sort="").address(),
        }
        for row in found
    ]


def _count(row: Any, asked: Asked) -> int:  # noqa: ANN401 - a row of two counts
    return int(row["active"]) if asked.view == ACTIVE else int(row["whole"]) - int(row["active"])


def _total(rows: Reader, known: list[dict[str, Any]], asked: Asked) -> str:
    if asked.text:
        return ""
    if asked.experiments:
        count = sum(int(item["runs"]) for item in known if item["here"])
    else:
        active = int(str(rows.value("console.runs_active")))
        count = active if asked.view == ACTIVE else int(str(rows.value("console.runs_whole"))) - active
    return f"{count:,} {'run' if count == 1 else 'runs'}"


def _name(rows: Reader, names: dict[int, str], text: str) -> str:
    try:
        number = experiments.parse_id(text)
        return names.get(number) or experiments.get(rows, number).name
    except RopewalkError:
        return f"no experiment {text[:20]}"


def choices(rows: Reader, asked: Asked, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every column that the chosen experiments have, or the newest twenty where none is chosen."""
    looked_at = [int(item) for item in asked.experiments if item.isascii() and item.isdigit() and len(item) < 19]  # noqa: PLR2004 - digits of 64 bits
    looked_at = looked_at or [int(item["id"]) for item in known if item["runs"]][:EXPERIMENTS_LOOKED_AT]
    own = [f"attributes.{key}" for key in cells.ATTRIBUTES if f"attributes.{key}" not in cells.FIRST]
    groups = [{"legend": "of the run", "items": [_choice(asked, word, cells.ATTRIBUTES[word[11:]]) for word in own]}]
    for scope, legend in (("metrics", "metrics"), ("params", "parameters"), ("tags", "tags")):
        keys = {
            str(row["key"])
            for number in looked_at
            for row in rows.rows(f"console.{scope[:-1]}_keys", experiment=number, count=KEYS_SHOWN)
        }
        keys |= {word.partition(".")[2] for word in asked.show if word.startswith(f"{scope}.")}
        if keys:
            items = [_choice(asked, f"{scope}.{key}", key) for key in sorted(keys)[:KEYS_SHOWN]]
            groups.append({"legend": legend, "items": items})
    return groups


def _choice(asked: Asked, word: str, label: str) -> dict[str, Any]:
    return {"id": word, "label": label, "on": word in asked.show}
