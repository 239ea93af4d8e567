"""What the console shows of one run: its state, curves, values, files, data, code and kin."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.requests import Request

from ropewalk.console import curves, files, lineage, logged, registry, shelves, sweeps, told, traces, walks
from ropewalk.console.cells import SYSTEM
from ropewalk.console.look import Wanted
from ropewalk.console.words import at, number, span
from ropewalk.data import snapshot
from ropewalk.house import House
from ropewalk.models import versions
from ropewalk.refs import short
from ropewalk.runs import experiments, search
from ropewalk.runs import run as runs
from ropewalk.runs.states import INTERRUPTED, REMOTE, Run
from ropewalk.store.database import Reader

METRICS_SHOWN = 200
FRAMES_SHOWN = 100
NOTE = "mlflow.note.content"


def newest(rows: Reader, count: int) -> dict[str, Any]:
    """Return the newest runs as the first page lists them."""
    page = search.search(rows, count=count)
    return {
        "runs": [
            {
                "id": run.id,
                "name": run.name,
                "state": run.state,
                "what": run.pipeline or run.source_name,
                "commit": run.commit_sha,
                "dirty": run.dirty,
                "took": span(run.started_us, run.ended_us),
                "started": at(run.started_us),
            }
            for run in page.runs
        ]
    }


def head(rows: Reader, run: Run) -> dict[str, Any]:
    """Return what stands at the top of a run's page."""
    home = experiments.get(rows, run.experiment)
    user = run.user_name or run.author
    said = (
        f"by {user}" if user else "",
        f"began {at(run.started_us)}" if run.started_us else "",
        f"took {span(run.started_us, run.ended_us)}" if run.ended_us else "",
        f"commit {run.commit_sha[:10]}{' with changes' if run.dirty else ''}" if run.commit_sha else "",
    )
    return {
        "run": {
            "id": run.id,
            "name": run.name,
            "state": run.state,
            "deleted": run.deleted_us is not None,
            "watched": run.state in walks.WATCHED,
            "rests": walks.RESTS_MS if run.state == INTERRUPTED else 0,
            "error": run.error,
            "experiment": home.name,
            "experiment_address": f"/runs?experiment={home.id}",
            "told": [word for word in said if word],
        }
    }


