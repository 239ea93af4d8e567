"""Histories of native and remote runs, and what charts are drawn of: lowest, highest and last of each stretch."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.errors import NotFound
from ropewalk.runs import series
from runs.stores import STORES, begin, log, site_on


@pytest.fixture(scope="module", params=STORES)
def shared(request, tmp_path_factory):
    with site_on(request.param, tmp_path_factory.mktemp("series")) as site:
        yield site


def chart(site, run, count=500, key="loss"):
    with site.db.read() as rows:
        return series.chart(rows, run.id, key, count)


def logged(site, points, key="loss"):
    run = begin(site)
    for start in range(0, len(points), 1000):
        log(site, run, metrics=[(key, *one) for one in points[start : start + 1000]])
    return run


def test_a_short_curve_is_drawn_whole(shared):
    run = logged(shared, [(0.5, 10, 1), (math.inf, 20, 2), (-1.0, 30, 3)])

    found = chart(shared, run)

    assert [(one.low, one.high, one.last, one.at_ms, one.step, one.points) for one in found] == [
        (0.5, 0.5, 0.5, 10, 1, 1),
        (math.inf, math.inf, math.inf, 20, 2, 1),
        (-1.0, -1.0, -1.0, 30, 3, 1),
    ]


def test_a_long_curve_keeps_its_peaks(shared):
    run = logged(shared, [(1000.0 if step == 777 else math.sin(step), step, step) for step in range(3000)])

    found = chart(shared, run, 100)

    assert len(found) <= 101
    assert max(one.high for one in found) == 1000.0
    assert sum(one.points for one in found) == 3000
    assert [one.step for one in found] == sorted(one.step for one in found)
    assert found[-1].last == math.sin(2999)


def test_a_curve_without_steps_is_drawn_by_time(shared):
    run = logged(shared, [(float(n), n * 1000, 0) for n in range(500)])

    found = chart(shared, run, 10)

    assert 10 <= len(found) <= 11
    assert [one.last for one in found] == sorted(one.last for one in found)


def test_a_stretch_of_what_is_no_number_has_no_bounds(shared):
    (found,) = chart(shared, logged(shared, [(math.nan, 1, 1)]))

    assert (found.low, found.high, found.points) == (None, None, 1)
    assert math.isnan(found.last)


def test_no_metric_is_no_curve_and_no_run_is_an_error(shared):
    run = begin(shared)

    assert chart(shared, run) == []
    for work in (series.chart, series.history):
        with shared.db.read() as rows, pytest.raises(NotFound):
            work(rows, "no-such-run", "loss")


@pytest.mark.parametrize("steps", [(-(1 << 63), (1 << 63) - 1), (-5, 5), ((1 << 63) - 2, (1 << 63) - 1)])
def test_the_widest_steps_are_drawn(shared, steps):
    run = logged(shared, [(1.0, 1, steps[0]), (2.0, 2, steps[1])])

    assert sum(one.points for one in chart(shared, run, 10)) == 2


points = st.lists(
    st.tuples(st.sampled_from((0.0, 1.5, -2.0, math.nan, math.inf)), st.integers(0, 50), st.integers(-20, 20)),
    min_size=1,
    max_size=40,
)


def key(point):
    value, at_ms, step = point
    return (at_ms, step, 0.0 if math.isnan(value) else value, math.isnan(value))


@settings(max_examples=30)
@given(points=points, count=st.integers(1, 12))
def test_every_way_to_read_a_history_tells_the_same(shared, points, count):
    run = logged(shared, points)
    wanted = [key(one) for one in sorted({key(one): one for one in points}.values(), key=key)]

    with shared.db.read() as rows:
        whole, none = series.history(rows, run.id, "loss")
        paged, token = series.history(rows, run.id, "loss", count=count)
        while token:
            more, token = series.history(rows, run.id, "loss", count=count, token=token)
            paged += more
        together = [moment for _, moment in series.bulk(rows, [run.id], "loss")]
        chosen = series.sample(rows, run.id, "loss", count)
        drawn = series.chart(rows, run.id, "loss", count)

    assert none == ""
    for found in (whole, paged, together):
        assert [key(one) for one in found] == wanted
    by_step = sorted(wanted, key=lambda one: (one[1], one[0], one[2], one[3]))
    assert len(chosen) == min(count, len(wanted))
    assert key(chosen[-1]) == by_step[-1]
    assert count == 1 or key(chosen[0]) == by_step[0]
    assert sum(one.points for one in drawn) == len(wanted)
    numbers = [one[2] for one in wanted if not one[3]]
    assert [one.low for one in drawn if one.low is not None][:1] == [] or min(
        one.low for one in drawn if one.low is not None
    ) == min(numbers)
    several = by_step[0][1] != by_step[-1][1]
    ends = {one[1] if several else one[0]: one for one in by_step}
    assert [key((one.last, one.at_ms, one.step)) for one in drawn] == [
        ends[one.step if several else one.at_ms] for one in drawn
    ]
    assert key((drawn[-1].last, drawn[-1].at_ms, drawn[-1].step)) == by_step[-1]


def test_the_history_of_a_name_that_several_steps_used_is_that_of_all_or_of_one(site, begin, log):
    run = begin()
    for node, at in (("fit-6", 1), ("fit[8]", 2)):
        log(run, {"kind": "metric", "key": "auc", "value": at / 10, "step": at, "at_us": at * 1000}, node=node)
    log(run, {"kind": "metric", "key": "auc", "value": 0.2, "step": 2, "at_us": 2000}, node="fit-9")

    with site.db.read() as rows:
        both, _ = series.history(rows, run.id, "auc")
        first, token = series.history(rows, run.id, "auc", count=1)
        rest, _ = series.history(rows, run.id, "auc", count=1, token=token)
        one, _ = series.history(rows, run.id, "auc [fit[8]]")
        drawn = series.chart(rows, run.id, "auc [fit-6]")

    assert both == [(0.1, 1, 1), (0.2, 2, 2)]
    assert first + rest == both
    assert one == [(0.2, 2, 2)]
    assert [bucket.last for bucket in drawn] == [0.1]
