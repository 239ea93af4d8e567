"""The canary's judge: quiet on good candidates at every look, quick on bad ones, and never content with no data."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from releases.peeked_canary import Traffic, plain_at, share_and_median
from releases.simulated_canary import LOOKS, World, falls, judged, play
from ropewalk.releases.tally import Arm, Evidence, Pairs, Stratum
from ropewalk.releases.verdict import Verdict, next_weight, verdict
from ropewalk.settings import Canary

PLAN = Canary(wait_labels=False)


def arm(rows: int, errors: int = 0, **more: float) -> Arm:
    return Arm(rows=rows, errors=errors, error_units=errors, **more)  # type: ignore[arg-type]


def losses(rows: int, mean: float, deviation: float = 0.2) -> dict[str, float]:
    return {"labelled": rows, "loss_sum": rows * mean, "loss_square_sum": rows * (mean**2 + deviation**2)}


def judge(champion: Arm, canary: Arm, plan: Canary = PLAN, share: float = 0.05, step: int = 0) -> Verdict:
    return verdict(plan, Evidence(strata=(Stratum(share=share, champion=champion, canary=canary),)), step=step)


def test_no_data_is_never_a_pass() -> None:
    assert verdict(PLAN, Evidence(), step=0).decision == "keep_watching"
    assert verdict(PLAN, Evidence(), step=-1).decision == "keep_watching"
    assert judge(arm(100_000), arm(0)).decision == "keep_watching"
    assert verdict(replace_plan(rows_min=0), Evidence(), step=0).decision == "keep_watching"


def replace_plan(**changes: object) -> Canary:
    import msgspec

    return msgspec.structs.replace(PLAN, **changes)


def test_a_clean_candidate_takes_the_next_step_once_it_has_its_rows() -> None:
    assert judge(arm(4000), arm(199)).decision == "keep_watching"
    assert judge(arm(4000), arm(300)).decision == "promote"


def test_full_traffic_asks_for_more_proof_than_the_first_step() -> None:
    early = judge(arm(20_000, 200), arm(1000, 10), share=0.05, step=0)
    late = judge(arm(20_000, 200), arm(1000, 10), share=0.5, step=2)

    assert early.decision == "promote"
    assert late.decision == "keep_watching"
    assert "allowed 0.50%" in late.reason


def test_a_candidate_that_only_fails_falls_back_within_a_handful_of_rows() -> None:
    assert judge(arm(60), arm(3, 3)).decision == "fall_back"


def test_failures_that_hit_both_arms_alike_do_not_blame_the_candidate() -> None:
    found = judge(arm(1900, 1900), arm(100, 100))

    assert found.decision == "keep_watching"
    assert found.signals[0].e_value <= 1.0


def test_an_outage_of_both_arms_is_no_data_to_rise_on() -> None:
    assert judge(arm(19_000, 19_000), arm(1000, 1000)).decision == "keep_watching"
    assert judge(arm(19_000), Arm(rows=1000, errors=801), replace_plan(error_increase=0.9)).decision != "promote"


def test_one_heavy_caller_counts_once() -> None:
    loud = Arm(rows=200, errors=150, error_units=1)

    assert judge(arm(4000, 20), loud).decision != "fall_back"


def test_an_increase_smaller_than_what_matters_is_no_reason_to_fall() -> None:
    found = judge(arm(3_000_000, 30_000), arm(3_000_000, 33_000), share=0.5)

    assert found.decision != "fall_back"
    assert found.signals[0].e_value <= 1.0


def test_invalid_outputs_bring_it_down() -> None:
    found = judge(arm(2000), Arm(rows=100, invalid=8, invalid_units=8))

    assert found.decision == "fall_back"
    assert "invalid" in found.reason


def test_slow_rows_bring_it_down_only_beyond_its_allowance() -> None:
    slow = judge(arm(2000), Arm(rows=100, slow=40, slow_units=40))
    within = judge(arm(20_000), Arm(rows=1000, slow=40, slow_units=40))
    loaded = judge(Arm(rows=2000, slow=800, slow_units=800), Arm(rows=100, slow=40, slow_units=40))

    assert slow.decision == "fall_back"
    assert within.decision != "fall_back"
    assert loaded.decision != "fall_back"


def test_worse_losses_bring_it_down_and_few_labels_do_not() -> None:
    bad = judge(arm(6000, **losses(6000, 0.15)), arm(400, **losses(400, 0.25)))
    few = judge(arm(6000, **losses(6000, 0.15)), arm(400, **losses(150, 0.25)))

    assert bad.decision == "fall_back"
    assert "loss +0.1000" in bad.reason
    assert few.decision != "fall_back"


def test_it_waits_for_labels_only_where_they_are_wanted() -> None:
    patient = replace_plan(wait_labels=True)

    waiting = judge(arm(9000), arm(500), patient)
    labelled = judge(arm(9000, **losses(9000, 0.15)), arm(1500, **losses(1500, 0.145)), patient)

    assert waiting.decision == "keep_watching"
    assert "0 of 200 labelled" in waiting.reason
    assert judge(arm(9000), arm(500)).decision == "promote"
    assert labelled.decision == "promote"


def test_a_shadow_may_take_its_first_share_without_labels() -> None:
    patient = replace_plan(wait_labels=True)
    evidence = Evidence(pairs=Pairs(champion=arm(400), canary=arm(400)))

    found = verdict(patient, evidence, step=-1)

    assert found.decision == "promote"
    assert next_weight(patient, -1) == 5.0


def test_it_stays_on_the_ground_while_a_signal_is_unsure() -> None:
    found = judge(arm(9000, **losses(9000, 0.15)), arm(300, **losses(300, 0.15)), replace_plan(wait_labels=True))

    assert found.decision == "keep_watching"
    assert found.signals[3].says == "unsure"


def test_patience_ends_without_a_verdict() -> None:
    hasty = replace_plan(patience_seconds=60.0)
    evidence = Evidence(strata=(Stratum(share=0.05, champion=arm(10), canary=arm(1)),))

    assert verdict(hasty, evidence, step=0, waited_seconds=59.0).decision == "keep_watching"
    assert verdict(hasty, evidence, step=0, waited_seconds=60.0).decision == "fall_back"


def test_rows_of_a_step_are_those_of_its_own_weight() -> None:
    first = Stratum(share=0.05, champion=arm(9000), canary=arm(5000))
    second = Stratum(share=0.25, champion=arm(100), canary=arm(30))

    assert verdict(PLAN, Evidence(strata=(first, second)), step=1).decision == "keep_watching"
    assert verdict(PLAN, Evidence(strata=(first, replace(second, canary=arm(200)))), step=1).decision == "promote"


def test_a_time_of_day_that_is_harder_for_both_does_not_look_like_harm() -> None:
    # 5 % of an easy morning, 50 % of a hard evening: pooled rows would blame the candidate for the evening.
    morning = Stratum(share=0.05, champion=arm(9500, **losses(9500, 0.05)), canary=arm(500, **losses(500, 0.05)))
    evening = Stratum(share=0.5, champion=arm(5000, **losses(5000, 0.30)), canary=arm(5000, **losses(5000, 0.30)))

    quality = verdict(PLAN, Evidence(strata=(morning, evening)), step=2).signals[3]

    assert quality.reading == pytest.approx(0.0, abs=1e-9)
    assert quality.e_value <= 1.0


# `make fault` asks the judge itself at each look of each canary; the gate computes for all at once what it says.
ONE_BY_ONE = bool(os.environ.get("ROPEWALK_CANARIES"))
WORLDS = (
    World(errors=(0.01, 0.01), slow=(0.03, 0.03), shares=(0.05, 0.25, 0.5)),
    World(errors=(0.01, 0.05), slow=(0.03, 0.2), loss=(0.15, 0.18)),
    World(errors=(0.01, 0.03), loss=(0.15, 0.2), shadow=True),
)


@pytest.mark.parametrize("world", WORLDS)
def test_what_is_computed_for_all_canaries_at_once_is_what_the_judge_says(world: World) -> None:
    played = play(world, 4, seed=10)
    at_once = played.log_e(PLAN)

    said = [[judged(PLAN, played, run, look) for look in range(0, LOOKS, 3)] for run in range(4)]

    assert at_once[:, ::3] == pytest.approx(np.array(said), rel=1e-9, abs=1e-9)
    assert at_once.max() > 0


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@pytest.mark.fault
def test_good_candidates_fall_back_in_at_most_alpha_of_2000_canaries_with_a_look_at_every_step() -> None:
    for base, runs in ((0.01, 2000), (0.03, 2000)):
        world = World(errors=(base, base), slow=(0.03, 0.03), shares=(0.05, 0.25, 0.5))

        share, _ = falls(PLAN, world, runs, seed=11, one_by_one=ONE_BY_ONE)

        print(f"A/A at {base:.0%} errors: {share:.2%} of {runs} canaries fell back, at most {PLAN.alpha:.0%} may")  # noqa: T201 - figures
        assert share <= PLAN.alpha


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@pytest.mark.fault
def test_good_shadows_fall_back_in_at_most_alpha() -> None:
    share, _ = falls(PLAN, World(shadow=True), 2000, seed=12, one_by_one=ONE_BY_ONE)

    print(f"A/A in the shadow: {share:.2%} of 2000 fell back")  # noqa: T201 - figures
    assert share <= PLAN.alpha


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@pytest.mark.parametrize(("bad", "caught", "minutes"), [(0.02, 0.9, 25), (0.03, 0.99, 10), (0.10, 1.0, 2)])
def test_more_errors_are_caught_as_soon_as_by_a_test_that_has_all_of_alpha_for_them(
    bad: float, caught: float, minutes: float
) -> None:
    world, runs = World(errors=(0.01, bad)), 1000

    share, at = falls(PLAN, world, runs, seed=13)
    shadow_share, shadow_at = falls(PLAN, replace(world, shadow=True), runs, seed=14)
    plain = plain_at(PLAN.alpha, Traffic(errors=world.errors), runs, np.random.default_rng(15))
    plain_share, plain_when = share_and_median(plain)

    print(  # noqa: T201 - figures for people, shown by -s
        f"errors 1 % -> {bad:.0%}: split {share:.1%} in {at:g} min, shadow {shadow_share:.1%} in {shadow_at:g} min, "
        f"plain e-process {plain_share:.1%} in {plain_when:g} min"
    )
    assert share >= caught
    assert at <= minutes
    assert shadow_share >= share
    assert shadow_at <= min(at, plain_when)


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
def test_worse_losses_are_caught() -> None:
    share, at = falls(PLAN, World(loss=(0.15, 0.18)), 1000, seed=16)

    print(f"loss 0.15 -> 0.18: {share:.1%} in {at:g} min")  # noqa: T201 - figures
    assert share >= 0.95
