"""Writing what was logged, each part once, and reading it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ropewalk.records import frozen
from ropewalk.refs import canonical
from ropewalk.runs import points
from ropewalk.runs.log import LogEntry, changed
from ropewalk.runs.run import get
from ropewalk.store.database import Reader, Row, Transaction, Value

RESERVED = "mlflow."
_TABLES = {"param": "runs.params", "tag": "runs.tags"}


@frozen
class Point:
    """One point of a metric.

    Attributes:
        node: the step that logged it, empty for a script.
        key: the metric's name.
        step: where in the training it was.
        at_us: microseconds since the epoch, in whole milliseconds.
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
        return cls(
            node=values["node"],
            key=values["key"],
            step=values["step"],
            at_us=values["at_ms"] * 1000,
            value=points.value_of(row),
        )


@frozen
class Fact:
    """A parameter, tag, artifact, model or frame of a run.

    Attributes:
        node: the step that logged it, empty for a script.
        kind: `param`, `tag`, `artifact`, `model` or `data`.
        key: its name.
        value: a text for parameters and tags, canonical JSON for all others.
    """

    node: str
    kind: str
    key: str
    value: str

    def content(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return the value as Python values."""
        return self.value if self.kind in _TABLES else json.loads(self.value)


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
        NotFound: there is no such run.
        Conflict: a parameter, artifact or model has another value already.
    """
    run = get(tx, run_id)
    if not tx.run("runs.part", run_id=run_id, node=node, part=part, at_us=at_us):
        return False
    owner = points.Owner(number=run.number, experiment=run.experiment, started_us=run.started_us)
    logged: list[points.Point] = []
    for entry in entries:
        if entry.kind == "metric":
            logged.append((entry.key, float(str(entry.value)), entry.at_us // 1000, entry.step))
        elif entry.kind in _TABLES:
            _keep_text(tx, owner, node, entry)
        else:
            _keep_fact(tx, run_id, node, entry)
    if logged:
        points.write(tx, owner, node, logged)
    return True


def _keep_text(tx: Transaction, owner: points.Owner, node: str, entry: LogEntry) -> None:
    """Write a parameter or tag for its step, and for the run itself: a parameter that is there stays."""
    row, text = owner.row(entry.key, node), str(entry.value)
    if entry.kind == "tag":
        for place in {node, ""}:
            tx.run("runs.tag", **owner.row(entry.key, place), value=text)
        return
    if not tx.run("runs.param", **row, value=text):
        said = str(tx.value("runs.param_of", run=owner.number, key=entry.key, node=node))
        if said != text:
            raise changed(entry, said)
    if node:
        tx.run("runs.param", **owner.row(entry.key, ""), value=text)


def _keep_fact(tx: Transaction, run_id: str, node: str, entry: LogEntry) -> None:
    text = canonical(entry.value).decode()
    values: dict[str, Value] = {"run_id": run_id, "kind": entry.kind, "key": entry.key, "node": node}
    if entry.kind == "data":
        tx.run("runs.value_set", **values, value=text, at_us=entry.at_us)
    elif not tx.run("runs.value_once", **values, value=text, at_us=entry.at_us):
        said = str(tx.value("runs.value_of", **values))
        if said != text:
            raise changed(entry, json.loads(said))


def metrics(reader: Reader, run_id: str) -> tuple[Point, ...]:
    """Return the newest point of each metric of a run, by name and step."""
    rows = reader.rows("runs.metrics", run_id=run_id)
    return tuple(Point.from_row(row) for row in of_steps(rows))


def history(reader: Reader, run_id: str, key: str) -> tuple[Point, ...]:
    """Return every point of one metric, by step and time."""
    return tuple(reader.all(Point, "runs.history", run_id=run_id, key=key))


def facts(reader: Reader, run_id: str, kind: str) -> tuple[Fact, ...]:
    """Return a run's parameters, tags, artifacts, models or data, by name; not the tags that MLflow has for itself."""
    if kind in _TABLES:
        rows = of_steps(reader.rows(_TABLES[kind], run_id=run_id))
        rows = [row for row in rows if kind == "param" or not str(row["key"]).startswith(RESERVED)]
    else:
        rows = reader.rows("runs.values_of_kind", run_id=run_id, kind=kind)
    return tuple(Fact(node=str(row["node"]), kind=kind, key=str(row["key"]), value=str(row["value"])) for row in rows)


def of_steps(rows: list[Row]) -> list[Row]:
    """Return rows as they were logged: where steps logged a key, without the run's own row, which is made of theirs."""
    stepped = {row["key"] for row in rows if row["node"]}
    return [row for row in rows if row["node"] or row["key"] not in stepped]
