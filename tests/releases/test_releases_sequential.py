"""The e-values and bounds, against the library `ville`, against exact sums, and against dice."""

from __future__ import annotations

import math
from math import comb

import numpy as np
import pytest
from ville import BernoulliCS
from ville._boundaries import normal_mixture

from ropewalk.releases.sequential import (
    Drift,
    Split,
    bounded_exp,
    difference,
    log_e_mean_above,
    log_e_rate_above,
    log_e_rate_below,
    log_e_share,
    log_sum,
    lower_mean,
    lower_rate,
    mean,
    upper_mean,
    upper_rate,
)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("events", [1, 7, 60])
def test_the_e_value_of_a_share_has_mean_one_when_both_arms_are_alike(share: float, events: int) -> None:
    expected = sum(
        comb(events, canary)
        * share**canary
        * (1 - share) ** (events - canary)
        * math.exp(log_e_share([Split(canary=canary, champion=events - canary, share=share)]))
        for canary in range(events + 1)
    )

    assert expected == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("rate", [0.005, 0.05, 0.4])
def test_the_e_values_of_a_rate_have_mean_one_at_the_edge_and_less_inside(rate: float) -> None:
    def expected(log_e, real: float) -> float:
        return sum(
            comb(40, hits) * real**hits * (1 - real) ** (40 - hits) * math.exp(log_e(hits, 40, rate))
            for hits in range(41)
        )

    assert expected(log_e_rate_above, rate) == pytest.approx(1.0)
    assert expected(log_e_rate_below, rate) == pytest.approx(1.0)
    assert expected(log_e_rate_above, rate / 2) < 1.0
    assert expected(log_e_rate_below, rate * 1.5) < 1.0


def test_splits_under_different_shares_multiply_their_evidence() -> None:
    apart = [Split(canary=3, champion=20, share=0.05), Split(canary=9, champion=14, share=0.25)]

    both, first, second = log_e_share(apart), log_e_share(apart[:1]), log_e_share(apart[1:])

    assert both > max(first, second)


def test_more_of_the_same_harm_is_more_evidence_and_less_harm_is_none() -> None:
    worse = [log_e_share([Split(canary=k, champion=20, share=0.1)]) for k in (2, 6, 12, 30)]

    assert worse == sorted(worse)
    assert worse[0] < 0.5
    assert worse[-1] > math.log(1000)


@pytest.mark.parametrize(("hits", "rows"), [(0, 900), (3, 1000), (40, 2000), (900, 4000), (1999, 2000)])
def test_bounds_of_a_rate_agree_with_ville_and_are_no_wider(hits: int, rows: int) -> None:
    stream = np.zeros(rows)
    stream[:hits] = 1.0
    peer = BernoulliCS(alpha=0.10, prior=(0.5, 0.5), intersect=False).fit(stream)

    upper, lower = upper_rate(hits, rows, 0.05), lower_rate(hits, rows, 0.05)

    assert lower <= hits / rows <= upper
    assert upper - hits / rows <= 1.15 * (peer.upper_[-1] - hits / rows)
    assert hits / rows - lower <= 1.3 * (hits / rows - peer.lower_[-1]) + 1e-9
    assert upper - hits / rows >= 0.4 * (peer.upper_[-1] - hits / rows)


def test_no_rows_exclude_nothing() -> None:
    assert upper_rate(0, 0, 0.05) == 1.0
    assert lower_rate(0, 0, 0.05) == 0.0
    assert upper_mean(Drift(), 0.02, 0.05) == math.inf
    assert lower_mean(Drift(), 0.02, 0.05) == -math.inf
    assert Drift().estimate == 0.0


def test_a_rate_stays_below_its_upper_bound_at_every_look() -> None:
    dice = np.random.default_rng(3)
    rate, broken = 0.02, 0
    for _ in range(400):
        hits = dice.binomial(100, rate, 30).cumsum()
        # Not excluded = log e-value below ln 20; the bound is its inverse, and this is cheaper.
        broken += any(log_e_rate_below(int(k), 100 * (n + 1), rate) >= math.log(20) for n, k in enumerate(hits))

    assert broken / 400 <= 0.05


@pytest.mark.parametrize("information", [3.0, 200.0, 90_000.0])
def test_the_bound_of_a_mean_is_robbins_one_sided_mixture_as_in_ville(information: float) -> None:
    drift = Drift(pull=0.3 * information, information=information)

    radius = float(normal_mixture(information, 0.05, 1 / 0.1**2, one_sided=True)) / information

    assert upper_mean(drift, 0.1, 0.05) == pytest.approx(0.3 + radius, rel=1e-6)
    assert lower_mean(drift, 0.1, 0.05) == pytest.approx(0.3 - radius, rel=1e-6)


def test_a_difference_of_means_is_that_of_the_rows() -> None:
    dice = np.random.default_rng(5)
    canary, champion = dice.normal(0.3, 0.2, 400), dice.normal(0.1, 0.2, 3000)

    found = difference(
        canary=(400, float(canary.sum()), float((canary**2).sum())),
        champion=(3000, float(champion.sum()), float((champion**2).sum())),
        floor=1e-6,
    )

    assert found.estimate == pytest.approx(canary.mean() - champion.mean())
    assert found.information == pytest.approx(1 / (0.04 * (1 / 400 + 1 / 3000)), rel=0.1)
    assert log_e_mean_above(found, 0.1) > 100


def test_pairs_that_never_differ_do_not_look_endlessly_certain() -> None:
    found = mean(500, 0.0, 0.0, floor=0.001)

    assert found.information == pytest.approx(1e6)


def test_far_away_values_stay_finite() -> None:
    assert bounded_exp(5000.0) == 1e300
    assert log_sum([-math.inf]) == -math.inf
    assert math.isfinite(log_e_mean_above(Drift(pull=-1e6, information=1e4), 0.1))
    assert math.isfinite(log_e_share([Split(canary=0, champion=10_000_000, share=0.05)]))
