"""A contract is inferred, edited as text, and refuses what does not fit together."""
# ruff: noqa: DTZ001 - times without a zone are what most tables hold

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.data.check import check
from ropewalk.data.contract import Column, Contract, Rule, from_json, from_toml, to_json, to_toml
from ropewalk.data.infer import infer
from ropewalk.errors import Invalid

ROWS = 400
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NUMBERS = st.none() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)


def flights():
    return pl.DataFrame(
        {
            "hour": [n % 24 for n in range(ROWS)],
            "distance": [100.0 + n for n in range(ROWS)],
            "carrier": [("UA", "AA", "B6")[n % 3] for n in range(ROWS)],
            "wind": [None if n % 10 == 0 else n / 10 for n in range(ROWS)],
            "weekend": [n % 7 > 4 for n in range(ROWS)],
            "flight": [f"N{n}" for n in range(ROWS)],
            "sched_dep": [dt.datetime(2013, 1, 1) + dt.timedelta(hours=n) for n in range(ROWS)],
            "sched_arr": [dt.datetime(2013, 1, 1, 3) + dt.timedelta(hours=n) for n in range(ROWS)],
            "late": [n % 4 == 0 for n in range(ROWS)],
        }
    )


def test_a_frame_keeps_the_contract_that_was_inferred_from_it():
    assert check(infer(flights(), target="late"), flights()).violations == ()


def test_inference_says_types_presence_ranges_categories_uniqueness_and_orders():
    contract = infer(flights(), target="late", slack=0.5)

    assert [column.type for column in contract.columns] == [
        "int", "float", "string", "float", "bool", "string", "datetime", "datetime", "bool",
    ]  # fmt: skip
    assert contract.column("hour") == Column(name="hour", type="int", min=0, max=35)
    assert contract.column("distance") == Column(name="distance", type="float", min=0, max=698.5)
    assert contract.column("carrier").categories == ("AA", "B6", "UA")
    assert contract.column("wind").nullable
    assert contract.column("wind").max_null_share == pytest.approx(0.16)
    assert contract.column("flight") == Column(name="flight", type="string", unique=True)
    assert contract.column("sched_dep").min is None, "time moves on"
    assert contract.rules == (Rule(left="sched_dep", op="<=", right="sched_arr"),)
    assert not any(column.strict for column in contract.columns)


def test_only_columns_named_as_a_pair_get_an_order():
    frame = pl.DataFrame(
        {
            "price_low": range(ROWS),
            "price_high": range(1, ROWS + 1),
            "dep_time": [n + 2 for n in range(ROWS)],
            "air_time": [n % 2 for n in range(ROWS)],
        }
    )

    assert [rule.text for rule in infer(frame).rules] == ["price_low <= price_high"]


def test_requests_do_not_have_the_target():
    contract = infer(flights(), target="late")

    assert "late" not in {column.name for column in contract.inputs}
    assert contract.without_target().target == ""
    assert len(contract.without_target().columns) == len(contract.columns) - 1


def test_a_target_that_is_no_column_is_refused():
    with pytest.raises(Invalid) as caught:
        infer(flights(), target="delay")

    assert caught.value.code == "target-unknown"


def test_a_type_without_a_word_is_named():
    with pytest.raises(Invalid) as caught:
        infer(pl.DataFrame({"good": [1], "bad": [[1]]}))

    assert (caught.value.code, caught.value.where) == ("column-type-unsupported", "bad")


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([], dtype=pl.Float64),
        pl.Series([None, None], dtype=pl.Int64),
        pl.Series([float("nan")]),
        pl.Series([float("inf"), 1.0]),
        pl.Series([2**63 - 1, -(2**63)]),
        pl.Series([1.7e308, -1.7e308]),
        pl.Series([0, 0]),
        pl.Series(["", ""]),
        pl.Series([2**64 - 1], dtype=pl.UInt64),
        pl.Series(["1.5"]).cast(pl.Decimal(10, 2)),
    ],
)
def test_strange_columns_still_give_a_contract_that_can_be_written(values):
    contract = infer(pl.DataFrame({"x": values}))

    assert from_toml(to_toml(contract)) == from_json(to_json(contract)) == contract


columns = st.builds(
    Column,
    name=NAMES,
    type=st.just("float"),
    nullable=st.booleans(),
    min=NUMBERS,
    max=NUMBERS,
    unique=st.booleans(),
    strict=st.booleans(),
    max_null_share=st.none() | st.floats(0, 1),
) | st.builds(Column, name=NAMES, type=st.just("string"), categories=st.none() | st.lists(NAMES, max_size=4).map(tuple))


@given(st.lists(columns, max_size=4, unique_by=lambda column: column.name), st.booleans())
def test_a_contract_reads_back_equal_from_both_of_its_texts(made, closed):
    contract = Contract(columns=tuple(made), closed=closed)

    assert from_json(to_json(contract)) == contract
    assert from_toml(to_toml(contract)) == contract


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[[columns]]\nname = "a"\ntype = "number"', "number"),
        ('[[columns]]\nname = "a"\ntype = "int"\nmaximum = 3', "maximum"),
        ('[[columns]]\nname = "a"', "type"),
        ('target = "y"\n[[columns]]\nname = "a"\ntype = "int"', "'y'"),
        ('[[columns]]\nname = "a"\ntype = "int"\n[[columns]]\nname = "a"\ntype = "int"', "same name"),
        ('[[columns]]\nname = "a"\ntype = "string"\nmin = 3', "min"),
        ('[[columns]]\nname = "a"\ntype = "int"\nmin = "x"', "min"),
        ('[[columns]]\nname = "a"\ntype = "datetime"\nmin = "soon"', "soon"),
        ('[[columns]]\nname = "a"\ntype = "int"\ncategories = ["x"]', "categories"),
        ('[[columns]]\nname = "a"\ntype = "int"\nmax_null_share = 1.5', "max_null_share"),
        ('[[columns]]\nname = "a"\ntype = "int"\n[[rules]]\nleft = "a"\nop = "<="\nright = "b"', "'b'"),
        ('[[columns]]\nname = "a"\ntype = "int"\n[[rules]]\nleft = "a"\nop = "~"\nright = "a"', "~"),
        (
            (
                '[[columns]]\nname = "a"\ntype = "int"\n[[columns]]\nname = "b"\ntype = "string"\n'
                '[[rules]]\nleft = "a"\nop = "<="\nright = "b"'
            ),
            "compares int with string",
        ),
        ("columns = ", "Invalid value"),
    ],
)
def test_a_contract_that_does_not_fit_together_is_refused_by_name(text, named):
    with pytest.raises(Invalid) as caught:
        from_toml(text)

    assert caught.value.code == "contract-invalid"
    assert named in caught.value.why


def test_an_edited_contract_is_what_is_checked():
    text = to_toml(infer(flights(), target="late")).replace("max = 35", "max = 22\nstrict = true")

    report = check(from_toml(text), flights())

    assert [(item.column, item.rule, item.level, item.count) for item in report.violations] == [
        ("hour", "max", "error", ROWS // 24)
    ]
