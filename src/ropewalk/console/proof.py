"""What the console draws of a canary: its evidence as it grew, each signal with the band that holds at every look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from ropewalk.console.charts import Line, Point, line_chart
from ropewalk.errors import RopewalkError
from ropewalk.house import House
from ropewalk.releases import rollout
from ropewalk.releases.signals import MEANS, alpha_of
from ropewalk.settings import Canary
from ropewalk.store.database import Reader

# The first intervals are wider than anything worth drawing: they are cut at so many times what is read or allowed.
WIDE = 4.0
FLOOR = 1e-3  # e-values below say nothing more
BY = "by the candidate's rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawn chart with a sentence under it."""

    title: str
    svg: str
    told: str


def charts(house: House, rows: Reader, release_id: str) -> list[Chart]:
    """Return the evidence of a release's newest decision as it grew; nothing where no look has seen a row."""
    made = rollout.decisions(rows, release_id)
    account = _account(house, made)
    course = [point for point in cast(list[dict[str, Any]], account.get("course", [])) if point["rows"]]
    if not course:
        return []
    plan = msgspec.convert(account["plan"], type=Canary)
    names = dict.fromkeys(name for point in course for name in point["signals"])
    return [_against(plan, course), *(_signal(name, course) for name in names)]


def _account(house: House, made: list[rollout.Decision]) -> dict[str, Any]:
    """Return the newest account with a course; what a person decided has none of its own."""
    for decision in reversed(made):
        try:
            found = msgspec.json.decode(house.site.blobs.get(decision.evidence), type=dict[str, Any])
        except (RopewalkError, msgspec.DecodeError):
            continue
        if "course" in found:
            return found
    return {}


def _against(plan: Canary, course: list[dict[str, Any]]) -> Chart:
    limit = 1.0 / alpha_of(plan)
    points = tuple(Point(at_us=point["rows"], value=_log10(point["e_value"])) for point in course)
    return Chart(
        title="Canary: evidence that it is worse",
        svg=line_chart(
            "evidence that the canary is worse",
            "log10 of the e-value",
            [Line(name="all signals", points=points)],
            [math.log10(limit)],
            counts="rows",
        ),
        told=(
            f"All signals together, {BY}. It falls back at the dashed line, an e-value of {limit:g}; a good one gets "
            f"there in at most {alpha_of(plan):.1%} of rollouts, however often one looks. 0 is no evidence."
        ),
    )


def _signal(name: str, course: list[dict[str, Any]]) -> Chart:
    seen = [(point["rows"], point["signals"][name]) for point in course if name in point["signals"]]
    allowed = float(seen[-1][1]["allowed"])
    shown = allowed if allowed < 1.0 or name in MEANS else 0.0
    edge = WIDE * max(shown, *(abs(float(one["reading"])) for _, one in seen)) or 1.0
    points = tuple(
        Point(
            at_us=at,
            value=float(one["reading"]),
            low=max(float(one["low"]), -edge),
            high=min(float(one["high"]), edge),
        )
        for at, one in seen
    )
    unit = "increase of the mean" if name in MEANS else "increase of the share"
    rises = f"It may rise once the band lies below the dashed line, {allowed:.4g} at this weight." if shown else ""
    return Chart(
        title=f"Canary: {name}",
        svg=line_chart(
            f"{name}: canary minus champion",
            unit,
            [Line(name=name, points=points)],
            [allowed] if shown else [],
            counts="rows",
        ),
        told=f"Canary minus champion, {BY}; the band holds at every look. {rises}".strip(),
    )


def _log10(value: float) -> float:
    return math.log10(max(value, FLOOR))
