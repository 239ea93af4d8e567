"""Proves that no feature knows what was written after the question was asked."""

from datetime import datetime, timedelta

import features
import polars as pl
import pytest
import tables

Others = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
NEVER = 1_000_000
"""Minutes of delay of a flight that did not leave."""
FROM_OTHERS = ("recent_delay",)
CUTS = (datetime(2013, 1, 3, 14), datetime(2013, 1, 9, 21, 30), datetime(2013, 1, 14, 11))  # noqa: DTZ001


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return tables.flights(1, 1).filter(pl.col("day") <= 15)


@pytest.fixture(scope="module")
def others() -> Others:
    return tables.weather(), tables.planes(), tables.airports()


@pytest.fixture(scope="module")
def rows(flights: pl.DataFrame, others: Others) -> pl.DataFrame:
    return features.build(flights, *others)


@pytest.fixture(scope="module")
def rows_of_another_world(flights: pl.DataFrame, others: Others) -> pl.DataFrame:
    """The same timetable on days on which everything went differently after departure."""
    return features.build(altered(flights, pl.lit(value=True)), *others)


def altered(flights: pl.DataFrame, where: pl.Expr) -> pl.DataFrame:
    """Other facts in every leak column of the flights chosen; a third of them never leaves."""
    shift = pl.int_range(pl.len()) % 200 + 1
    gone = pl.int_range(pl.len()) % 3 == 0
    facts = {name: pl.when(gone).then(None).otherwise(pl.col(name).fill_null(NEVER) + shift) for name in features.LEAKS}
    return flights.with_columns(
        pl.when(where).then(fact).otherwise(pl.col(name)).alias(name) for name, fact in facts.items()
    )


def left_at() -> pl.Expr:
    """When a flight really left; far in the future for one that never did."""
    scheduled = pl.col("time_hour") + pl.duration(minutes=pl.col("sched_dep_time") % 100)
    return scheduled + pl.duration(minutes=pl.col("dep_delay").fill_null(NEVER))


def test_no_leak_is_a_feature() -> None:
    assert not set(features.LEAKS) & set(features.FEATURES)
    assert features.TARGET not in features.FEATURES


def test_the_other_world_is_another_one(rows: pl.DataFrame, rows_of_another_world: pl.DataFrame) -> None:
    assert not rows[features.TARGET].equals(rows_of_another_world[features.TARGET])
    for name in FROM_OTHERS:
        assert not rows[name].equals(rows_of_another_world[name])


@pytest.mark.parametrize("name", [name for name in features.FEATURES if name not in FROM_OTHERS])
def test_feature_does_not_move_when_all_facts_after_departure_do(
    name: str, rows: pl.DataFrame, rows_of_another_world: pl.DataFrame
) -> None:
    assert rows[name].equals(rows_of_another_world[name])


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", features.FEATURES)
def test_feature_does_not_move_when_facts_later_than_the_question_do(
    name: str,
    cut: datetime,
    flights: pl.DataFrame,
    others: Others,
    rows: pl.DataFrame,
) -> None:
    asked = pl.col("asked_at") <= cut

    later = _built_without_the_future(flights, others, cut)

    assert rows.filter(asked)[name].equals(later.filter(asked)[name])
    assert rows.filter(asked).height > 1000


def test_weather_reported_after_the_question_is_not_seen(
    flights: pl.DataFrame, others: Others, rows: pl.DataFrame
) -> None:
    weather, planes, airports = others
    cut = CUTS[1]
    asked = pl.col("asked_at") <= cut
    unreported = pl.col("time_hour") + timedelta(minutes=51) > cut

    stormy = weather.with_columns(pl.when(unreported).then(99.0).otherwise(pl.col("visib")).alias("visib"))
    built = features.build(flights, stormy, planes, airports)

    assert rows.filter(asked).equals(built.filter(asked))
    assert not rows["visib"].equals(built["visib"])


_BUILT: dict[datetime, pl.DataFrame] = {}


def _built_without_the_future(flights: pl.DataFrame, others: Others, cut: datetime) -> pl.DataFrame:
    if cut not in _BUILT:
        _BUILT[cut] = features.build(altered(flights, left_at() >= cut), *others)
    return _BUILT[cut]
