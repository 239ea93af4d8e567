"""Charts are well-formed SVG that shows what it was given and nothing that a user wrote as markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from ropewalk.console.charts import Line, Point, histogram_pair, line_chart, spark, split_bar

DAY_US = 86_400_000_000
EVIL = '<img src=x onerror="alert(1)">'


def series(*values: float, alarm_at: int = -1) -> Line:
    points = tuple(
        Point(at_us=index * DAY_US, value=value, low=value - 1, high=value + 1, alarm=index == alarm_at)
        for index, value in enumerate(values)
    )
    return Line(name="rate", points=points)


def test_draws_a_point_and_its_interval_for_each_value_and_marks_the_alarm() -> None:
    tree = ET.fromstring(line_chart("late flights", "share", [series(1, 2, 4, alarm_at=2)], thresholds=[3]))

    circles = [item for item in tree.iter() if item.tag == "circle"]
    assert len(circles) == 3
    assert [item.get("class") for item in circles] == ["dot s0", "dot s0", "dot alarm"]
    assert len([item for item in tree.iter() if item.get("class") == "limit"]) == 1
    assert len([item for item in tree.iter() if item.tag == "polygon"]) == 1


def test_higher_values_stand_higher() -> None:
    tree = ET.fromstring(line_chart("x", "y", [series(1, 9)]))

    low, high = (float(item.get("cy", "nan")) for item in tree.iter() if item.tag == "circle")
    assert high < low


def test_a_chart_of_nothing_is_nothing() -> None:
    assert line_chart("x", "y", [Line(name="empty", points=())]) == ""
    assert histogram_pair("x", [], [], []) == ""
    assert spark([1.0]) == ""


def test_one_single_point_can_be_drawn() -> None:
    ET.fromstring(line_chart("x", "y", [series(0.0)]))


def test_names_that_look_like_markup_stay_text() -> None:
    drawn = line_chart(EVIL, EVIL, [Line(name=EVIL, points=(Point(at_us=0, value=1.0),))])
    drawn += histogram_pair(EVIL, [EVIL], [1.0], [1.0])

    assert "<img" not in drawn


def test_the_bar_is_cut_by_shares() -> None:
    tree = ET.fromstring(split_bar([("champion", 0.75), ("canary", 0.25)]))

    assert [(item.get("class"), item.get("width")) for item in tree] == [("champion", "300.00"), ("canary", "100.00")]


def test_two_distributions_stand_beside_each_other() -> None:
    tree = ET.fromstring(histogram_pair("wind", ["a", "b"], [0.5, 0.5], [0.0, 1.0]))

    bars = [item for item in tree.iter() if item.tag == "rect"]
    assert len(bars) == 4
    assert float(bars[1].get("height", "nan")) == 0
