"""What the console shows of a logged model: how it came about, what was measured of it, its files."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from ropewalk.console import files, shelves
from ropewalk.console.words import at, number
from ropewalk.house import House
from ropewalk.models import logged
from ropewalk.models.logged import LoggedModel
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader

METRICS_SHOWN = 200


def of_run(rows: Reader, run: Run) -> list[dict[str, str]]:
    """Return the logged models that a run has made or read."""
    found = [_link(model, "made here") for model in logged.of_run(rows, run.id) if model.deleted_us is None]
    known = {one["id"] for one in found}
    words = {"output": "made here", "input": "used here"}
    for row in rows.rows("console.run_models", run=run.number):
        model_id = str(row["model"])
        if model_id not in known:
            model = rows.get(LoggedModel, "logged.get", id=model_id)
            told = words.get(str(row["way"]), "")
            there = model is not None and model.deleted_us is None
            found.append(
                _link(model, told)
                if model and there
                else {"id": model_id, "name": model_id, "told": told, "address": ""}
            )
            known.add(model_id)
    return found


def _link(model: LoggedModel, told: str) -> dict[str, str]:
    state = "" if model.status == logged.READY else f", {model.status.lower()}"
    return {"id": model.id, "name": model.name, "told": f"{told}{state}", "address": shelves.of_logged(model).home}


def one(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return everything that a logged model's page shows.

    Raises:
        NotFound: there is no such model.
    """
    model = logged.get(rows, request.path_params["model"])
    shelf = shelves.of_logged(model)
    run = rows.row("console.names_of_runs", id=model.source_run)
    versions = rows.rows("console.versions_of_logged", logged_model=model.id)
    return {
        "model": {
            "id": model.id,
            "home": shelf.home,
            "name": model.name,
            "state": model.status.lower(),
            "type": model.model_type,
            "message": model.status_message,
            "made": f"{at(model.created_us)} by {model.author}",
            "run": "" if run is None else str(run["name"]),
            "run_address": "" if run is None else f"/runs/{model.source_run}",
        },
        "versions": [dict(row) for row in versions],
        "params": list(logged.params(rows, model).items()),
        "tags": list(logged.tags(rows, model).items()),
        "metrics": [
            {
                "key": point.key,
                "value": number(point.value),
                "step": point.step,
                "dataset": point.dataset_name,
                "at": at(point.at_ms * 1000),
            }
            for point in logged.metrics(rows, model, METRICS_SHOWN)
        ],
        "signature": files.signature(house, rows, shelf),
        **files.listed(house, rows, shelf),
    }
