"""Reports: a business metric of a prediction, told by the client that used it, such as the revenue that came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.errors import Invalid
from ropewalk.observations.batch import BATCH_MAX, FOREVER_US, Added, seal, sift
from ropewalk.observations.labels import is_prediction
from ropewalk.refs import is_name, uuid7_time_us
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


def add(tx: Transaction, site: Site, endpoint: str, told: Sequence[Report]) -> Added:
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
    kept, new, revised = sift(
        told,
        lambda report: (report.metric, report.prediction),
        lambda report: (report.value, report.known_us),
        lambda report: _last(tx, endpoint, report),
    )
    done = Added(new=new, revised=revised, repeated=len(told) - new - revised, batch=0)
    if not kept:
        return done
    rows = [(endpoint, one.metric, one.prediction, float(one.value), one.known_us) for one in kept]
    done = seal(tx, site, "reports.added", endpoint, rows=rows, done=done)
    tx.many("observations.report_insert", (_row(done.batch, row) for row in rows))
    return done


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
