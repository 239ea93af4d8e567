"""Histories of metrics: whole in pages, of several runs at once, evenly sampled, and summed up for charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.runs import paging
from ropewalk.runs.clauses import step_of
from ropewalk.runs.points import value_of
from ropewalk.runs.run import get
from ropewalk.store.database import Reader, Row, Value

PAGE_MAX = 25_000
WHOLE_MAX = 10_000_000
BUCKETS_MAX = 2500
STEP_MAX = (1 << 63) - 1
Moment = tuple[float, int, int]
"""Value (NaN and infinities too), milliseconds since the epoch, step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The points of a stretch of a chart.

    Attributes:
        low: the smallest number; None where all are NaN.
        high: the largest number; None where all are NaN.
        last: value of the last point.
        at_ms: its time, milliseconds since the epoch.
        step: its step.
        points: how many there are.
    """

    low: float | None
    high: float | None
    last: float
    at_ms: int
    step: int
    points: int


def history(
    reader: Reader, run_id: str, key: str, *, count: int | None = None, token: str = ""
) -> tuple[list[Moment], str]:
    """Return points of a metric by time, step and value, and the token for those that follow.

    Args:
        reader: where the rows are.
        run_id: which run.
        key: the metric; `NAME [STEP]` for what one step of several logged.
        count: how many at most; None for all.
        token: of the page before; empty for the first.

    Raises:
        NotFound: there is no such run.
        Invalid: the token is not understood.
    """
    get(reader, run_id)
    found = _after(reader, run_id, key, (count or WHOLE_MAX) + 1, paging.after(token, [run_id, key], "iifi"))
    if count is None or len(found) <= count:
        return _moments(found), ""
    last = found[count - 1]
    place = (int(str(last["at_ms"])), int(str(last["step"])), float(str(last["value"])), int(str(last["is_nan"])))
    return _moments(found[:count]), paging.token([run_id, key], place)


def _after(reader: Reader, run_id: str, key: str, count: int, place: paging.Position | None) -> list[Row]:
    name, node = step_of(key)
    ids = reader.rows("series.ids", run_id=run_id, key=name, node=node)
    at_ms, step, value, is_nan = place or (-1, 0, 0.0, 0)
    after = {"at_ms": at_ms, "step": step, "value": value, "is_nan": is_nan, "count": count}
    if len(ids) > 1:
        return reader.rows("series.page_of_steps", run_id=run_id, key=name, **after)
    return reader.rows("series.page", series=int(str(ids[0]["id"])), **after) if ids else []


def bulk(reader: Reader, run_ids: Sequence[str], key: str, count: int = PAGE_MAX) -> list[tuple[str, Moment]]:
    """Return points of a metric of several runs: by id of the run, then time, step and value.

    Args:
        reader: where the rows are.
        run_ids: which runs; those that there are not have no points.
        key: the metric.
        count: how many points of all runs at most.
    """
    found: list[tuple[str, Moment]] = []
    for run_id in sorted(set(run_ids)):
        if len(found) < count:
            rows = _after(reader, run_id, key, count - len(found), None)
            found += [(run_id, moment) for moment in _moments(rows)]
    return found


def sample(
    reader: Reader, run_id: str, key: str, count: int, *, low: int = -STEP_MAX, high: int = STEP_MAX
) -> list[Moment]:
    """Return points of a metric, evenly chosen by step, the first and the last among them.

    Args:
        reader: where the rows are.
        run_id: which run.
        key: the metric.
        count: how many at most; with one it is the last.
        low: lowest step.
        high: highest step.

    Raises:
        NotFound: there is no such run.
    """
    get(reader, run_id)
    name, node = step_of(key)
    which = {"run_id": run_id, "key": name, "node": node, "low": low, "high": high}
    points = cast("int", reader.value("series.between", **which))
    # The points lie in as many even stretches as are wanted, the first ones wider by one; the first of each is taken.
    narrow, wider = divmod(points, count)
    cut = {"last": points - 1, "bound": wider * (narrow + 1), "wide": narrow + 1, "narrow": max(1, narrow)}
    rows = reader.rows("series.sampled", **which, **cut)
    found = _moments(rows)
    return found if len(found) <= count else [*found[: count - 1], found[-1]]


def chart(reader: Reader, run_id: str, key: str, count: int = 500) -> list[Bucket]:
    """Return what a chart of a metric needs: for each of some stretches lowest, highest and last value.

    The stretches are of steps, or of time where all points have one step. They lie at multiples of their length, so
    that they stay where they are while the run goes on.

    Args:
        reader: where the rows are.
        run_id: which run.
        key: the metric.
        count: how many stretches there may be, about; 1 to 2,500.

    Raises:
        NotFound: there is no such run.
    """
    get(reader, run_id)
    name, node = step_of(key)
    which: dict[str, Value] = {"run_id": run_id, "key": name, "node": node}
    span = reader.row("series.span", **which)
    if span is None or not span["points"]:
        return []
    count = max(1, min(BUCKETS_MAX, count))
    by_step = span["first_step"] != span["last_step"]
    first, last = ("first_step", "last_step") if by_step else ("first_ms", "last_ms")
    unit = max(1, -(-(cast("int", span[last]) - cast("int", span[first]) + 1) // count))
    word, which = "step" if by_step else "time", which | {"unit": min(unit, STEP_MAX)}
    # Several points may share the end of a stretch: the last one stays. A step that did not log then has none.
    found: dict[object, Row] = {}
    for row in reader.rows(f"series.buckets_by_{word}", **which):
        if row["bucket"] not in found or row["value"] is not None:
            found[row["bucket"]] = row
    ends = found
    if any(row["value"] is None for row in found.values()):
        ends = {row["bucket"]: row for row in reader.rows("series.ends_by_step", **which)}
    return [_bucket(row, ends[bucket]) for bucket, row in found.items()]


def _bucket(row: Row, end: Row) -> Bucket:
    return Bucket(
        low=cast("float | None", row["low"]),
        high=cast("float | None", row["high"]),
        last=value_of(end),
        at_ms=cast("int", end["at_ms"]),
        step=cast("int", end["step"]),
        points=cast("int", row["points"]),
    )


def _moments(rows: list[Row]) -> list[Moment]:
    plain = cast("list[dict[str, Any]]", rows)
    return [(math.nan if row["is_nan"] else row["value"], row["at_ms"], row["step"]) for row in plain]
