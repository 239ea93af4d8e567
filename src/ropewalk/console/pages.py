"""Every page and every live part of one: its address, its template and what gathers it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from ropewalk.access.roles import Caller
from ropewalk.api.routes import CALLER, whole_number
from ropewalk.console import (
    batches,
    catalogue,
    compare,
    curves,
    deliveries,
    files,
    history,
    hooks,
    logged,
    monitors,
    pipelines,
    proof,
    registry,
    runs,
    schedules,
    serving,
    step,
    steplog,
    sweeps,
    traces,
    walks,
)
from ropewalk.console import table as tables
from ropewalk.errors import NotFound
from ropewalk.evidence.trace import trace
from ropewalk.house import House
from ropewalk.refs import is_digest
from ropewalk.releases import release, traffic
from ropewalk.store.database import Reader

DELIVERIES_SHOWN = 3
ROWS_SHOWN = 50
RUNS_SHOWN = 8
EVIDENCE_BYTES_MAX = 1 << 20
View = Callable[[House, Reader, Request], dict[str, Any]]


def overview(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the first page."""
    found = release.listed(rows, count=DELIVERIES_SHOWN + 1)
    return {
        "alerts": monitors.alerts(rows, state="open"),
        "endpoints": serving.cards(house, rows),
        "deliveries": [deliveries.delivery(house, rows, one) for one in found[:DELIVERIES_SHOWN]],
        "more_deliveries": len(release.listed(rows, count=1000)) if len(found) > DELIVERIES_SHOWN else 0,
        "charts": monitors.charts(house, rows),
        **runs.newest(rows, RUNS_SHOWN),
        "server": str(request.base_url).rstrip("/"),
    }


def list_releases(house: House, rows: Reader, _request: Request) -> dict[str, Any]:
    """Gather the page of releases."""
    return {"deliveries": deliveries.deliveries(house, rows, ROWS_SHOWN)}


