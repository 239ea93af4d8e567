"""A check names every planted fault by column, rule, count and rows, and finds nothing in clean data."""
# ruff: noqa: DTZ001 - times without a zone are what most tables hold

import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.data.check import check, describe
from ropewalk.data.contract import Column, Contract, Rule

CONTRACT = Contract(
    columns=(
        Column(name="hour", type="int", min=0, max=23, strict=True),
        Column(name="distance", type="float", min=0),
        Column(name="carrier", type="string", categories=("AA", "UA")),
        Column(name="wind", type="float", nullable=True, max_null_share=0.5),
        Column(name="tail", type="string", unique=True, strict=True),
        Column(name="dep", type="datetime", min="2013-01-01", max="2013-12-31T23:59:59Z"),
        Column(name="arr", type="datetime"),
        Column(name="late", type="bool"),
    ),
    rules=(Rule(left="dep", op="<=", right="arr", strict=True),),
    target="late",
)


def clean():
    return pl.DataFrame(
        {
            "hour": [0, 12, 23, 5],
            "distance": [0.0, 100.5, 2000.0, 7.0],
            "carrier": ["AA", "UA", "AA", "AA"],
            "wind": [None, 3.0, float("nan"), 4.0],
            "tail": ["a", "b", "c", "d"],
            "dep": [dt.datetime(2013, 1, 1, n) for n in range(4)],
            "arr": [dt.datetime(2013, 1, 1, n + 2) for n in range(4)],
            "late": [True, False, True, False],
        }
    )


def found(frame, contract=CONTRACT):
    return [(item.column, item.rule, item.level, item.count) for item in check(contract, frame).violations]


def test_clean_data_has_no_violations():
    report = check(CONTRACT, clean())

    assert report.ok
    assert report.rows == 4
    assert report.violations == ()


def test_a_frame_without_its_target_is_a_request_and_fine():
    assert found(clean().drop("late")) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hour": [0, 24, -1, 25]}, [("hour", "min", "error", 1), ("hour", "max", "error", 2)]),
        ({"hour": [0, None, 3, 3]}, [("hour", "null", "error", 1)]),
        ({"hour": [0.0, 1.5, 3.0, 4.0]}, [("hour", "type", "error", 1)]),
        ({"hour": ["0", "1", "2", "3"]}, [("hour", "type", "error", 4)]),
        (
            {"distance": [-1.0, float("nan"), 1.0, -2.0]},
            [("distance", "null", "error", 1), ("distance", "min", "warning", 2)],
        ),
        (
            {"distance": [1.0, float("inf"), float("-inf"), 1.0]},
            [("distance", "finite", "error", 2), ("distance", "min", "warning", 1)],
        ),
        ({"distance": [1, 2, 3, 4]}, []),
        ({"carrier": ["AA", "XX", "", "UA"]}, [("carrier", "category", "warning", 2)]),
        ({"wind": [None, None, float("nan"), 1.0]}, [("wind", "null_share", "warning", 3)]),
        ({"wind": [None, None, None, None]}, [("wind", "null_share", "warning", 4)]),
        ({"tail": ["a", "b", "a", "a"]}, [("tail", "unique", "error", 3)]),
        ({"dep": [dt.datetime(2012, 12, 31)] * 4}, [("dep", "min", "warning", 4)]),
        ({"arr": [dt.datetime(2013, 1, 1, 1)] * 4}, [("dep", "dep <= arr", "error", 2)]),
        ({"late": [1, 0, 1, 0]}, [("late", "type", "error", 4)]),
        ({"new": [1, 2, 3, 4]}, [("new", "unknown", "error", 4)]),
    ],
)  # fmt: skip
def test_a_planted_fault_is_found_alone(change, expected):
    frame = clean().with_columns(pl.Series(name, values, strict=False) for name, values in change.items())

    assert found(frame) == expected


def test_a_missing_column_is_named():
    assert found(clean().drop("hour", "arr")) == [("hour", "missing", "error", 4), ("arr", "missing", "error", 4)]


