"""The console's routes: each gathers what a page shows in one read of the store and renders it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ropewalk import __version__
from ropewalk.api.app import Server
from ropewalk.api.routes import whole_number
from ropewalk.clock import iso
from ropewalk.console import deliveries, history, monitors, runs, serving
from ropewalk.endpoints.problems import status_of
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.evidence.trace import trace
from ropewalk.house import House
from ropewalk.refs import is_digest
from ropewalk.releases import release
from ropewalk.store.database import Reader

DELIVERIES_SHOWN = 3
ROWS_SHOWN = 50
EVIDENCE_BYTES_MAX = 1 << 20
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
View = Callable[[House, Reader, Request], dict[str, Any]]


def overview(house: House, rows: Reader, _request: Request) -> dict[str, Any]:
    """Gather the first page."""
    found = release.listed(rows, count=DELIVERIES_SHOWN + 1)
    return {
        "alerts": monitors.alerts(rows, state="open"),
        "endpoints": serving.cards(house, rows),
        "deliveries": [deliveries.delivery(house, rows, one) for one in found[:DELIVERIES_SHOWN]],
        "more_deliveries": len(release.listed(rows, count=1000)) if len(found) > DELIVERIES_SHOWN else 0,
        "charts": monitors.charts(house, rows),
        **runs.table(rows, count=8),
    }


def list_releases(house: House, rows: Reader, _request: Request) -> dict[str, Any]:
    """Gather the page of releases."""
    return {"deliveries": deliveries.deliveries(house, rows, ROWS_SHOWN)}


def show_release(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one release's page."""
    found = release.get(rows, f"{request.path_params['name']}/{request.path_params['number']}")
    return {
        "delivery": deliveries.delivery(house, rows, found),
        "decisions": deliveries.decisions(rows, found.id),
        "approvals": deliveries.approvals(rows, found),
        "charts": deliveries.canary_charts(house, rows, found.id),
    }


def list_runs(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the page of runs."""
    return runs.table(rows, count=ROWS_SHOWN, after=request.query_params.get("after", ""))


def show_run(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one run's page."""
    return runs.one(house, rows, request.path_params["run"])


def list_endpoints(house: House, rows: Reader, _request: Request) -> dict[str, Any]:
    """Gather the page of endpoints."""
    return {"endpoints": serving.cards(house, rows)}


def show_endpoint(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one endpoint's page."""
    found = serving.one(house, rows, request.path_params["name"], str(request.base_url).rstrip("/"))
    return {**found, "charts": monitors.charts(house, rows)}


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


PAGES: tuple[tuple[str, str, View, str], ...] = (
    ("/", "overview.html", overview, "/"),
    ("/live/overview", "_overview.html", overview, ""),
    ("/releases", "releases.html", list_releases, "/releases"),
    ("/live/releases", "_releases.html", list_releases, ""),
    ("/releases/{name}/{number}", "release.html", show_release, "/releases"),
    ("/live/releases/{name}/{number}", "_release.html", show_release, ""),
    ("/runs", "runs.html", list_runs, "/runs"),
    ("/runs/{run}", "run.html", show_run, "/runs"),
    ("/endpoints", "endpoints.html", list_endpoints, "/endpoints"),
    ("/live/endpoints", "_endpoints.html", list_endpoints, ""),
    ("/endpoints/{name}", "endpoint.html", show_endpoint, "/endpoints"),
    ("/live/endpoints/{name}", "_endpoint.html", show_endpoint, ""),
    ("/predictions/{prediction}", "prediction.html", show_prediction, ""),
    ("/alerts", "alerts.html", list_alerts, "/alerts"),
    ("/ledger", "ledger.html", list_ledger, "/ledger"),
    ("/evidence/{digest}", "evidence.html", show_evidence, ""),
)


class Console:
    """Renders pages of one project.

    Args:
        house: the open project.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._templates = Environment(
            loader=PackageLoader("ropewalk.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def routes(self) -> list[BaseRoute]:
        """Return every page, and the files that they load."""
        static = StaticFiles(directory=Path(__file__).parent / "static")
        pages: list[BaseRoute] = [Route(path, self._page(name, view, here)) for path, name, view, here in PAGES]
        return [*pages, Mount("/static", static)]

    def show(self, _request: Request, error: RopewalkError) -> Response:
        """Render an error as a page."""
        return self._render("problem.html", {**error.record(), "here": ""}, status_of(error))

    def _page(self, name: str, view: View, here: str) -> Callable[[Request], Any]:
        def gather(request: Request) -> Response:
            with self._house.site.db.read() as rows:
                words = view(self._house, rows, request)
            return self._render(name, {"here": here, **words}, 200)

        async def page(request: Request) -> Response:
            return await run_in_threadpool(gather, request)

        return page

    def _render(self, name: str, words: dict[str, Any], status: int) -> Response:
        settings = self._house.settings
        whole = {"project": settings, "version": __version__, "now": iso(self._house.site.clock.now_us()), **words}
        return HTMLResponse(self._templates.get_template(name).render(whole), status, headers=HEADERS)


def build(house: House, *, environment: str = "production", on_ready: Callable[[], None] | None = None) -> Server:
    """Return the whole server of a project, console included."""
    console = Console(house)
    return Server(house, environment=environment, pages=console.routes(), show=console.show, on_ready=on_ready)
