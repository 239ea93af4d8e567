"""Tests the traffic, the variants and the migration that the demo plays with."""

import json
import shutil
import sqlite3  # noqa: TID251 - the migration runs on SQLite
from pathlib import Path

import features
import pytest
import tables
import traffic
import variants

PROJECT = Path(__file__).resolve().parent.parent
HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def april() -> list[traffic.Arrival]:
    return list(traffic.arrivals(4, 4, 0.05))


def test_questions_come_in_order_and_before_the_flight_leaves(april: list[traffic.Arrival]) -> None:
    times = [arrival.asked_at for arrival in april]

    assert times == sorted(times)
    assert 1200 < len(april) < 1600
    assert all(arrival.flight_id.startswith("2013-04-") for arrival in april)
    assert all(arrival.known_at > arrival.asked_at + HOUR // 3 for arrival in april if arrival.known_at is not None)


def test_a_question_is_json_and_holds_every_feature_and_nothing_else(april: list[traffic.Arrival]) -> None:
    for arrival in april:
        assert tuple(json.loads(json.dumps(arrival.row))) == features.FEATURES


def test_the_year_ends_with_its_weather() -> None:
    rows = traffic.questions(12, 12)

    assert rows["flight_id"].str.slice(0, 10).max() == "2013-12-30"
    assert rows.select("temp", "humid", "precip", "visib").null_count().sum_horizontal().item() == 0


def test_flights_that_never_land_are_asked_about_and_never_answered(april: list[traffic.Arrival]) -> None:
    unanswered = [arrival for arrival in april if arrival.late is None]

    assert unanswered
    assert all(arrival.known_at is None for arrival in unanswered)
    assert {arrival.late for arrival in april} == {0, 1, None}


def test_a_smaller_share_is_part_of_a_larger_one_at_the_same_microsecond(april: list[traffic.Arrival]) -> None:
    few = list(traffic.arrivals(4, 4, 0.01))
    others = {arrival.flight_id for arrival in traffic.arrivals(4, 4, 0.01, seed=1)}

    larger = {arrival.flight_id: arrival for arrival in april}

    assert all(larger[arrival.flight_id] == arrival for arrival in few)
    assert {arrival.flight_id for arrival in few} != others


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_outside_of_nought_to_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        traffic.questions(4, 4, share)


@pytest.mark.parametrize(("first", "last"), [(0, 3), (4, 3), (1, 13)])
def test_months_outside_of_the_year_are_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="months"):
        tables.flights(first, last)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path / "flights", ignore=shutil.ignore_patterns(".*", "__pycache__")))


@pytest.mark.parametrize("name", variants.VARIANTS)
def test_each_variant_changes_the_pipeline_alone_and_still_compiles(name: str, copy: Path) -> None:
    variants.apply(name, copy)

    changed = [path.name for path in copy.glob("*.*") if path.read_bytes() != (PROJECT / path.name).read_bytes()]

    assert changed == ["pipeline.py"]
    compile((copy / "pipeline.py").read_text(encoding="utf-8"), "pipeline.py", "exec")


def test_a_variant_that_no_longer_fits_writes_nothing(copy: Path) -> None:
    pipeline = copy / "pipeline.py"
    pipeline.write_text(pipeline.read_text(encoding="utf-8").replace("of 2013.", "of 2014."))
    before = pipeline.read_bytes()

    with pytest.raises(ValueError, match="leaky"):
        variants.apply("leaky", copy)

    assert pipeline.read_bytes() == before


def test_the_migration_names_every_carrier_and_its_way_back_leaves_nothing() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE kept (id INTEGER)")

    database.executescript((PROJECT / "migrations" / "0001_serving_notes.up.sql").read_text(encoding="utf-8"))
    named = dict(database.execute("SELECT code, name FROM carrier_names"))
    database.executescript((PROJECT / "migrations" / "0001_serving_notes.down.sql").read_text(encoding="utf-8"))
    left = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    database.close()

    assert named == dict(tables.airlines().iter_rows())
    assert left == ["kept"]
