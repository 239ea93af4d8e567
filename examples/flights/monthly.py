"""Counts what a month's flights were like: a schedule runs it when a month is over, a backfill over months before."""

import polars as pl
import tables

from ropewalk import log_metrics, pipeline, step


@step
def departures(month: int) -> pl.DataFrame:
    """Departures from New York in one month of 2013."""
    return tables.flights(month, month)


@step
def counted(flights: pl.DataFrame) -> dict[str, float]:
    """How many flew, how many of those that landed were more than 15 minutes late, how many never landed."""
    landed = flights.filter(pl.col("arr_delay").is_not_null())
    found = {
        "departures": float(flights.height),
        "never_landed": float(flights.height - landed.height),
        "share_late": float((landed["arr_delay"] > 15).mean() or 0.0),
    }
    log_metrics(found)
    return found


@pipeline(schedule="0 0 1 * *", timezone="America/New_York")
def monthly(interval_start: str = "2013-01-01T05:00:00Z") -> dict[str, float]:
    """The month that begins with the interval."""
    return counted(departures(int(interval_start[5:7])))


if __name__ == "__main__":
    for name, value in monthly().items():
        print(f"{name:16} {value:.4f}")
