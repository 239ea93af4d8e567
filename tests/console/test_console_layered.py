"""Graphs are drawn the same way each time, left to right, nothing above anything else, however many steps there are."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.console.grouped import BOXES_MAX, SINGLES_MAX, Call, picture
from ropewalk.console.layered import DOWN, HIGH, WIDE, drawn, layers_of


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    count = draw(st.integers(1, 25))
    needs: dict[str, list[str]] = {}
    for number in range(count):
        before = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=3)) if number else []
        needs[f"n{number}"] = [f"n{one}" for one in before]
    return needs


@given(graphs())
def test_each_box_stands_right_of_what_it_needs_and_none_covers_another(needs: dict[str, list[str]]) -> None:
    found = drawn(needs)

    assert found.places.keys() == needs.keys()
    assert {(one, name) for one, name, _ in found.lines} == {(one, name) for name in needs for one in needs[name]}
    for name, listed in needs.items():
        assert all(found.places[one][0] + WIDE < found.places[name][0] for one in listed)
    columns: dict[float, list[float]] = {}
    for x, y in found.places.values():
        assert 0 <= x <= found.width - WIDE
        assert 0 <= y <= found.height - HIGH
        columns.setdefault(x, []).append(y)
    for tops in columns.values():
        tops.sort()
        assert all(low + HIGH + DOWN - 0.3 <= high for low, high in pairwise(tops))
    assert drawn(needs) == found


def test_lines_that_need_not_cross_do_not() -> None:
    needs = {"a": [], "b": [], "c": [], "x": ["c"], "y": ["b"], "z": ["a"]}

    places = drawn(needs).places

    order = [sorted("abc", key=lambda one: places[one][1]), sorted("xyz", key=lambda one: places[one][1])]
    assert [{"c": "x", "b": "y", "a": "z"}[one] for one in order[0]] == order[1]


def test_what_needs_nothing_stands_just_before_its_first_use() -> None:
    assert layers_of({"a": [], "b": ["a"], "late": [], "c": ["b", "late"]}) == {"a": 0, "b": 1, "late": 1, "c": 2}


def calls(needs: dict[str, list[str]]) -> tuple[Call, ...]:
    return tuple(Call(id=one, name=one.partition("-")[0], needs=tuple(listed)) for one, listed in needs.items())


def test_a_thousand_unrolled_calls_are_a_few_boxes_that_hold_each_step_once() -> None:
    fits = {f"fit-{number}": ["load"] for number in range(1000)}

    found = picture(calls({"load": [], **fits, "best": list(fits)}))

    assert [(box.title, len(box.steps)) for box in found.boxes] == [("load", 1), ("fit", 1000), ("best", 1)]
    assert len(found.drawn.lines) == 2
    assert found.grouped


def test_a_long_loop_of_two_functions_is_one_box_and_what_comes_after_it_another() -> None:
    needs: dict[str, list[str]] = {"a-0": []}
    for number in range(1, 400):
        needs[f"{'ab'[number % 2]}-{number}"] = [f"{'ab'[(number - 1) % 2]}-{number - 1}"]
    needs["end"] = ["b-399"]

    found = picture(calls(needs))

    assert [(box.title, len(box.steps)) for box in found.boxes] == [("a, b", 400), ("end", 1)]


def test_a_thousand_functions_in_a_chain_are_stretches() -> None:
    needs: dict[str, list[str]] = {"f0": []}
    needs |= {f"f{number}": [f"f{number - 1}"] for number in range(1, 1000)}

    found = picture(calls(needs))

    assert len(found.boxes) == BOXES_MAX
    assert sum(len(box.steps) for box in found.boxes) == 1000
    assert len(found.drawn.lines) == BOXES_MAX - 1


def test_a_graph_that_can_be_looked_at_shows_each_step() -> None:
    needs = {f"fit-{number}": [] for number in range(SINGLES_MAX)}

    assert [box.key for box in picture(calls(needs)).boxes] == list(needs)


def test_one_step_is_a_drawing() -> None:
    found = drawn({"only": []})

    assert len(found.places) == 1
    assert found.lines == ()
