"""The native routes of a canary: numbers that clients report of predictions, and what its looks have seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from ropewalk.api.routes import Ask, Door
from ropewalk.api.told import endpoint_of, known_us
from ropewalk.errors import NotFound
from ropewalk.observations import reports
from ropewalk.observations.batch import Added
from ropewalk.releases import release
from ropewalk.releases import rollout as rollouts


class ReportTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of a prediction.

    Attributes:
        id: the prediction's id.
        metric: what was measured, such as `revenue`.
        value: how much of it.
        time: when it was known, ISO 8601; now when left out.
    """

    id: str
    metric: str
    value: float
    time: str = ""


class ReportsTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch of reports; all of it is kept, or nothing, and twice is as good as once."""

    reports: tuple[ReportTold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryTold:
    """A canary with everything that was decided about it.

    Attributes:
        rollout: where it stands.
        design: what was to be expected when it began; empty where nobody computed it.
        decisions: each look that was kept, oldest first, with the digest of its evidence.
        newest: what the newest look saw: counts, signals, verdict, segments.
    """

    rollout: rollouts.Rollout
    design: dict[str, Any]
    decisions: tuple[rollouts.Decision, ...]
    newest: dict[str, Any]


def add_reports(ask: Ask) -> Added:
    """Keep reports."""
    site, name = ask.house.site, endpoint_of(ask)
    now = site.clock.now_us()
    told = [
        reports.Report(
            prediction=one.id,
            metric=one.metric,
            value=one.value,
            known_us=known_us(one.time, now, "report-malformed", "report"),
        )
        for one in ask.body.reports
    ]
    return site.db.write(lambda tx: reports.add(tx, site, name, told))


def show_canary(ask: Ask) -> CanaryTold:
    """Return a release's canary."""
    site = ask.house.site
    with site.db.read() as rows:
        found = release.get(rows, f"{ask.path['name']}/{ask.path['number']}")
        rollout = rollouts.find(rows, found.id)
        made = rollouts.decisions(rows, found.id)
    if rollout is None:
        raise NotFound(
            "canary-not-found",
            "This release was never a canary.",
            where=f"release {found.id}",
            why=f"it is {found.state}",
            fix="ropewalk status",
        )
    return CanaryTold(
        rollout=rollout,
        design=json.loads(site.blobs.get(rollout.design)) if rollout.design else {},
        decisions=tuple(made),
        newest=json.loads(site.blobs.get(made[-1].evidence)) if made else {},
    )


DOORS = (
    Door(
        method="POST",
        path="/endpoints/{name}/reports",
        summary="Report a business metric of predictions, such as revenue; twice is as good as once",
        answer=add_reports,
        result=Added,
        action="write",
        query={},
        body=ReportsTold,
    ),
    Door(
        method="GET",
        path="/api/v1/releases/{name}/{number}/canary",
        summary="A canary: what was expected of it, what its looks saw, what was decided",
        answer=show_canary,
        result=CanaryTold,
        action="read",
        query={},
    ),
)