def show_release(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one release's page."""
    found = release.get(rows, f"{request.path_params['name']}/{request.path_params['number']}")
    return {
        "delivery": deliveries.delivery(house, rows, found),
        **deliveries.offers(house, rows, found, cast("Caller | None", request.scope.get(CALLER))),
        "decisions": deliveries.decisions(rows, found.id),
        "approvals": deliveries.approvals(rows, found),
        "charts": proof.charts(house, rows, found.id),
    }


def list_runs(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the page of runs."""
    return tables.whole(rows, request)


def live_runs(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the table of runs alone."""
    return tables.table(rows, request)


def list_endpoints(house: House, rows: Reader, _request: Request) -> dict[str, Any]:
    """Gather the page of endpoints."""
    return {"endpoints": serving.cards(house, rows)}


def show_endpoint(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one endpoint's page."""
    found = serving.one(house, rows, request.path_params["name"], str(request.base_url).rstrip("/"))
    now = traffic.current(rows, request.path_params["name"])
    undoable = now is not None and bool(now.canary or now.previous)
    return {**found, "undoable": undoable, "charts": monitors.charts(house, rows)}


def show_prediction(house: House, _rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the line behind a prediction."""
    found = trace(house.site, request.path_params["prediction"])
    links = [
        {
            "title": one.title,
            "told": one.told,
            "digest": one.digest,
            "facts": json.dumps(one.facts, indent=1, default=str),
        }
        for one in found.links
    ]
    return {"id": found.id, "links": links}


def list_alerts(house: House, rows: Reader, _request: Request) -> dict[str, Any]:
    """Gather the page of alerts."""
    return {"alerts": monitors.alerts(rows), "charts": monitors.charts(house, rows)}


def list_ledger(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the page of the ledger."""
    return {"entries": history.ledger(rows, whole_number(dict(request.query_params), "count", 200, 1000))}


def show_evidence(house: House, _rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one piece of evidence, which is JSON by its digest."""
    digest = request.path_params["digest"]
    if not is_digest(digest) or house.site.blobs.size(digest) > EVIDENCE_BYTES_MAX:
        raise NotFound("blob-not-found", "There is no such evidence.", where=digest[:80], fix="ropewalk status")
    try:
        text = json.dumps(json.loads(house.site.blobs.get(digest)), indent=1, ensure_ascii=False)
    except ValueError:
        raise NotFound("blob-not-found", "This blob is no evidence.", where=digest, fix="ropewalk status") from None
    return {"digest": digest, "text": text}


def show_version(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one model version's page."""
    path = request.path_params
    return registry.version(house, rows, path["name"], path["number"])


PAGES: tuple[tuple[str, str, View, str], ...] = (
    ("/", "overview.html", overview, "/"),
    ("/live/overview", "_overview.html", overview, ""),
    ("/releases", "releases.html", list_releases, "/releases"),
    ("/live/releases", "_releases.html", list_releases, ""),
    ("/releases/{name}/{number}", "release.html", show_release, "/releases"),
    ("/live/releases/{name}/{number}", "_release.html", show_release, ""),
    ("/runs", "runs.html", list_runs, "/runs"),
    ("/live/runs", "_table.html", live_runs, ""),
    ("/runs/{run}", "run.html", runs.one, "/runs"),
    ("/live/runs/{run}/head", "_run.html", runs.show_head, ""),
    ("/live/runs/{run}/metrics", "_metrics.html", runs.show_metrics, ""),
    ("/live/runs/{run}/curves", "_curves.html", curves.show, ""),
    ("/live/runs/{run}/trials", "_sweep.html", sweeps.show, ""),
    ("/live/runs/{run}/pipeline", "_walk.html", walks.show, ""),
    ("/runs/{run}/steps", "steps.html", walks.list_steps, "/runs"),
    ("/runs/{run}/steps/{node:path}", "step.html", step.one, "/runs"),
    ("/live/runs/{run}/steps/{node:path}", "_step.html", step.one, ""),
    ("/runs/{run}/logs/{node:path}", "log.html", steplog.one, "/runs"),
    ("/live/runs/{run}/logs/{node:path}", "_log.html", steplog.follow, ""),
    ("/runs/{run}/metric/{key:path}", "metric.html", runs.show_metric, "/runs"),
    ("/live/runs/{run}/metric/{key:path}", "_metric.html", curves.show_metric, ""),
    ("/runs/{run}/files/{path:path}", "file.html", files.one, "/runs"),
    ("/runs/{run}/code/{path:path}", "file.html", files.code, "/runs"),
    ("/compare", "compare.html", compare.whole, "/runs"),
    ("/live/compare/curves", "_curves.html", compare.show_curves, ""),
    ("/live/compare/scatter", "_scatter.html", compare.show_scatter, ""),
    ("/models", "models.html", catalogue.list_models, "/models"),
    ("/models/{name}", "model.html", catalogue.show_model, "/models"),
    ("/models/{name}/{number}", "version.html", show_version, "/models"),
    ("/models/{name}/{number}/files/{path:path}", "file.html", files.one, "/models"),
    ("/logged/{model}", "logged.html", logged.one, "/models"),
    ("/logged/{model}/files/{path:path}", "file.html", files.one, "/models"),
    ("/prompts", "models.html", catalogue.list_prompts, "/prompts"),
    ("/prompts/{name}", "model.html", catalogue.show_prompt, "/prompts"),
    ("/prompts/{name}/{number}", "version.html", show_version, "/prompts"),
    ("/traces", "traces.html", traces.list_traces, "/traces"),
    ("/traces/{trace}", "trace.html", traces.show_trace, "/traces"),
    ("/endpoints", "endpoints.html", list_endpoints, "/endpoints"),
    ("/live/endpoints", "_endpoints.html", list_endpoints, ""),
    ("/endpoints/{name}", "endpoint.html", show_endpoint, "/endpoints"),
    ("/live/endpoints/{name}", "_endpoint.html", show_endpoint, ""),
    ("/batches", "batches.html", batches.list_batches, "/batches"),
    ("/live/batches", "_batches.html", batches.list_batches, ""),
    ("/batches/{batch}", "batch.html", batches.show_batch, "/batches"),
    ("/live/batches/{batch}", "_batch.html", batches.show_batch, ""),
    ("/predictions/{prediction}", "prediction.html", show_prediction, ""),
    ("/webhooks", "webhooks.html", hooks.list_hooks, "/webhooks"),
    ("/webhooks/{webhook}", "webhook.html", hooks.show_hook, "/webhooks"),
    ("/pipelines", "pipelines.html", pipelines.list_pipelines, "/pipelines"),
    ("/pipelines/{pipeline:path}", "pipeline.html", pipelines.show_pipeline, "/pipelines"),
    ("/schedules", "schedules.html", schedules.list_schedules, "/schedules"),
    ("/live/schedules", "_schedules.html", schedules.list_schedules, ""),
    ("/schedules/{name}", "schedule.html", schedules.show_schedule, "/schedules"),
    ("/backfills/{backfill}", "backfill.html", schedules.show_backfill, "/schedules"),
    ("/live/backfills/{backfill}", "_backfill.html", schedules.show_backfill, ""),
    ("/alerts", "alerts.html", list_alerts, "/alerts"),
    ("/ledger", "ledger.html", list_ledger, "/ledger"),
    ("/evidence/{digest}", "evidence.html", show_evidence, ""),
)
# Bytes to take away.
RAW: tuple[tuple[str, Callable[[House, Reader, Request], Response]], ...] = (
    ("/runs/{run}/raw/{path:path}", files.raw),
    ("/runs/{run}/log-file/{node:path}", steplog.raw),
    ("/runs/{run}/output/{digest}/{node:path}", step.output),
    ("/batches/{batch}/output", batches.output),
    ("/batches/{batch}/aside", batches.set_aside),
    ("/models/{name}/{number}/raw/{path:path}", files.raw),
    ("/logged/{model}/raw/{path:path}", files.raw),
)
