"""A record is checked field by field: what is wrong is named, and good records pass whole."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.data.check import check
from ropewalk.data.contract import Column, Contract, Rule
from ropewalk.data.kinds import to_frame
from ropewalk.data.rows import row_checker

CONTRACT = Contract(
    columns=(
        Column(name="hour", type="int", min=0, max=23, strict=True),
        Column(name="distance", type="float", min=0, max=5000),
        Column(name="carrier", type="string", categories=("AA", "UA")),
        Column(name="wind", type="float", nullable=True),
        Column(name="weekend", type="bool"),
        Column(name="dep", type="datetime", min="2013-01-01"),
        Column(name="arr", type="datetime"),
        Column(name="late", type="bool"),
    ),
    rules=(Rule(left="dep", op="<=", right="arr"),),
    target="late",
)
GOOD = {
    "hour": 5,
    "distance": 100.5,
    "carrier": "AA",
    "wind": None,
    "weekend": False,
    "dep": "2013-09-01T06:00:00Z",
    "arr": "2013-09-01T08:00:00-04:00",
}


@pytest.fixture(scope="module")
def checker():
    return row_checker(CONTRACT)


def problems(checker, **changes):
    record = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return [(item.field, item.rule, item.strict) for item in checker(record)]


def test_a_good_record_has_no_problems(checker):
    assert checker(GOOD) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hour": ...}, [("hour", "missing", True)]),
        ({"wind": ...}, []),
        ({"hour": None}, [("hour", "null", True)]),
        ({"hour": True}, [("hour", "type", True)]),
        ({"hour": 5.0}, [("hour", "type", True)]),
        ({"hour": "5"}, [("hour", "type", True)]),
        ({"hour": 24}, [("hour", "max", True)]),
        ({"hour": -1}, [("hour", "min", True)]),
        ({"hour": 2**63}, [("hour", "type", True)]),
        ({"distance": 3}, []),
        ({"distance": False}, [("distance", "type", True)]),
        ({"distance": -0.5}, [("distance", "min", False)]),
        ({"distance": 5000.5}, [("distance", "max", False)]),
        ({"distance": math.nan}, [("distance", "finite", True)]),
        ({"distance": math.inf}, [("distance", "finite", True)]),
        ({"distance": 10**400}, [("distance", "finite", True)]),
        ({"wind": math.nan}, []),
        ({"wind": -math.inf}, [("wind", "finite", True)]),
        ({"wind": 10**400}, [("wind", "finite", True)]),
        ({"wind": []}, [("wind", "type", True)]),
        ({"carrier": "ZZ"}, [("carrier", "category", False)]),
        ({"carrier": 1}, [("carrier", "type", True)]),
        ({"carrier": "\ud800"}, [("carrier", "type", True)]),
        ({"weekend": 0}, [("weekend", "type", True)]),
        ({"weekend": "false"}, [("weekend", "type", True)]),
        ({"dep": "soon"}, [("dep", "type", True)]),
        ({"dep": 1378015200}, [("dep", "type", True)]),
        ({"dep": "2012-01-01"}, [("dep", "min", False)]),
        ({"arr": "2013-09-01T05:00:00Z"}, [("dep", "dep <= arr", False)]),
        ({"late": True}, [("late", "unknown", True)]),
        ({"dep_delay": 3}, [("dep_delay", "unknown", True)]),
    ],
)
def test_a_wrong_field_is_named_alone(checker, changes, expected):
    assert problems(checker, **changes) == expected


def test_every_wrong_field_is_named_at_once(checker):
    assert [item.field for item in checker({})] == ["hour", "distance", "carrier", "weekend", "dep", "arr"]


def test_a_misspelt_field_is_told_the_nearest_name(checker):
    messages = {item.field: item.message for item in checker(GOOD | {"carier": "AA"})}

    assert "did you mean 'carrier'?" in messages["carier"]


def test_a_long_value_is_cut_in_the_message(checker):
    (problem,) = checker(GOOD | {"hour": "x" * 100_000})

    assert len(problem.message) < 200
    assert "a whole number" in problem.message


def test_an_open_contract_lets_unknown_fields_pass():
    contract = Contract(columns=(Column(name="a", type="int"),), closed=False)

    assert row_checker(contract)({"a": 1, "b": object()}) == ()


def test_columns_become_a_frame_of_the_types_of_the_contract():
    columns = {name: [GOOD[name], GOOD[name]] for name in reversed(GOOD)} | {"distance": [1, 2.5], "wind": [None, 3]}

    frame = to_frame(CONTRACT, columns)

    assert frame.columns == list(GOOD)
    assert frame.dtypes == [
        pl.Int64, pl.Float64, pl.String, pl.Float64, pl.Boolean, pl.Datetime("us", "UTC"), pl.Datetime("us", "UTC"),
    ]  # fmt: skip
    assert frame["distance"].to_list() == [1.0, 2.5]
    assert frame["dep"][0].isoformat() == "2013-09-01T06:00:00+00:00"
    assert to_frame(CONTRACT, {name: values for name, values in columns.items() if name != "wind"})[
        "wind"
    ].to_list() == [None, None]


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.none(), max_size=1)


@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), VALUES))
def test_no_record_whatever_makes_the_checker_fail(record):
    assert all(item.message for item in row_checker(CONTRACT)(record))


@given(
    st.fixed_dictionaries(
        {
            "hour": st.none() | st.integers(-3, 30),
            "distance": st.none() | st.floats() | st.integers(-5, 6000),
            "carrier": st.none() | st.sampled_from(["AA", "UA", "ZZ"]),
            "wind": st.none() | st.floats(),
            "weekend": st.none() | st.booleans(),
            "dep": st.sampled_from(["2012-12-31T00:00:00Z", "2013-09-01T06:00:00Z"]),
            "arr": st.sampled_from(["2013-01-01T00:00:00Z", "2013-10-01T00:00:00Z"]),
        }
    )
)
def test_one_record_and_a_frame_of_one_row_are_judged_alike(record):
    """NaN where nothing may be empty is `finite` in a record and `null` in a frame; all else is the same."""
    by_row = {
        (
            item.field,
            "null" if item.rule == "finite" and record[item.field] != record[item.field] else item.rule,
            item.strict,
        )
        for item in row_checker(CONTRACT)(record)
    }
    frame = to_frame(CONTRACT, {name: [value] for name, value in record.items()})
    by_frame = {(item.column, item.rule, item.level == "error") for item in check(CONTRACT, frame).violations}

    infinite = {field for field, rule, _ in by_row if rule == "finite"}
    assert by_row == {item for item in by_frame if not (item[0] in infinite and item[1] in ("min", "max"))}
