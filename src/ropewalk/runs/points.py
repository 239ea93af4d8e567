"""Writing the points of metrics: a series has a number, its points lie in order of time, its newest one is at hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import cast

from ropewalk.errors import Invalid
from ropewalk.runs.keys import check_key
from ropewalk.store.database import Reader, Row, Transaction, Value

LOOKUPS_MAX = 8
INT_MAX = (1 << 63) - 1
Point = tuple[str, float, int, int]
"""Name, value (NaN and infinities too), milliseconds since the epoch, step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The run that points, parameters and tags are written for.

    Attributes:
        number: the run's.
        experiment: id of its experiment.
        started_us: its start, microseconds since the epoch.
    """

    number: int
    experiment: int
    started_us: int

    def row(self, key: str, node: str) -> dict[str, Value]:
        """Return what every row of what it logged begins with."""
        return {
            "run": self.number,
            "key": key,
            "node": node,
            "experiment": self.experiment,
            "started_us": self.started_us,
        }


def check_point(key: object, value: float, at_ms: int, step: int) -> Point:
    """Return a point if it is one by MLflow's rules.

    Raises:
        Invalid: the name is none, the time is before 1970, or a number does not fit 64 bits.
    """
    name = check_key(key)
    if not 0 <= at_ms <= INT_MAX:
        raise Invalid(
            "metric-time-invalid",
            "A metric's time is milliseconds since 1970.",
            where=name,
            why=f"found {str(at_ms)[:40]}",
        )
    if not -INT_MAX - 1 <= step <= INT_MAX:
        raise Invalid("metric-step-invalid", "A metric's step has 64 bits.", where=name)
    return name, value, at_ms, step


def write(tx: Transaction, owner: Owner, node: str, points: Sequence[Point], *, known: int | None = None) -> None:
    """Write points; one that is there already, in all of its parts, is not written again.

    Args:
        tx: the transaction; the caller owns the commit.
        owner: the run.
        node: the step that logged them, empty for a script or a client.
        points: as `check_point` returned them.
        known: number of the series when there is one point and its series is known.
    """
    if len(points) == 1:
        (point,) = points
        series = known if known is not None else _series(tx, owner, node, {point[0]})[point[0]]
        tx.run("runs.point", series=series, **_plain(point))
        tx.run("runs.latest", **owner.row(point[0], node), **_plain(point))
        if node:
            tx.run("runs.latest", **owner.row(point[0], ""), **_plain(point))
        return
    numbers = _series(tx, owner, node, {point[0] for point in points})
    rows = [{"series": numbers[point[0]], **_plain(point)} for point in points]
    rows.sort(key=itemgetter("series"))  # so that neighbours in the table are written one after the other
    tx.many("runs.point", rows)
    newest = [(point[0], _plain(point)) for point in newest_of(points)]
    for place in {node, ""}:
        tx.many("runs.latest", [owner.row(key, place) | plain for key, plain in newest])


def newest_of(points: Iterable[Point]) -> list[Point]:
    """Return the newest point of each name: highest step, then latest time, then largest value; NaN counts as 0."""
    newest: dict[str, tuple[tuple[int, int, float], Point]] = {}
    for point in points:
        key, value, at_ms, step = point
        rank = (step, at_ms, 0.0 if math.isnan(value) else value)
        if key not in newest or rank > newest[key][0]:
            newest[key] = (rank, point)
    return [point for _, point in newest.values()]


def value_of(row: Row) -> float:
    """Return the number that a row of a metric holds."""
    return math.nan if row["is_nan"] else cast("float", row["value"])


def _plain(point: Point) -> dict[str, Value]:
    _, value, at_ms, step = point
    nan = math.isnan(value)
    return {"step": step, "at_ms": at_ms, "value": 0.0 if nan else value, "is_nan": int(nan)}


def _series(tx: Transaction, owner: Owner, node: str, keys: set[str]) -> dict[str, int]:
    """Return the numbers of series by key, made where there are none."""
    found = _known_series(tx, owner.number, node, keys)
    for key in sorted(keys - found.keys()):
        found[key] = int(str(tx.value("runs.series_insert", run=owner.number, key=key, node=node)))
    return found


def _known_series(reader: Reader, run: int, node: str, keys: set[str]) -> dict[str, int]:
    if len(keys) > LOOKUPS_MAX:
        rows = reader.rows("runs.series_of", run=run, node=node)
        return {str(row["key"]): int(str(row["id"])) for row in rows}
    found = {key: reader.value("runs.series", run=run, key=key, node=node) for key in keys}
    return {key: int(str(number)) for key, number in found.items() if number is not None}
