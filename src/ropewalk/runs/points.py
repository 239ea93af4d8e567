"""Writing the points of metrics: a series has a number, its points lie in order of time, its newest one is at hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from ropewalk.errors import Invalid
from ropewalk.records import frozen
from ropewalk.runs.keys import check_key
from ropewalk.store.database import Reader, Row, Transaction, Value

INT_MAX = (1 << 63) - 1
Point = tuple[str, float, int, int]
"""Name, value (NaN and infinities too), milliseconds since the epoch, step."""


@frozen
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


def check_points(points: Sequence[Point]) -> Sequence[Point]:
    """Return points if they are such by MLflow's rules; see `check_point` for what is raised."""
    for key in {point[0] for point in points}:
        check_key(key)
    times, steps = [point[2] for point in points], [point[3] for point in points]
    for numbers, least in ((times, 0), (steps, -INT_MAX - 1)):
        if numbers and not least <= min(numbers) <= max(numbers) <= INT_MAX:
            return [check_point(*one) for one in points]  # which says which one
    return points


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


def write(
    tx: Transaction, owner: Owner, node: str, points: Sequence[Point], *, known: Mapping[str, int] | None = None
) -> None:
    """Write points; one that is there already, in all of its parts, is not written again.

    Args:
        tx: the transaction; the caller owns the commit.
        owner: the run.
        node: the step that logged them, empty for a script or a client.
        points: as `check_point` returned them.
        known: numbers of those of the series that there are, by name; None where nobody has looked.
    """
    keys = {point[0] for point in points}
    numbers = dict(_known(tx, owner, node, keys) if known is None else known)
    for key in sorted(keys - numbers.keys()):
        numbers[key] = int(str(tx.value("runs.series_insert", run=owner.number, key=key, node=node)))
    rows = [
        (numbers[key], at_ms, step, value, 0) if value == value else (numbers[key], at_ms, step, 0.0, 1)  # noqa: PLR0124
        for key, value, at_ms, step in points
    ]
    rows.sort()  # so that neighbours in the table are written one after the other
    own = (owner.experiment, owner.started_us)
    newest = [
        (owner.number, key, place, *own, step, at_ms, *((value, 0) if value == value else (0.0, 1)))  # noqa: PLR0124
        for key, value, at_ms, step in newest_of(points)
        for place in {node, ""}
    ]
    tx.pour(("runs.point", rows), ("runs.latest", newest))


def newest_of(points: Iterable[Point]) -> list[Point]:
    """Return the newest point of each name: highest step, then latest time, then largest value; NaN counts as 0."""
    newest: dict[str, Point] = {}
    for point in points:
        held = newest.get(point[0])
        if held is None or point[3] > held[3] or (point[3] == held[3] and _rank(point) > _rank(held)):
            newest[point[0]] = point
    return list(newest.values())


def _rank(point: Point) -> tuple[int, float]:
    _, value, at_ms, _ = point
    return at_ms, 0.0 if math.isnan(value) else value


def value_of(row: Row) -> float:
    """Return the number that a row of a metric holds."""
    return math.nan if row["is_nan"] else cast("float", row["value"])


def _known(reader: Reader, owner: Owner, node: str, keys: Iterable[str]) -> dict[str, int]:
    from msgspec import json  # a run without metrics has no use for it

    found = reader.value("runs.series_of", run=owner.number, node=node, keys=json.encode(list(keys)).decode())
    return json.decode(str(found), type=dict[str, int])
