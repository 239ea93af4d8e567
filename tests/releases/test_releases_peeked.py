"""Good canaries fall in at most alpha with a look after every request; bad ones fall before the peers find them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ville._boundaries import normal_mixture

from releases.peeked_canary import (
    Traffic,
    at_requests,
    found_at,
    good,
    log_e_events,
    log_e_means,
    paired_at,
    plain_at,
    share_and_median,
)
from ropewalk.releases.sequential import Drift, Split, log_e_mean_above, log_e_share
from ropewalk.releases.signals import log_e_harmed, log_e_values
from ropewalk.releases.tally import Arm, Evidence, Stratum
from ropewalk.releases.verdict import verdict
from ropewalk.settings import Canary

PLAN = Canary(output_shift=0.5, metric="revenue")


@pytest.mark.parametrize(("canary", "champion", "share"), [(0, 0, 0.1), (7, 20, 0.1), (3, 900, 0.05), (60, 1, 0.5)])
def test_the_study_computes_what_the_judge_computes(canary: int, champion: int, share: float) -> None:
    found = log_e_events(np.array(canary), np.array(champion), share)

    assert float(found) == pytest.approx(log_e_share([Split(canary=canary, champion=champion, share=share)]))


@pytest.mark.parametrize("information", [3.0, 200.0, 90_000.0])
def test_the_study_s_means_are_the_judge_s_and_cross_where_ville_s_mixture_does(information: float) -> None:
    edge = float(normal_mixture(information, 0.05, 1 / 0.1**2, one_sided=True))

    found = float(log_e_means(np.array(edge), np.array(information), 0.1))

    assert found == pytest.approx(log_e_mean_above(Drift(pull=edge, information=information), 0.1))
    assert found == pytest.approx(math.log(20), abs=0.02)


def test_a_value_stands_from_its_event_to_the_next() -> None:
    found = at_requests(np.array([[2, 4, 5]]), np.array([[1.0, 2.0, 3.0]]), 6)

    assert found.tolist() == [[0.0, 1.0, 1.0, 2.0, 3.0, 3.0]]


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
def test_good_canaries_fall_in_at_most_alpha_with_a_look_after_every_request() -> None:
    errors, every, when = good(PLAN, Traffic(errors=(0.03, 0.03)), 100, np.random.default_rng(4))

    limit = math.log(1 / PLAN.alpha)
    assert (every >= limit).mean() <= PLAN.alpha
    assert (errors >= limit).mean() <= PLAN.alpha + 0.02
    assert every.max() > 0  # it looked
    assert ((when > 0) == (every >= limit)).all()


@pytest.mark.no_cover
@pytest.mark.parametrize("bad", [0.02, 0.03, 0.10])
def test_bad_canaries_fall_before_the_plain_e_process_has_them(bad: float) -> None:
    world, dice = Traffic(errors=(0.01, bad)), np.random.default_rng(5)

    plain = share_and_median(plain_at(PLAN.alpha, world, 800, dice))
    split = share_and_median(found_at(PLAN, world, 800, dice)[0] / world.rows)
    shadow = share_and_median(paired_at(PLAN, world, 800, dice) / world.rows)

    assert split[0] >= plain[0]
    assert shadow[1] < split[1] < plain[1]


def arm(rows: int, errors: int = 0, **more: object) -> Arm:
    return Arm(rows=rows, errors=errors, error_units=errors, **more)  # type: ignore[arg-type]


def at(champion: Arm, canary: Arm, share: float = 0.1, baseline: tuple[float, ...] = ()) -> Evidence:
    return Evidence(strata=(Stratum(share=share, champion=champion, canary=canary),), baseline=baseline)


QUARTERS = (0.25, 0.25, 0.25, 0.25)


def test_outputs_that_collapse_bring_a_candidate_down_and_those_that_follow_the_traffic_do_not() -> None:
    plan = Canary(output_shift=0.5, wait_labels=False)
    usual = arm(900, outputs=(225, 225, 225, 225))
    alike = at(usual, arm(300, outputs=(80, 70, 75, 75)), baseline=QUARTERS)
    collapsed = at(usual, arm(100, outputs=(0, 0, 0, 100)), baseline=QUARTERS)
    season = at(arm(900, outputs=(0, 0, 0, 900)), arm(100, outputs=(0, 0, 0, 100)), baseline=QUARTERS)

    assert verdict(plan, alike, step=0).decision == "promote"
    assert verdict(plan, collapsed, step=0).decision == "fall_back"
    assert verdict(plan, season, step=0).decision != "fall_back"
    assert log_e_values(Canary(output_shift=0.0), collapsed).keys() == {"errors", "invalid", "latency", "quality"}


def numbers(units: int, mean: float, deviation: float = 4.0) -> dict[str, float]:
    return {"reported": units, "harm_sum": units * mean, "harm_square_sum": units * (mean**2 + deviation**2)}


def test_a_business_metric_is_waited_for_and_brings_a_candidate_down() -> None:
    plan = Canary(output_shift=0.5, wait_labels=False, metric="revenue", metric_loss=1.0)
    good_ = at(arm(9000, **numbers(9000, -10.0)), arm(1000, **numbers(1000, -10.0)))
    poor = at(arm(9000, **numbers(9000, -10.0)), arm(1000, **numbers(1000, -8.0)))

    assert verdict(plan, at(arm(9000), arm(1000)), step=0).reason == "0 of 200 reported in the smaller arm"
    assert verdict(plan, good_, step=0).decision == "promote"
    assert verdict(plan, poor, step=0).decision == "fall_back"


def test_a_weight_bakes_and_a_budget_bounds_what_a_rise_could_harm() -> None:
    plan = Canary(output_shift=0.5, wait_labels=False, weights=(10.0, 50.0), bake_seconds=(60.0, 600.0))
    clean = at(arm(9000), arm(1000))

    assert verdict(plan, clean, step=0, waited_seconds=59).decision == "keep_watching"
    assert verdict(plan, clean, step=0, waited_seconds=60).decision == "promote"
    assert verdict(plan, clean, step=1, waited_seconds=599).reason == "this weight bakes for 600 s"
    tight = Canary(wait_labels=False, harmed_max=1)
    assert "users, 1 are left of the budget" in verdict(tight, at(arm(9000), arm(220)), step=0).reason


def test_a_spent_budget_ends_a_canary_whose_harm_is_too_small_to_matter_but_proven() -> None:
    plan = Canary(output_shift=0.5, wait_labels=False, harmed_max=300)
    slight = at(arm(900_000, 9000), arm(100_000, 1400))
    chance = at(arm(900_000, 9000), arm(100_000, 1020))

    assert slight.harmed() == pytest.approx(400)
    found = verdict(plan, slight, step=0)
    assert (found.decision, found.reason) == ("fall_back", "400 users were harmed, 300 may be")
    assert verdict(Canary(wait_labels=False), slight, step=0).decision != "fall_back"
    assert verdict(plan, chance, step=0).decision != "fall_back"
    assert log_e_harmed(chance) < 3
