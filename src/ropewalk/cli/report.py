"""`ropewalk report` tells what came of predictions: a business metric that a canary is judged by."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid, NotFound

if TYPE_CHECKING:
    from ropewalk.observations.reports import Report

EXAMPLE = """
ropewalk report revenue 12.5 --prediction 0190b1f0-0000-7000-8000-000000000000
ropewalk report revenue --file sales.csv          # columns id and value, and time where it is known
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the metric and where its values are."""
    parser.add_argument("metric", metavar="METRIC", help="what was measured")
    parser.add_argument("value", nargs="?", type=float, default=None, metavar="VALUE", help="how much of it")
    parser.add_argument("--prediction", default="", metavar="ID", help="the prediction that it came of")
    parser.add_argument("--file", type=Path, default=None, metavar="FILE", help="Parquet, CSV or NDJSON with many")
    parser.add_argument("--environment", default="production", help="whose predictions")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Keep the reports in batches; the same command again changes nothing.

    Raises:
        Invalid: neither a file nor a prediction with a value, or a report is malformed.
        NotFound: nothing was ever live there.
    """
    from ropewalk.house import open_house
    from ropewalk.observations import reports
    from ropewalk.observations.batch import BATCH_MAX
    from ropewalk.releases import traffic

    with open_house(options.project, create=False) as house:
        site = house.site
        endpoint = traffic.endpoint_name(house.settings.model_name, options.environment)
        with site.db.read() as rows:
            if endpoint not in traffic.endpoints(rows):
                raise NotFound(
                    "endpoint-not-found",
                    "There is no such endpoint.",
                    where=f"endpoint {endpoint}",
                    fix="ropewalk ship",
                )
        told = _told(options, site.clock.now_us())
        done = [
            site.db.write(lambda tx, at=at: reports.add(tx, site, endpoint, told[at : at + BATCH_MAX]))
            for at in range(0, len(told), BATCH_MAX)
        ]
    counts = {name: sum(getattr(one, name) for one in done) for name in ("new", "revised", "repeated")}
    out.line(f"{options.metric}: {counts['new']} new, {counts['revised']} revised, {counts['repeated']} known already")
    out.result({"endpoint": endpoint, "metric": options.metric, **counts})
    out.next("ropewalk status")


def _told(options: argparse.Namespace, now_us: int) -> list[Report]:
    from ropewalk.observations.reports import Report

    if options.file is None:
        if options.value is None or not options.prediction:
            raise Invalid(
                "report-malformed",
                "There is nothing to report.",
                why="it needs --file, or a value and --prediction",
                fix=f"ropewalk report {options.metric} 12.5 --prediction ID",
            )
        return [Report(prediction=options.prediction, metric=options.metric, value=options.value, known_us=now_us)]
    return [
        Report(
            prediction=str(row["id"]),
            metric=options.metric,
            value=row["value"],
            known_us=now_us if row.get("time") is None else _time(row["time"]),
        )
        for row in _rows(options.file)
    ]


def _rows(file: Path) -> list[dict[str, Any]]:
    import polars as pl

    from ropewalk.cli.frames import read_frame

    table = read_frame(file)
    missing = [name for name in ("id", "value") if name not in table.columns]
    wrong = f"it has no column {' and '.join(missing)}" if missing else ""
    if not wrong:
        table = table.with_columns(pl.col("value").cast(pl.Float64, strict=False))
        empty = table.select("id", "value").null_count().row(0)
        wrong = f"{sum(empty)} of its ids and values are empty or no numbers" if any(empty) else ""
    if wrong:
        raise Invalid(
            "report-malformed",
            "A file of reports has the columns id and value.",
            where=file.name,
            why=wrong,
            fix="write them into it",
        )
    return table.to_dicts()


def _time(value: object) -> int:
    from ropewalk.clock import from_iso

    try:
        return from_iso(str(value))
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "report-malformed",
            "A report's time is not ISO 8601.",
            where="time",
            why=f"found {str(value)[:80]!r}",
            fix="2013-09-01T06:00:00Z",
        ) from error