def show_head(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return the top of a run's page alone."""
    return head(rows, runs.get(rows, request.path_params["run"]))


def show_metrics(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return the table of a run's metrics alone."""
    return metrics(rows, runs.get(rows, request.path_params["run"]))


def one(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return everything that a run's page shows.

    Raises:
        NotFound: there is no such run.
        Conflict: several runs begin with these letters.
    """
    run = runs.find(rows, request.path_params["run"])
    wanted = Wanted.read(request.query_params)
    params, tags = told.named(rows, "runs.params", run), told.named(rows, "runs.tags", run)
    children = told.children(rows, run)
    read, above = datasets(rows, run), told.parent(rows, run, tags)
    page: dict[str, Any] = {
        **head(rows, run),
        **curves.of_run(house, rows, run, wanted),
        **metrics(rows, run),
        **files.listed(house, rows, shelves.of_run(run)),
        "look": wanted.shown,
        "look_words": wanted.words,
        "note": tags.get(NOTE, ""),
        "params": [*((name, json.dumps(value)) for name, value in run.arguments().items()), *params.items()],
        "tags": [(key, value) for key, value in tags.items() if key not in told.OWN_TAGS],
        "datasets": read,
        "lineage": lineage.of_run(rows, run, read, above),
        "code": told.code(house, run, tags),
        "environment": told.environment(house, run),
        "parent": above,
        "children": children[: told.CHILDREN_SHOWN],
        "more_children": len(children) > told.CHILDREN_SHOWN,
        "versions": [
            {"name": item.name, "version": item.version, "address": registry.address_of(item.name, item.version)}
            for item in versions.of_run(rows, run.id)
        ],
        "logged": logged.of_run(rows, run),
        "traces": traces.of_run(rows, run),
        **walks.of_run(house, rows, run),
        **sweeps.of_run(rows, run),
        "take_back": _take_back(run),
    }
    return {**page, "contents": _contents(page)}


def _contents(page: dict[str, Any]) -> list[tuple[str, str]]:
    parts = (
        ("pipeline", "Pipeline", page["walk"] is not None),
        ("time", "Time line", page["walk"] is not None and page["walk"]["gantt"] is not None),
        ("steps", "Steps", page["walk"] is not None),
        ("trials", "Trials", page["sweep"] is not None),
        ("curves", "Curves", True),
        ("metrics", "Metrics", True),
        ("params", "Parameters", True),
        ("tags", "Tags", True),
        ("files", "Artifacts", True),
        ("data", "Data", bool(page["datasets"])),
        ("code", "Code", True),
        ("lineage", "Where it stands", True),
    )
    return [(id_, word) for id_, word, there in parts if there]


def metrics(rows: Reader, run: Run) -> dict[str, Any]:
    """Return the newest value of each metric, those that the machine measured of itself last."""
    found = rows.rows("console.some_metrics", run=run.number, count=METRICS_SHOWN)
    whole = int(str(rows.value("console.metrics_like", run=run.number, pattern="%")))
    items = [
        {
            "name": str(row["key"]),
            "address": curves.address_of(run.id, str(row["key"])),
            "value": number(value),
            "exact": repr(value),
            "step": row["step"],
        }
        for row in found
        for value in [math.nan if row["is_nan"] else float(str(row["value"]))]
    ]
    items.sort(key=lambda item: (str(item["name"]).startswith(SYSTEM), item["name"]))
    return {"metrics": items, "more_metrics": max(0, whole - len(found))}


def datasets(rows: Reader, run: Run) -> list[dict[str, str]]:
    """Return the data that a run has read: data sets that its client names, and the frames of its steps."""
    tags: dict[object, dict[str, str]] = {}
    for row in rows.rows("console.input_tags", run=run.number):
        tags.setdefault(row["dataset"], {})[str(row["key"])] = str(row["value"])
    told_by_client = [
        {
            "name": str(row["name"]),
            "digest": str(row["digest"]),
            "context": tags.get(row["dataset"], {}).get("mlflow.data.context", ""),
            "source_type": str(row["source_type"]),
            "source": str(row["source"]),
            "profile": str(row["profile"] or "")[:300],
            "schema": _pretty(str(row["schema"] or "")),
        }
        for row in rows.rows("console.inputs", run=run.number)
    ]
    frames = [
        {
            "name": one.name,
            "digest": short(one.digest),
            "context": f"step {one.node}" if one.node else "",
            "source_type": "frame",
            "source": one.digest,
            "profile": f"{one.rows:,} rows, {one.columns} columns",
            "schema": "\n".join(f"{name}: {kind}" for name, kind in one.types()),
        }
        for one in snapshot.of_run(rows, run.id)[:FRAMES_SHOWN]
    ]
    return [*told_by_client, *frames]


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _take_back(run: Run) -> str:
    if run.kind != REMOTE:
        return f"ropewalk restore {run.id[:13]} --into ./as-it-was"
    return f'mlflow.artifacts.download_artifacts(run_id="{run.id}", dst_path="./as-it-was")'


def show_metric(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of one metric of a run shows.

    Raises:
        NotFound: there is no such run, or it has no such metric.
    """
    run = runs.get(rows, request.path_params["run"])
    wanted = Wanted.read(request.query_params)
    key = request.path_params["key"]
    return {
        **head(rows, run),
        **curves.of_metric(house, rows, run, key, wanted),
        "metric": key,
        "look": wanted.shown,
        "look_words": wanted.words,
        "live": curves.address_of(run.id, key, home="/live/runs"),
    }
