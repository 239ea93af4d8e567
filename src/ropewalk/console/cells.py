"""The values that the table of runs shows: columns with how they sort, and the cells of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.console.compile import Values
from ropewalk.console.query import Asked
from ropewalk.console.words import at, span
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader

USUAL_KEYS = 5
KEYS_LOOKED_AT = 40
LETTERS_MAX = 200
SYSTEM = "system/"
PARENT = "mlflow.parentRunId"
# Attribute columns: what the table calls them, and how MLflow's grammar sorts by them.
ATTRIBUTES = {
    "run_name": "name",
    "status": "state",
    "start_time": "started",
    "duration": "took",
    "user_id": "user",
    "source": "source",
    "commit": "commit",
    "end_time": "ended",
    "experiment_id": "experiment",
    "run_id": "id",
}
SORTED = frozenset({"run_name", "status", "start_time", "end_time", "run_id"})
FIRST = ("attributes.run_name", "attributes.status")
USUAL = ("attributes.start_time", "attributes.duration", "attributes.user_id")
KINDS = {"metrics": "metric", "params": "parameter", "tags": "tag", "attributes": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: `name`, `state`, `number`, `quiet` or `text`, and what stands in it."""

    kind: str
    text: str


def usual(rows: Reader, runs: Sequence[Run], *, many: bool) -> list[str]:
    """Return the columns that are shown when nobody chose any: what the first runs have.

    Args:
        rows: a view of the store.
        runs: of the page.
        many: whether runs of several experiments stand in it.
    """
    keys: dict[str, dict[str, int]] = {"metrics": {}, "params": {}}
    for run in runs[:10]:
        for scope, query in (("metrics", "console.some_metrics"), ("params", "console.some_params")):
            for row in rows.rows(query, run=run.number, count=KEYS_LOOKED_AT):
                key = str(row["key"])
                if not key.startswith(SYSTEM):
                    keys[scope][key] = keys[scope].get(key, 0) + 1
    chosen = [
        f"{scope}.{key}"
        for scope, counted in keys.items()
        for key in sorted(sorted(counted, key=lambda key: -counted[key])[:USUAL_KEYS])
    ]
    return [*FIRST, *USUAL, *(["attributes.experiment_id"] if many else []), *chosen]


def columns(asked: Asked, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the heads of columns, each with the address that sorts by it."""
    return [_column(asked, word) for word in ids]


def _column(asked: Asked, word: str) -> dict[str, Any]:
    scope, _, key = word.partition(".")
    here = asked.sort == word or (not asked.sort and word == "attributes.start_time")
    sorts = scope != "attributes" or key in SORTED
    # The first click shows the largest of a metric and the newest; names and parameters begin at their beginning.
    up_first = scope in ("params", "tags") or key in ("run_name", "status")
    turned = not asked.up if here else up_first
    return {
        "id": word,
        "label": ATTRIBUTES.get(key, key) if scope == "attributes" else key,
        "what": KINDS[scope],
        "number": scope == "metrics" or word == "attributes.duration",
        "sorted": ("ascending" if asked.up else "descending") if here else "",
        "address": asked.but(sort=word, up=turned).address() if sorts else "",
    }


def cells(run: Run, ids: Sequence[str], values: Values, experiments: dict[int, str]) -> list[Cell]:
    """Return a run's cells.

    Args:
        run: the run.
        ids: the columns.
        values: of all runs of the page.
        experiments: names by id.
    """
    return [_cell(run, word, values, experiments) for word in ids]


def _cell(run: Run, word: str, values: Values, experiments: dict[int, str]) -> Cell:
    scope, _, key = word.partition(".")
    if scope == "attributes":
        return _attribute(run, key, experiments)
    text = values.get((scope, run.number, key), "")
    return Cell(kind="number" if scope == "metrics" else "text", text=text[:LETTERS_MAX])


def _attribute(run: Run, key: str, experiments: dict[int, str]) -> Cell:
    said = {
        "run_name": ("name", run.name),
        "status": ("state", run.state),
        "start_time": ("quiet", at(run.started_us)),
        "end_time": ("quiet", at(run.ended_us)),
        "duration": ("number", span(run.started_us, run.ended_us)),
        "user_id": ("text", run.user_name),
        "source": ("text", run.source_name),
        "commit": ("text", f"{run.commit_sha[:10]}{'+' if run.dirty else ''}"),
        "experiment_id": ("text", experiments.get(run.experiment, str(run.experiment))),
        "run_id": ("text", run.id),
    }
    kind, text = said.get(key, ("text", ""))
    return Cell(kind=kind, text=text[:LETTERS_MAX])
