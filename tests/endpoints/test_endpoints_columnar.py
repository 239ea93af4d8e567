from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints.live import ROW, Caller
from ropewalk.data.contract import Column, Contract, Rule
from ropewalk.data.rows import row_checker
from ropewalk.endpoints.asking import ids_of
from ropewalk.endpoints.columnar import compiled
from ropewalk.models.manifest import Field
from ropewalk.refs import uuid7_time_us

CONTRACT = Contract(
    columns=(
        Column(name="whole", type="int", min=-5, max=5),
        Column(name="number", type="float", nullable=True, min=-1.5, max=1.5),
        Column(name="flag", type="bool"),
        Column(name="word", type="string", nullable=True, categories=("EWR", "é")),
        Column(name="text", type="string"),
        Column(name="at", type="datetime", nullable=True, min="2013-01-01T00:00:00Z"),
    )
)
INPUTS = tuple(Field(name=column.name, type=column.type, nullable=column.nullable) for column in CONTRACT.columns)[::-1]
FINE: dict[str, Any] = {"whole": 1, "number": 0.5, "flag": True, "word": "EWR", "text": "a", "at": "2013-09-01"}
ODD = st.sampled_from(
    [
        *(None, True, 0, 2, 7, 1 << 70, 0.5, 2.5, math.nan, math.inf),
        *("", "EWR", "é", "JFK", "\ud800", "2013-09-01", "2012-01-01", []),
    ]
)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.dictionaries(st.sampled_from([*FINE, "wings"]), ODD, max_size=2), min_size=2, max_size=4))
def test_what_passes_as_columns_has_nothing_wrong_in_any_row_and_what_does_not_may(
    changes: list[dict[str, Any]],
) -> None:
    rows = [{**FINE, **change} for change in changes]
    check, columnar = row_checker(CONTRACT), compiled(CONTRACT, INPUTS)

    assert columnar is not None
    columns = columnar(rows)

    if columns is not None:
        assert [check(row) for row in rows] == [()] * len(rows)
        assert list(columns) == [field.name for field in INPUTS]
        for name, values in columns.items():
            assert values == [row[name] for row in rows]
            assert name != "number" or {type(value) for value in values} <= {float, type(None)}


def test_fine_rows_pass_and_left_out_ones_are_looked_at_one_by_one() -> None:
    columnar = compiled(CONTRACT, INPUTS)
    assert columnar is not None

    assert columnar([FINE, {**FINE, "number": 1, "word": None, "at": None}]) == {
        "at": ["2013-09-01", None], "text": ["a", "a"], "word": ["EWR", None],
        "flag": [True, True], "number": [0.5, 1.0], "whole": [1, 1],
    }  # fmt: skip
    assert columnar([FINE, {name: value for name, value in FINE.items() if name != "word"}]) is None
    assert columnar([FINE, {**FINE, "text": "é"}]) is None


@pytest.mark.parametrize(
    ("contract", "inputs"),
    [
        (Contract(columns=CONTRACT.columns, rules=(Rule(left="whole", op="<", right="number"),)), INPUTS),
        (Contract(columns=CONTRACT.columns[:1]), INPUTS[-1:]),
        (Contract(columns=CONTRACT.columns[:2]), INPUTS),
    ],
    ids=["rules", "one column", "columns that it does not name"],
)
def test_some_contracts_are_for_rows_alone(contract: Contract, inputs: tuple[Field, ...]) -> None:
    assert compiled(contract, inputs) is None


def test_many_rows_are_answered_as_each_alone_and_one_that_is_wrong_is_named(flights: Caller) -> None:
    rows = [{"x": at / 4, "city": "EWR" if at % 2 else None} for at in range(40)]

    together = flights.predict(*rows)[1]["predictions"]
    alone = [flights.predict(row)[1]["predictions"][0] for row in rows[:3]]
    status, refused = flights.predict(*rows, {**ROW, "x": "fast"})

    assert [one["probability"] for one in together[:3]] == [one["probability"] for one in alone]
    assert (status, [one["record"] for one in refused["problems"]]) == (422, [40])


def test_ids_of_one_moment_are_uuids_that_sort_as_their_rows() -> None:
    ids = ids_of(1_378_015_200_000_000, 10_000)

    assert ids == sorted(set(ids))
    assert {len(one) for one in ids} == {36}
    assert {one[14] for one in ids} == {"7"}
    assert {uuid7_time_us(one) for one in ids} == {1_378_015_200_000_000}