def test_an_open_contract_lets_unknown_columns_pass():
    contract = Contract(columns=(Column(name="a", type="int"),), closed=False)

    assert found(pl.DataFrame({"a": [1], "b": [2]}), contract) == []


def test_the_first_rows_are_shown_with_their_values():
    frame = pl.DataFrame({"a": [*range(10), *range(100, 110)]})
    contract = Contract(columns=(Column(name="a", type="int", max=9),))

    (violation,) = check(contract, frame).violations

    assert violation.count == 10
    assert [(sample.row, sample.value) for sample in violation.samples] == [(n + 10, str(n + 100)) for n in range(5)]
    assert describe(violation) == "a: max, 10 rows; wanted at most 9 (row 10: 100, row 11: 101, row 12: 102)"


def test_a_rule_shows_both_values():
    frame = pl.DataFrame({"low": [1.0, 5.0, None], "high": [2, 3, 1]})
    contract = Contract(
        columns=(Column(name="low", type="float", nullable=True), Column(name="high", type="int")),
        rules=(Rule(left="low", op="<", right="high"),),
    )

    (violation,) = check(contract, frame).violations

    assert (violation.rule, violation.count, violation.level) == ("low < high", 1, "warning")
    assert violation.samples[0].value == "5.0 and 3"


def test_nan_is_neither_above_a_bound_nor_in_any_order():
    frame = pl.DataFrame({"low": [math.nan, 99.0, 1.0], "high": [1.0, math.nan, 0.0]})
    contract = Contract(
        columns=(
            Column(name="low", type="float", nullable=True, max=10),
            Column(name="high", type="float", nullable=True),
        ),
        rules=(Rule(left="low", op="<=", right="high"),),
    )

    assert found(frame, contract) == [("low", "max", "warning", 1), ("low", "low <= high", "warning", 1)]


@pytest.mark.parametrize(("op", "count"), [("<", 2), ("<=", 1), ("==", 2), ("!=", 1), (">=", 1), (">", 2)])
def test_every_comparison_means_what_it_says(op, count):
    frame = pl.DataFrame({"left": [1, 2, 3], "right": [2, 2, 2]})
    contract = Contract(
        columns=(Column(name="left", type="int"), Column(name="right", type="int")),
        rules=(Rule(left="left", op=op, right="right"),),
    )

    assert check(contract, frame).violations[0].count == count


def test_a_stream_of_parquet_gives_the_same_report(tmp_path):
    frame = clean().with_columns(hour=pl.Series([0, 99, 3, 98]))
    frame.write_parquet(tmp_path / "rows.parquet")

    assert check(CONTRACT, pl.scan_parquet(tmp_path / "rows.parquet")) == check(CONTRACT, frame)


def test_an_empty_frame_breaks_nothing():
    assert check(CONTRACT, clean().clear()).violations == ()


def test_zones_are_compared_as_instants():
    zoned = clean().with_columns(pl.col("dep").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York"))

    assert found(zoned.with_columns(arr=pl.col("arr").dt.replace_time_zone("UTC"))) == []


def test_categories_of_any_type_of_text_are_compared_as_text():
    frame = clean().with_columns(pl.col("carrier").cast(pl.Categorical))

    assert found(frame) == []
    assert found(frame.with_columns(carrier=pl.lit("ZZ").cast(pl.Categorical))) == [
        ("carrier", "category", "warning", 4)
    ]


@given(st.lists(st.none() | st.integers(-5, 15) | st.floats(), max_size=30))
def test_counts_are_those_of_a_plain_loop(values):
    numbers = [None if value is None else float(value) for value in values]
    contract = Contract(columns=(Column(name="x", type="float", min=0, max=10),))
    full = [value for value in numbers if value is not None and not math.isnan(value)]

    counts = {
        item.rule: item.count
        for item in check(contract, pl.DataFrame({"x": pl.Series(numbers, dtype=pl.Float64)})).violations
    }

    expected = {
        "null": len(numbers) - len(full),
        "finite": sum(value in (float("inf"), float("-inf")) for value in full),
        "min": sum(value < 0 for value in full),
        "max": sum(value > 10 for value in full),
    }
    assert counts == {rule: count for rule, count in expected.items() if count}
