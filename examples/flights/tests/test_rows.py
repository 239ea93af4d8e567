"""Tests what a row says: the label, the times, the gaps, and the order of training and holdout."""

from datetime import datetime, timedelta

import features
import polars as pl
import pytest
import tables

NOON = datetime(2013, 1, 15, 17)  # noqa: DTZ001
"""Noon in New York, in UTC."""


def flight(**facts: object) -> dict[str, object]:
    """A flight to Los Angeles at noon that left and landed in time, changed by the facts given."""
    plain: dict[str, object] = {
        "month": 1,
        "day": 15,
        "dep_time": 1200,
        "sched_dep_time": 1200,
        "dep_delay": 0,
        "arr_time": 1500,
        "sched_arr_time": 1500,
        "arr_delay": 0,
        "carrier": "UA",
        "flight": 1,
        "tailnum": "N1",
        "origin": "EWR",
        "dest": "LAX",
        "air_time": 330,
        "distance": 2454,
        "time_hour": NOON,
    }
    return plain | facts


def build(*flights: dict[str, object], weather: list[dict[str, object]] | None = None) -> pl.DataFrame:
    """Rows of these flights, under one weather report of 10:51 unless others are given."""
    report = {"origin": "EWR", "time_hour": NOON - timedelta(hours=2), "temp": 40.0, "humid": 50.0, "wind_dir": 10}
    report |= {"wind_speed": 5.0, "precip": 0.0, "pressure": 1010.0, "visib": 10.0}
    reports = [report | change for change in (weather if weather is not None else [{}])]
    planes = pl.DataFrame({"tailnum": ["N1"], "plane_year": [2003], "seats": [150]})
    return features.build(
        pl.DataFrame(flights, infer_schema_length=None),
        pl.DataFrame(reports),
        planes,
        pl.DataFrame({"faa": ["LAX", "PHX"], "tz": [-8, -7], "dst": ["A", "N"]}),
    )


@pytest.mark.parametrize(("minutes", "late"), [(-30, 0), (0, 0), (15, 0), (16, 1), (300, 1), (None, None)])
def test_late_means_more_than_fifteen_minutes_after_the_timetable(minutes: int | None, late: int | None) -> None:
    rows = build(flight(arr_delay=minutes), flight(flight=2))

    assert rows.filter(pl.col("flight_id").str.contains("UA1/"))["late"].to_list() == [late]


def test_flights_that_never_landed_are_dropped_and_the_others_kept() -> None:
    rows = build(flight(), flight(flight=2, arr_delay=None), flight(flight=3, dep_delay=None, arr_delay=None))

    landed = features.landed(rows)

    assert rows.height == 3
    assert landed["flight_id"].to_list() == ["2013-01-15/UA1/EWR-LAX"]


def test_the_question_is_asked_an_hour_ahead_and_answered_on_landing() -> None:
    row = build(flight(dep_delay=40, arr_delay=25)).row(0, named=True)

    assert row["asked_at"] == NOON - timedelta(hours=1)
    assert row["planned_minutes"] == 360
    assert row["known_at"] == NOON + timedelta(minutes=360 + 25)


def test_arizona_keeps_no_summer_time() -> None:
    july = {"month": 7, "time_hour": datetime(2013, 7, 15, 16), "dest": "PHX", "sched_arr_time": 1400}  # noqa: DTZ001

    winter = build(flight(dest="PHX", sched_arr_time=1400))
    summer = build(flight(**july))

    assert winter["planned_minutes"].item() == 120 + 120
    assert summer["planned_minutes"].item() == 120 + 180


def test_recent_delay_counts_departures_before_the_question_and_no_others() -> None:
    earlier = [flight(flight=n, time_hour=NOON - timedelta(hours=2), sched_dep_time=1000) for n in (2, 3)]
    earlier[0] |= {"dep_delay": 10}
    earlier[1] |= {"dep_delay": 61}
    earlier.append(flight(flight=4, time_hour=NOON - timedelta(hours=5), sched_dep_time=700, dep_delay=55))

    row = build(flight(), *earlier).filter(pl.col("flight_id").str.contains("UA1/"))

    assert row["recent_delay"].item() == 10.0


def test_gaps_are_null_and_words_and_whole_numbers_have_none() -> None:
    rows = build(flight(tailnum="N9", dest="XXX"), weather=[{"time_hour": NOON - timedelta(hours=9)}])

    row = rows.row(0, named=True)

    assert [row[name] for name in features.REAL] == [None] * len(features.REAL)
    assert None not in [row[name] for name in (*features.WORDS, *features.WHOLE)]


def test_a_wind_of_a_thousand_miles_an_hour_is_no_reading() -> None:
    rows = build(flight(), weather=[{"wind_speed": 1048.36}])

    assert rows["wind_speed"].to_list() == [None]
    assert rows["temp"].to_list() == [40.0]


def test_holdout_comes_after_every_answer_of_training() -> None:
    rows = features.landed(features.build(tables.flights(1, 1), tables.weather(), tables.planes(), tables.airports()))

    train, holdout = features.before(rows, 7), features.last(rows, 7)

    assert train["known_at"].max() < holdout["asked_at"].min()  # type: ignore[operator]
    assert holdout["asked_at"].max() - holdout["asked_at"].min() <= timedelta(days=7)  # type: ignore[operator]
    assert rows.height - 400 < train.height + holdout.height < rows.height
    assert features.examples(train).columns == [*features.FEATURES, "late"]


@pytest.mark.parametrize("month", [1, 7])
def test_planned_minutes_leave_room_for_the_flight_in_winter_and_summer(month: int) -> None:
    flights = tables.flights(month, month)
    names = ["day", "carrier", "flight", "origin", "dest"]
    rows = features.build(flights, tables.weather(), tables.planes(), tables.airports())
    parts = (
        rows["flight_id"].str.extract_groups(r"^2013-\d\d-(\d\d)/(\w\w)(\d+)/(\w+)-(\w+)$").struct.rename_fields(names)
    )
    rows = rows.with_columns(parts.struct.unnest()).with_columns(pl.col("day", "flight").cast(pl.Int64))

    flown = flights.join(rows, on=names)
    on_ground = flown["planned_minutes"] + flown["arr_delay"] - flown["dep_delay"] - flown["air_time"]

    assert on_ground.drop_nulls().len() == features.landed(rows).height
    assert on_ground.min() >= 0  # type: ignore[operator]
    assert on_ground.max() < 300  # type: ignore[operator]
