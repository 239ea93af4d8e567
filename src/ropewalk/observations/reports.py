"""Reports: a business metric of a prediction, told by the client that used it, such as the revenue that came of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.errors import Invalid
from ropewalk.observations.labels import BATCH_MAX, FOREVER_US, is_prediction
from ropewalk.refs import canonical, digest_of, is_name, uuid7_time_us
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

if TYPE_CHECKING:
    import polars as pl

Row = tuple[str, str, str, float, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of one prediction.

    Attributes:
        prediction: its id.
        metric: what was measured, such as `revenue`; a name of letters, digits, `.`, `_` and `-`.
        value: how much of it, in the metric's own unit.
        known_us: when the client knew it, microseconds since the epoch.
    """

    prediction: str
    metric: str
    value: float
    known_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What became of a batch.

    Attributes:
        new: reports of predictions that had none of this metric.
        revised: reports that replace another value that was known before.
        repeated: reports that say what is known, or what has been replaced since; they change nothing.
        batch: the ledger entry of the batch; 0 when nothing changed.
    """

    new: int
    revised: int
    repeated: int
    batch: int


def add(tx: Transaction, site: Site, endpoint: str, told: Sequence[Report]) -> Reported:
    """Keep a batch of reports with one ledger entry that holds the digest of them all; twice is as good as once.

    A later `known_us` wins; of two reports with the same one the last told wins.

    Args:
        tx: the transaction.
        site: the project.
        endpoint: whose predictions.
        told: the reports, 100,000 at most.

    Raises:
        Invalid: one of them is malformed; nothing was changed.
    """
    _check(told)
    kept: dict[tuple[str, str], Report] = {}
    new = revised = 0
    for report in told:
        place = (report.metric, report.prediction)
        before = kept.get(place)
        last = _last(tx, endpoint, report) if before is None else (before.value, before.known_us)
        if last is not None and (last[0] == report.value or last[1] > report.known_us):
            continue
        if before is None:
            new, revised = (new + 1, revised) if last is None else (new, revised + 1)
        kept[place] = report
    repeated = len(told) - new - revised
    if not kept:
        return Reported(new=0, revised=0, repeated=repeated, batch=0)
    rows = [(endpoint, one.metric, one.prediction, float(one.value), one.known_us) for one in kept.values()]
    body = {"new": new, "revised": revised, "repeated": repeated, "digest": batch_digest(rows)}
    batch = site.record(tx, "reports.added", f"endpoint:{endpoint}", body).seq
    tx.many("observations.report_insert", (_row(batch, row) for row in rows))
    return Reported(new=new, revised=revised, repeated=repeated, batch=batch)


def batch_digest(rows: Iterable[Row]) -> str:
    """Return the digest that the ledger holds of a batch of (endpoint, metric, prediction, value, known_us)."""
    return digest_of(canonical(sorted(list(row) for row in rows)))


def batch_rows(reader: Reader, batch: int) -> list[Row]:
    """Return the rows of a batch, for `batch_digest` to check them against ledger entry `batch`."""
    names = ("endpoint", "metric", "prediction", "value", "known_us")
    rows = reader.rows("observations.reports_of_batch", batch=batch)
    return [tuple(row[name] for name in names) for row in rows]  # type: ignore[misc]


def newest(reader: Reader, endpoint: str) -> int:
    """Return the newest batch of an endpoint, 0 for none: it changes whenever there are new reports."""
    return int(str(reader.value("observations.reports_newest", endpoint=endpoint)))


def read(reader: Reader, endpoint: str, metric: str, *, since_us: int, until_us: int) -> pl.DataFrame:
    """Return what is known of predictions whose ids were made in a half-open span of time.

    Returns:
        Columns `id` and `reported`, one row an id.
    """
    import polars as pl

    rows = reader.rows(
        "observations.reports_of_time", endpoint=endpoint, metric=metric, since_us=since_us, until_us=until_us
    )
    # Rows come in the order of known_us and batch, so the last one is the one that counts.
    frame = pl.DataFrame(
        {"id": [row["prediction"] for row in rows], "reported": [row["value"] for row in rows]},
        schema={"id": pl.String, "reported": pl.Float64},
    )
    return frame.unique("id", keep="last", maintain_order=True)


def since(reader: Reader, endpoint: str, metric: str, batch: int) -> pl.DataFrame:
    """Return what was told of a metric after a batch: columns `id` and `reported`, one row an id."""
    import polars as pl

    rows = reader.rows("observations.reports_since", endpoint=endpoint, metric=metric, batch=batch)
    frame = pl.DataFrame(
        {"id": [row["prediction"] for row in rows], "reported": [row["value"] for row in rows]},
        schema={"id": pl.String, "reported": pl.Float64},
    )
    return frame.unique("id", keep="last", maintain_order=True)


def _check(told: Sequence[Report]) -> None:
    if len(told) > BATCH_MAX:
        raise Invalid(
            "reports-too-many",
            f"One batch holds at most {BATCH_MAX} reports.",
            why=f"found {len(told)}",
            fix="send them in smaller batches",
        )
    for number, report in enumerate(told):
        wrong = _wrong(report)
        if wrong:
            raise Invalid(
                "report-malformed",
                "A report is not one; nothing of the batch was kept.",
                where=f"report {number}",
                why=wrong,
                fix='{"id": PREDICTION, "metric": "revenue", "value": 12.5, "time": "2013-09-01T06:00:00Z"}',
            )


def _wrong(report: Report) -> str:
    """Return what is wrong with a report; an empty text when nothing."""
    if not is_prediction(report.prediction):
        return f"{report.prediction[:60]!r} is no id of a prediction"
    if not is_name(report.metric):
        return f"{report.metric[:60]!r} is no name of a metric: letters, digits, '.', '_' and '-', 128 at most"
    if not math.isfinite(report.value):
        return "its value is not a finite number"
    return "" if 0 <= report.known_us < FOREVER_US else "its time is not microseconds since the epoch"


def _last(tx: Transaction, endpoint: str, report: Report) -> tuple[float, int] | None:
    row = tx.row("observations.report_last", endpoint=endpoint, metric=report.metric, prediction=report.prediction)
    return None if row is None else (float(str(row["value"])), int(str(row["known_us"])))


def _row(batch: int, row: Row) -> dict[str, str | int | float]:
    endpoint, metric, prediction, value, known_us = row
    return {
        "endpoint": endpoint,
        "metric": metric,
        "prediction": prediction,
        "value": value,
        "known_us": known_us,
        "at_us": uuid7_time_us(prediction),
        "batch": batch,
    }
