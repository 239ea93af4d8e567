"""What the words of a sweep mean: values, ranges, choices; and which trials a grid or a draw makes of them."""

from __future__ import annotations

import math

import pytest

from ropewalk.errors import Invalid
from ropewalk.pipelines.parameters import Parameter
from ropewalk.sweeps import draw
from ropewalk.sweeps.space import Range, Values, read

PARAMETERS = [
    Parameter(name="depth", kind="whole number"),
    Parameter(name="rate", kind="number"),
    Parameter(name="leaves", kind="several"),
    Parameter(name="colour", kind="choice", choices=("RED", "BLUE")),
    Parameter(name="note", kind="any"),
]


def one(**words: str) -> Values | Range:
    (found,) = read(words, PARAMETERS, "pipeline.py:train")
    return found


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ({"depth": "4,6,8"}, ("4", "6", "8")),
        ({"depth": "4"}, ("4",)),
        ({"depth": "4, 4,6,"}, ("4", "6")),
        ({"leaves": "7,15;31"}, ("7,15", "31")),
        ({"colour": "*"}, ("RED", "BLUE")),
        ({"colour": "BLUE"}, ("BLUE",)),
        ({"note": "a..b"}, ("a..b",)),
    ],
)
def test_values_are_taken_as_they_are_typed(words, values):
    found = one(**words)

    assert isinstance(found, Values)
    assert found.values == values


@pytest.mark.parametrize(
    ("words", "grid"),
    [
        ({"depth": "4..7"}, ("4", "5", "6", "7")),
        ({"depth": "0..10:3"}, ("0", "5", "10")),
        ({"depth": "1..100:log:3"}, ("1", "10", "100")),
        ({"rate": "0.1..0.3:3"}, ("0.1", "0.2", "0.3")),
        ({"rate": "1e-4..0.1:log:4"}, ("0.0001", "0.001", "0.01", "0.1")),
        ({"rate": "-1..1:1"}, ("-1.0",)),
        ({"note": "1..3"}, ("1", "2", "3")),
    ],
)
def test_a_grid_takes_points_of_a_range(words, grid):
    found = one(**words)

    assert isinstance(found, Range)
    assert found.grid() == grid


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"deptj": "1"}, "argument-unknown"),
        ({"depth": "8..4"}, "sweep-range-unreadable"),
        ({"depth": "0.5..4"}, "sweep-range-unreadable"),
        ({"depth": "a..b"}, "sweep-range-unreadable"),
        ({"rate": "0..1:log"}, "sweep-range-unreadable"),
        ({"rate": "0..1:cubic"}, "sweep-range-unreadable"),
        ({"rate": "0..1:3:4"}, "sweep-range-unreadable"),
        ({"rate": "0..1:0"}, "sweep-range-unreadable"),
        ({"rate": "0..1e999"}, "sweep-range-unreadable"),
        ({"rate": ","}, "sweep-range-unreadable"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_type(words, code):
    with pytest.raises(Invalid) as refused:
        one(**words)

    assert refused.value.code == code
    assert refused.value.fix.startswith("ropewalk ")


def test_a_grid_of_a_range_wants_a_number_of_points_and_says_how():
    with pytest.raises(Invalid) as refused:
        draw.grid([one(rate="0.01..0.1:log")])

    assert refused.value.fix == "ropewalk sweep rate=0.01..0.1:log:5"


def test_a_grid_is_every_combination_and_has_a_limit():
    space = read({"depth": "1..3", "colour": "*"}, PARAMETERS, "t")

    assert [(a["depth"], a["colour"]) for a in draw.grid(space)] == [(d, c) for d in "123" for c in ("RED", "BLUE")]
    with pytest.raises(Invalid, match="too many trials"):
        draw.grid(read({"depth": "1..101", "note": "1..100"}, PARAMETERS, "t"))
    with pytest.raises(Invalid, match="too many trials"):
        draw.at_random(space, 10_001, 0)


def test_a_draw_is_the_same_for_its_seed_and_its_first_ones_for_more():
    space = read({"depth": "1..1000", "rate": "0.001..1:log", "colour": "*"}, PARAMETERS, "t")
    twenty = draw.at_random(space, 20, 7)

    assert draw.at_random(space, 20, 7) == twenty
    assert draw.at_random(space, 50, 7)[:20] == twenty
    assert draw.at_random(space, 20, 8) != twenty
    assert all(1 <= int(args["depth"]) <= 1000 and 0.001 <= float(args["rate"]) <= 1 for args in twenty)


def test_a_draw_takes_each_combination_once_and_ends_where_there_are_no_more():
    space = read({"depth": "1..3", "colour": "*"}, PARAMETERS, "t")

    found = draw.at_random(space, 50, 0)

    assert sorted((args["depth"], args["colour"]) for args in found) == sorted(
        (depth, colour) for depth in "123" for colour in ("RED", "BLUE")
    )


def test_ends_of_a_range_of_whole_numbers_are_as_likely_as_what_is_between():
    depth = one(depth="4..8")
    assert isinstance(depth, Range)

    counts = [depth.at((step + 0.5) / 1000) for step in range(1000)]

    assert {text: counts.count(text) for text in sorted(set(counts))} == dict.fromkeys("45678", 200)


def test_ratios_are_equally_far_apart():
    rate = one(rate="0.001..1:log")
    assert isinstance(rate, Range)

    assert math.isclose(float(rate.at(0.5)), 0.001**0.5, rel_tol=1e-9)
    assert (rate.at(0.0), rate.at(1.0)) == ("0.001", "1.0")
