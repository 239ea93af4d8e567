"""Curves, strands, spots, stays and spans are drawn where their values say, and words stay words."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.console.lineage import SHOWN, Thing, drawn
from ropewalk.console.parallel import Strand, parallel
from ropewalk.console.plots import Curve, Look, Mark, plot, smoothed
from ropewalk.console.scales import decades, exact, rounds, short_number, short_span, spread
from ropewalk.console.scatter import Spot, scatter
from ropewalk.console.timeline import Stay, timeline
from ropewalk.console.waterfall import Bar, short_took, waterfall

EVIL = '"><img src=x onerror="alert(1)"><script>alert(1)</script>'
SECOND_US = 1_000_000
numbers = st.floats(allow_nan=True, allow_infinity=True)


def curve(*values: float, slot: int = 0, name: str = "loss") -> Curve:
    marks = tuple(
        Mark(step=index, at_us=index * SECOND_US, value=value, low=value, high=value)
        for index, value in enumerate(values)
    )
    return Curve(name=name, slot=slot, marks=marks, start_us=0)


def of_class(drawn: str, word: str) -> list[ET.Element]:
    return [item for item in ET.fromstring(drawn).iter() if word in str(item.get("class", "")).split()]


def test_a_curve_falls_where_the_loss_falls_and_rises_where_it_rises():
    (line,) = of_class(plot("loss", [curve(9, 1, 5)], Look()), "curve")

    heights = [float(point.split(",")[1]) for point in str(line.get("points")).split()]
    assert heights[0] < heights[2] < heights[1]


def test_nan_and_infinities_break_the_line_and_never_the_drawing():
    drawn = plot("loss", [curve(1, 2, math.nan, 3, math.inf, 4)], Look())

    assert [len(str(line.get("points")).split()) for line in of_class(drawn, "curve")] == [2, 1, 1]
    assert len(of_class(drawn, "dot")) == 2
    assert "nan" not in drawn.lower()


def test_there_is_no_plot_of_what_cannot_be_drawn():
    assert plot("x", [curve(math.nan, math.inf)], Look()) == ""
    assert plot("x", [], Look()) == ""
    assert plot("x", [curve(-1, 0)], Look(log=True)) == ""


def test_on_a_logarithmic_axis_equal_factors_are_equally_far_apart():
    (line,) = of_class(plot("x", [curve(1, 10, 100)], Look(log=True)), "curve")

    one, ten, hundred = (float(point.split(",")[1]) for point in str(line.get("points")).split())
    assert one - ten == pytest.approx(ten - hundred, abs=0.2)


def test_time_counts_from_each_runs_own_start():
    late = Curve(name="late", slot=1, start_us=500 * SECOND_US, marks=(
        Mark(step=0, at_us=500 * SECOND_US, value=1, low=1, high=1),
        Mark(step=1, at_us=502 * SECOND_US, value=2, low=2, high=2),
    ))  # fmt: skip
    drawn = plot("x", [curve(1, 2, 3), late], Look(axis="time"))

    lines = [str(line.get("points")).split() for line in of_class(drawn, "curve")]
    assert lines[0][0].split(",")[0] == lines[1][0].split(",")[0]
    assert lines[0][-1].split(",")[0] == lines[1][-1].split(",")[0]


def test_points_without_steps_are_shown_by_time():
    marks = tuple(Mark(step=0, at_us=at * SECOND_US, value=at, low=at, high=at) for at in range(3))
    drawn = plot("x", [Curve(name="x", slot=0, marks=marks, start_us=0)], Look())

    assert ET.fromstring(drawn).get("data-axis") == "time"


def test_what_a_bucket_holds_is_a_band_around_its_line():
    marks = tuple(Mark(step=step, at_us=step, value=5, low=1, high=9) for step in range(3))
    drawn = plot("x", [Curve(name="x", slot=0, marks=marks, start_us=0)], Look())

    (band,) = of_class(drawn, "span")
    heights = {float(point.split(",")[1]) for point in str(band.get("points")).split()}
    (line,) = of_class(drawn, "curve")
    middle = float(str(line.get("points")).split()[0].split(",")[1])
    assert min(heights) < middle < max(heights)


def test_the_pointer_is_told_exact_values_and_their_run():
    drawn = plot("x", [curve(0.123456, 7, name=EVIL, slot=12)], Look())

    group = next(item for item in ET.fromstring(drawn).iter() if item.get("data-values"))
    assert group.get("data-values") == "0:0.123456 1:7"
    assert group.get("data-name") == EVIL
    assert of_class(drawn, "dashed")
    assert "<img" not in drawn


@given(st.lists(numbers, max_size=30), st.booleans(), st.sampled_from(["step", "time", "clock"]))
def test_any_numbers_give_well_formed_drawings_inside_their_frame(values, log, axis):
    drawn = plot("x", [curve(*values)], Look(axis=axis, log=log, smooth=0.5))

    if drawn:
        width, height = (float(word) for word in str(ET.fromstring(drawn).get("viewBox")).split()[2:])
        for line in of_class(drawn, "curve"):
            for point in str(line.get("points")).split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height


def test_smoothing_keeps_a_constant_and_halves_a_jump():
    assert smoothed([(0, 4.0), (1, 4.0)], 0.9) == [(0, pytest.approx(4)), (1, pytest.approx(4))]
    assert smoothed([(0, 0.0), (1, 1.0)], 0.5)[1][1] == pytest.approx(2 / 3)


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_ticks_lie_between_the_ends_and_are_few(a, b):
    low, high = sorted((a, b))
    if high > low:
        ticks = rounds(low, high)
        assert len(ticks) <= 13
        assert ticks == sorted(ticks)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.booleans())
def test_every_value_has_a_place_on_its_scale(values, log):
    scale = spread(values, 200, 10, log=log)

    assert all(10 <= scale.at(value) <= 200 for value in values)


def test_ticks_are_round():
    assert rounds(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0] or rounds(0, 1) == [0, 0.5, 1.0]
    assert decades(0.001, 10) == [0.001, 0.01, 0.1, 1, 10]
    assert decades(2, 5) == [2, 5]
    assert exact(3, 3, 0, 10).at(3) == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (0.25, "0.25"), (12000, "12,000"), (3e-7, "3e-7"), (2.5e8, "2.5e8"), (-4, "-4")],
)
def test_numbers_are_said_shortly(value, said):
    assert short_number(value) == said


def test_spans_are_said_in_the_unit_that_fits():
    assert [short_span(value) for value in (40, 300, 9000, 259200)] == ["40 s", "5 min", "2.5 h", "3 d"]
    assert [short_took(value) for value in (1_500, 2_500_000, 3_000_000_000)] == ["2 µs", "2.5 ms", "3 s"]


def test_parallel_axes_take_numbers_and_words_and_leave_gaps():
    strands = [
        Strand(name="a", slot=0, values={"lr": 0.1, "model": "tree", "auc": 0.9}),
        Strand(name=EVIL, slot=1, values={"lr": 0.2, "auc": 0.5}),
    ]
    drawn = parallel("runs", ["lr", "model", "auc", "nobody"], strands)

    assert len(of_class(drawn, "axis")) == 3
    lines = [str(item.get("points")).split() for item in of_class(drawn, "curve")]
    assert [len(line) for line in lines] == [3, 1, 1]
    assert "<script" not in drawn
    assert parallel("runs", ["lr"], strands) == ""


def test_spots_stand_by_both_numbers():
    drawn = scatter(EVIL, "auc", [Spot(name="a", slot=0, x=1, y=1), Spot(name=EVIL, slot=1, x=2, y=0)])

    first, second = of_class(drawn, "dot")
    assert float(str(first.get("cx"))) < float(str(second.get("cx")))
    assert float(str(first.get("cy"))) < float(str(second.get("cy")))
    assert "<img" not in drawn
    assert scatter("a", "b", []) == ""


def test_an_alias_has_a_bar_as_long_as_it_stayed():
    stays = [
        Stay(alias="champion", version=1, from_us=0, to_us=30 * SECOND_US, who="ann"),
        Stay(alias="champion", version=2, from_us=30 * SECOND_US, to_us=40 * SECOND_US, who=EVIL),
        Stay(alias=EVIL, version=1, from_us=20 * SECOND_US, to_us=40 * SECOND_US, who="ann"),
    ]
    drawn = timeline(stays, asked_us=10 * SECOND_US)

    wide = [float(str(item.get("width"))) for item in of_class(drawn, "stay")]
    assert wide[0] == pytest.approx(3 * wide[1], rel=0.01)
    assert len(of_class(drawn, "asked")) == 1
    assert "<img" not in drawn
    assert of_class(timeline(stays, asked_us=99 * SECOND_US), "asked") == []
    assert timeline([]) == ""


def test_spans_begin_where_they_began_and_lead_to_their_details():
    bars = [
        Bar(id="a", name="answer", depth=0, from_ns=0, to_ns=1000, state="ok"),
        Bar(id='b"', name=EVIL, depth=1, from_ns=500, to_ns=1000, state="error"),
    ]
    drawn = waterfall(bars)

    whole, half = of_class(drawn, "work")
    assert float(str(whole.get("width"))) == pytest.approx(2 * float(str(half.get("width"))), rel=0.01)
    assert str(half.get("class")) == "work bad"
    assert [item.get("href") for item in ET.fromstring(drawn).iter() if item.get("href")] == ["#span-a", '#span-b"']
    assert waterfall([]) == ""


def test_a_lineage_goes_from_left_to_right_and_its_lines_end_at_their_boxes():
    run = Thing(id="r", kind="run", name="a run with a name that is long", sources=("d", "gone"))
    versions = [
        Thing(id=f"v{number}", kind="version", name=f"v{number}", sources=("r",)) for number in range(SHOWN + 3)
    ]
    found = drawn([[Thing(id="d", kind="data", name=EVIL)], [run], [], versions, []])

    x = {box["whole"]: box["x"] for box in found["boxes"]}
    assert [head["word"] for head in found["heads"]] == ["read", "run", "versions"]
    assert x[EVIL] < x[run.name] < x["v0"]
    assert len(found["lines"]) == 1 + SHOWN
    assert found["boxes"][-1]["name"] == "and 3 more"
    assert all(0 <= box["x"] <= found["width"] - found["wide"] for box in found["boxes"])
    assert all(0 <= box["y"] <= found["height"] - found["high"] for box in found["boxes"])
    start, end = found["lines"][0].removeprefix("M").split("C")
    assert start == f"{x[EVIL] + found['wide']:g} {found['boxes'][0]['y'] + found['high'] / 2:g}"
    assert end.endswith(f"{x[run.name]:g} {found['boxes'][1]['y'] + found['high'] / 2:g}")
