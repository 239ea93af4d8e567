"""Writing what was logged, each part once, and reading it again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ropewalk.refs import canonical
from ropewalk.runs.log import LogEntry, changed
from ropewalk.store.database import Reader, Row, Transaction, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a metric.

    Attributes:
        node: the step that logged it, empty for a script.
        key: the metric's name.
        step: where in the training it was.
        at_us: microseconds since the epoch.
        value: the number, NaN and infinities too.
    """

    node: str
    key: str
    step: int
    at_us: int
    value: float

    @classmethod
    def from_row(cls, row: Row) -> Point:
        """Return the point that a row holds."""
        values: dict[str, Any] = dict(row)
        value = math.nan if values["is_nan"] else float(values["value"])
        return cls(node=values["node"], key=values["key"], step=values["step"], at_us=values["at_us"], value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A parameter, tag, artifact or model of a run.

    Attributes:
        node: the step that logged it, empty for a script.
        kind: `param`, `tag`, `artifact`, `model` or `data`.
        key: its name.
        value: canonical JSON.
        at_us: microseconds since the epoch.
    """

    node: str
    kind: str
    key: str
    value: str
    at_us: int

    def content(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return the value as Python values."""
        return json.loads(self.value)


def apply(
    tx: Transaction, run_id: str, entries: Iterable[LogEntry], *, node: str = "", part: int = 0, at_us: int = 0
) -> bool:
    """Write entries to a run unless this part was written before; say whether they were written.

    Args:
        tx: the transaction; the caller owns the commit.
        run_id: which run.
        entries: what was logged.
        node: the step that logged it, empty for a script.
        part: a script's log comes in numbered parts; a step's is one.
        at_us: now, in microseconds since the epoch.

    Raises:
        Conflict: a parameter, artifact or model has another value already.
    """
    if not tx.run("runs.part", run_id=run_id, node=node, part=part, at_us=at_us):
        return False
    points: list[dict[str, Value]] = []
    latest: dict[str, dict[str, Value]] = {}
    for entry in entries:
        if entry.kind == "metric":
            point = _point(run_id, node, entry)
            points.append(point)
            newest = latest.get(entry.key)
            if newest is None or (entry.step, entry.at_us) >= (newest["step"], newest["at_us"]):
                latest[entry.key] = point
        else:
            _keep_fact(tx, run_id, node, entry)
    if points:
        tx.many("runs.metric", points)
        tx.many("runs.latest", latest.values())
    return True


def _point(run_id: str, node: str, entry: LogEntry) -> dict[str, Value]:
    value = float(str(entry.value))
    nan = math.isnan(value)
    return {
        "run_id": run_id,
        "node": node,
        "key": entry.key,
        "step": entry.step,
        "at_us": entry.at_us,
        "value": 0.0 if nan else value,
        "is_nan": int(nan),
    }


def _keep_fact(tx: Transaction, run_id: str, node: str, entry: LogEntry) -> None:
    text = canonical(entry.value).decode()
    values: dict[str, Value] = {"run_id": run_id, "kind": entry.kind, "key": entry.key, "node": node}
    if entry.kind in ("tag", "data"):
        tx.run("runs.value_set", **values, value=text, at_us=entry.at_us)
    elif not tx.run("runs.value_once", **values, value=text, at_us=entry.at_us):
        said = str(tx.value("runs.value_of", **values))
        if said != text:
            raise changed(entry, json.loads(said))


def metrics(reader: Reader, run_id: str) -> tuple[Point, ...]:
    """Return the newest point of each metric of a run, by name and step."""
    return tuple(reader.all(Point, "runs.metrics", run_id=run_id))


def history(reader: Reader, run_id: str, key: str) -> tuple[Point, ...]:
    """Return every point of one metric, by step and time."""
    return tuple(reader.all(Point, "runs.history", run_id=run_id, key=key))


def facts(reader: Reader, run_id: str, kind: str) -> tuple[Fact, ...]:
    """Return a run's parameters, tags, artifacts, models or data, by name."""
    return tuple(reader.all(Fact, "runs.values_of_kind", run_id=run_id, kind=kind))
