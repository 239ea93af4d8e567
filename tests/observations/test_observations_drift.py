"""Distances are exact on the bins, know what chance can do, and stay quiet when nothing changed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ropewalk.data.profile import profile
from ropewalk.observations import drift, quality
from ropewalk.observations.drift import Distance, Reference, clump_factor


def reference(values: list[object] | np.ndarray) -> Reference:
    (column,) = profile(pl.DataFrame({"x": values})).columns
    return drift.from_profile(column)


def far(values: object, held: Reference, *, clumps: int = 14, alpha: float = 1e-4) -> Distance:
    series = pl.Series("x", values)
    parts = drift.count(series, pl.int_range(0, len(series), eager=True) % clumps, held)
    return drift.distance(parts, held, alpha=alpha)


def test_the_same_values_are_nowhere_far() -> None:
    values = np.random.default_rng(1).normal(size=5000)

    found = far(values, reference(values))

    assert found == Distance(name="ks", reading=0.0, low=0.0, psi=0.0)


def test_a_shift_is_as_far_as_the_exact_distance() -> None:
    dice = np.random.default_rng(2)
    before, after = dice.normal(size=20_000), dice.normal(0.5, size=20_000)
    grid = np.sort(np.concatenate([before, after]))
    exact = np.abs(
        np.searchsorted(np.sort(before), grid, "right") - np.searchsorted(np.sort(after), grid, "right")
    ).max() / len(before)

    found = far(after, reference(before))

    assert found.reading == pytest.approx(exact, abs=0.01)
    assert found.reading - 0.08 < found.low < found.reading
    assert found.psi > 0.1


def test_few_rows_prove_nothing() -> None:
    dice = np.random.default_rng(3)

    found = far(dice.normal(0.3, size=250), reference(dice.normal(size=5000)))

    assert found.reading > 0.05
    assert found.low == 0.0


def test_empty_values_are_a_difference() -> None:
    values = [float(at % 50) for at in range(4000)]

    found = far([None if at % 2 else value for at, value in enumerate(values)], reference(values))

    assert found.reading == pytest.approx(0.5, abs=0.01)


def test_named_values_and_new_names_count() -> None:
    held = reference(["UA"] * 3000 + ["AA"] * 1000)

    found = far(["UA"] * 2000 + ["XX"] * 2000, held)

    assert (found.name, found.reading) == ("tv", 0.5)
    assert found.low > 0.4
    assert far([True] * 500 + [False] * 500, reference([True] * 900 + [False] * 100)).reading == pytest.approx(0.4)


def test_times_are_read_as_text_and_as_times() -> None:
    held = reference(pl.datetime_range(pl.datetime(2013, 1, 1), pl.datetime(2013, 1, 31), "1h", eager=True).to_list())
    early = pl.datetime_range(pl.datetime(2013, 1, 1), pl.datetime(2013, 1, 15), "1h", eager=True)

    as_text = far(early.dt.to_string("%Y-%m-%dT%H:%M:%SZ").to_list(), held)

    assert as_text.reading == pytest.approx(0.53, abs=0.02)
    assert far(early.to_list(), held).reading == as_text.reading


def test_counts_of_parts_add_up_to_the_whole() -> None:
    dice = np.random.default_rng(4)
    held = reference(dice.normal(size=1000))
    values = pl.Series(dice.normal(size=999))

    whole = drift.count(values, pl.repeat(0, 999, eager=True), held)[0]
    parts = drift.count(values, pl.int_range(0, 999, eager=True) % 7, held)

    assert tuple(map(sum, zip(*parts, strict=True))) == whole
    assert sum(whole) == 999


def test_no_rows_are_no_distance() -> None:
    held = reference([1.0, 2.0])

    assert drift.distance([], held, alpha=0.01).reading == 0.0


def test_a_look_at_any_time_rarely_exceeds_its_bound() -> None:
    dice = np.random.default_rng(5)
    held = reference(dice.normal(size=50_000))
    broken = 0
    for _ in range(100):
        values = pl.Series(dice.normal(size=4000))
        clumps = pl.int_range(0, 4000, eager=True) % 14
        parts = drift.count(values[:200], clumps[:200], held)
        broken += any(
            drift.distance(drift.count(values[:n], clumps[:n], held), held, alpha=0.05).low > 0
            for n in (200, 300, 500, 800, 1200, 2000, 4000)
        )
        assert len(parts) == 14

    assert broken <= 5


def test_rows_that_echo_one_another_weigh_less() -> None:
    assert clump_factor([(5, 10), (5, 10), (5, 10), (5, 10)], 0.01) == 1.0
    assert clump_factor([(10, 10), (0, 10)] * 200, 0.01) == pytest.approx(10, rel=0.05)
    assert clump_factor([(10, 10), (0, 10)] * 7, 0.01) > 12
    assert clump_factor([(0, 10), (0, 10)], 0.01) == 1.0
    assert clump_factor([(3, 10)], 0.01) == 1.0


@pytest.mark.parametrize(("clumps", "alpha", "student"), [(21, 1e-3, 5.106), (10, 1e-2, 5.019), (601, 1e-4, 4.345)])
def test_few_clumps_are_judged_by_student(clumps: int, alpha: float, student: float) -> None:
    # Student's quantile at the normal's tail of sqrt(2 ln(1 / alpha)), with 2/3 of the freedom; by scipy 1.16:
    # t.isf(norm.sf(z), freedom).
    square = 2 * np.log(1 / alpha)

    assert np.sqrt(square * drift.student_excess(clumps, alpha)) == pytest.approx(student, rel=0.05)


def test_neighbours_that_resemble_each_other_widen_the_noise() -> None:
    assert drift.spread([1.0, 1.0, -1.0, -1.0] * 50) == pytest.approx(200 * 200 / 199, rel=0.05)
    assert drift.spread([1.0, 1.0, 1.0, -1.0, -1.0, -1.0] * 30) > 1.3 * 180
    assert drift.spread([1.0, -1.0] * 90) == pytest.approx(180 * 180 / 179)


def test_calibration_shows_the_gap_with_its_sign() -> None:
    dice = np.random.default_rng(6)
    was = pl.Series(dice.binomial(1, 0.3, 5000).astype(float))
    clumps = pl.int_range(0, 5000, eager=True) // 170

    found = quality.calibration(pl.Series([0.2] * 5000), was, clumps, scale=0.05, alpha=1e-4)
    few_clumps = quality.calibration(pl.Series([0.2] * 5000), was, clumps % 7, scale=0.05, alpha=1e-4)

    assert found.reading == pytest.approx(-0.1, abs=0.02)
    assert 0.03 < found.low < 0.1
    assert few_clumps.low == 0.0


def test_a_rise_of_the_loss_counts_and_a_fall_does_not() -> None:
    dice = np.random.default_rng(7)
    clumps = pl.int_range(0, 2800, eager=True) // 100
    before = pl.Series(dice.normal(0.15, 0.1, 2800)), clumps

    worse = quality.losses((pl.Series(dice.normal(0.20, 0.1, 2800)), clumps), before, scale=0.05, alpha=1e-4)
    better = quality.losses((pl.Series(dice.normal(0.10, 0.1, 2800)), clumps), before, scale=0.05, alpha=1e-4)

    assert worse.reading == pytest.approx(0.05, abs=0.01)
    assert worse.low > 0.02
    assert better.low == 0.0


def test_failures_in_one_burst_prove_less_than_failures_all_the_time() -> None:
    clumps = pl.int_range(0, 1400, eager=True) // 50
    steady = pl.int_range(0, 1400, eager=True) % 10 == 0
    burst = pl.int_range(0, 1400, eager=True) < 140

    assert quality.failures(steady, clumps, alpha=1e-4).low > 0.05
    assert quality.failures(burst, clumps, alpha=1e-4).low < 0.02
