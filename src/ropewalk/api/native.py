"""The native routes: what programs may ask of runs, releases, endpoints, alerts, the ledger, and labels told later."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ropewalk.api import approvals, batches, deliveries, hooks, reports, schedules
from ropewalk.api.routes import Ask, Door, whole_number
from ropewalk.api.told import endpoint_of, known_us
from ropewalk.errors import NotFound
from ropewalk.evidence import blast
from ropewalk.evidence.trace import Trace, trace
from ropewalk.ledger.chain import Entry
from ropewalk.observations import alert, labels
from ropewalk.observations.batch import Added
from ropewalk.releases import outcome, release, traffic
from ropewalk.runs import run as runs
from ropewalk.runs import search

PAGE_MOST = 1000


class LabelTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What really happened.

    Attributes:
        value: the class, 0 or 1, or the number.
        id: the prediction's id; or give `key`.
        key: the key of its request.
        time: when it was known, ISO 8601; now when left out.
    """

    value: bool | int | float | str
    id: str = ""
    key: str = ""
    time: str = ""


class LabelsTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch of labels; all of it is kept, or nothing."""

    labels: tuple[LabelTold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """Runs, newest first; `next` is given as `after` to get those that follow."""

    runs: tuple[runs.Run, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A release with what each of its stages found."""

    release: release.Release
    stages: tuple[outcome.StageOutcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Who answers at an endpoint, now and before, newest first."""

    name: str
    generations: tuple[traffic.Traffic, ...]


def list_runs(ask: Ask) -> RunsPage:
    """Search runs."""
    with ask.house.site.db.read() as rows:
        page = search.search(
            rows,
            ask.query.get("filter", ""),
            orders=[order] if (order := ask.query.get("order", "")) else [],
            count=max(1, whole_number(ask.query, "count", 100, PAGE_MOST)),
            token=ask.query.get("after", ""),
        )
    return RunsPage(runs=page.runs, next=page.token)


def show_run(ask: Ask) -> search.Summary:
    """Return one run with what it logged."""
    with ask.house.site.db.read() as rows:
        return search.summarize(rows, runs.find(rows, ask.path["run"]))


def list_releases(ask: Ask) -> tuple[release.Release, ...]:
    """Return releases, newest first."""
    count = max(1, whole_number(ask.query, "count", 100, PAGE_MOST))
    with ask.house.site.db.read() as rows:
        return tuple(release.listed(rows, name=ask.query.get("name", ""), count=count))


def show_release(ask: Ask) -> Delivery:
    """Return one release with its stages."""
    with ask.house.site.db.read() as rows:
        found = release.get(rows, f"{ask.path['name']}/{ask.path['number']}")
        return Delivery(release=found, stages=outcome.outcomes(rows, found.id))


def list_endpoints(ask: Ask) -> tuple[Serving, ...]:
    """Return who answers at each endpoint."""
    with ask.house.site.db.read() as rows:
        return tuple(
            Serving(name=name, generations=tuple(traffic.history(rows, name, 1))) for name in traffic.endpoints(rows)
        )


def show_endpoint(ask: Ask) -> Serving:
    """Return who answered at an endpoint, newest first."""
    with ask.house.site.db.read() as rows:
        found = traffic.history(rows, ask.path["name"], 100)
    if not found:
        raise NotFound(
            "endpoint-not-found",
            "There is no such endpoint.",
            where=f"endpoint {ask.path['name'][:80]}",
            fix="GET /api/v1/endpoints",
        )
    return Serving(name=ask.path["name"], generations=tuple(found))


def add_labels(ask: Ask) -> Added:
    """Keep labels."""
    site, name = ask.house.site, endpoint_of(ask)
    now = site.clock.now_us()
    told = [
        labels.Label(
            value=one.value,
            prediction=one.id,
            key=one.key,
            known_us=known_us(one.time, now, "label-malformed", "label"),
        )
        for one in ask.body.labels
    ]
    return site.db.write(lambda tx: labels.add(tx, site, name, told))


def show_prediction(ask: Ask) -> Trace:
    """Return the line behind a prediction."""
    return trace(ask.house.site, ask.path["prediction"])


def show_blast(ask: Ask) -> blast.Radius:
    """Return what a release did: how many predictions, for whom, from when until when."""
    callers = whole_number(ask.query, "keys", blast.KEYS_SHOWN, PAGE_MOST)
    return blast.radius(ask.house.site, f"{ask.path['name']}/{ask.path['number']}", callers=callers)


def list_alerts(ask: Ask) -> tuple[alert.Alert, ...]:
    """Return alerts, newest first."""
    with ask.house.site.db.read() as rows:
        return tuple(alert.listed(rows, state=ask.query.get("state", "")))


def list_ledger(ask: Ask) -> tuple[Entry, ...]:
    """Return ledger entries from one on, oldest first."""
    seq = whole_number(ask.query, "from", 1, 1 << 62)
    with ask.house.site.db.read() as rows:
        return tuple(rows.all(Entry, "ledger.from", seq=seq, count=whole_number(ask.query, "count", 100, PAGE_MOST)))


_COUNT = {"count": f"how many, {PAGE_MOST} at most"}
DOORS = (
    Door(
        method="GET",
        path="/api/v1/runs",
        summary="Search runs, newest first",
        answer=list_runs,
        result=RunsPage,
        action="read",
        query={
            "filter": "such as metrics.roc_auc > 0.7 and params.depth = '8'",
            "order": "such as metrics.roc_auc DESC; newest first when left out",
            "after": "`next` of the page before",
            **_COUNT,
        },
    ),
    Door(
        method="GET",
        path="/api/v1/runs/{run}",
        summary="One run with its metrics, parameters and tags",
        answer=show_run,
        result=search.Summary,
        action="read",
        query={},
    ),
    Door(
        method="GET",
        path="/api/v1/releases",
        summary="Releases, newest first",
        answer=list_releases,
        result=tuple[release.Release, ...],
        action="read",
        query={"name": "only of this model", **_COUNT},
    ),
    Door(
        method="GET",
        path="/api/v1/releases/{name}/{number}",
        summary="One release with what its nine stages found",
        answer=show_release,
        result=Delivery,
        action="read",
        query={},
    ),
    Door(
        method="GET",
        path="/api/v1/endpoints",
        summary="Who answers at each endpoint now",
        answer=list_endpoints,
        result=tuple[Serving, ...],
        action="read",
        query={},
    ),
    Door(
        method="GET",
        path="/api/v1/endpoints/{name}",
        summary="Who answered at an endpoint and since when, newest first",
        answer=show_endpoint,
        result=Serving,
        action="read",
        query={},
    ),
    Door(
        method="POST",
        path="/endpoints/{name}/labels",
        summary="Tell what really happened, by prediction id or by key",
        answer=add_labels,
        result=Added,
        action="write",
        query={},
        body=LabelsTold,
    ),
    Door(
        method="GET",
        path="/api/v1/predictions/{prediction}",
        summary="The line behind one prediction, down to its rows and commit",
        answer=show_prediction,
        result=Trace,
        action="read",
        query={},
    ),
    Door(
        method="GET",
        path="/api/v1/releases/{name}/{number}/blast-radius",
        summary="Every prediction that a release made, summed: for whom, from when until when",
        answer=show_blast,
        result=blast.Radius,
        action="read",
        query={"keys": f"how many keys to name, {PAGE_MOST} at most"},
    ),
    Door(
        method="GET",
        path="/api/v1/alerts",
        summary="Alerts, newest first",
        answer=list_alerts,
        result=tuple[alert.Alert, ...],
        action="read",
        query={"state": "open or closed; both when left out"},
    ),
    Door(
        method="GET",
        path="/api/v1/ledger",
        summary="Ledger entries, oldest first",
        answer=list_ledger,
        result=tuple[Entry, ...],
        action="read",
        query={"from": "number of the first entry", **_COUNT},
    ),
    *approvals.DOORS,
    *deliveries.DOORS,
    *reports.DOORS,
    *schedules.DOORS,
    *batches.DOORS,
    *hooks.DOORS,
)
