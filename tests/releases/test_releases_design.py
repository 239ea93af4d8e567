"""What is said of a canary before it begins is what its judge does afterwards, and what simulated ones show."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from releases.peeked_canary import Traffic, found_at
from ropewalk.errors import Refused
from ropewalk.refs import canonical
from ropewalk.releases.design import Baseline, check, design, lines, recorded
from ropewalk.releases.tally import Arm, Evidence, Stratum
from ropewalk.releases.verdict import verdict
from ropewalk.settings import Canary

PLAN = Canary(weights=(10.0, 50.0), wait_labels=False, error_increase=0.02)
BASELINE = Baseline(rows=20_000, per_second=10.0, errors=0.01, slow=0.001, labelled=0.5, loss_deviation=0.2)


def plan(**changes: object) -> Canary:
    return msgspec.structs.replace(PLAN, **changes)


def good(rows: int, share: float) -> Stratum:
    """Return both arms after so many rows of a candidate that is as good as the champion."""

    def arm(rows: int) -> Arm:
        errors, slow = round(rows * 0.01), round(rows * 0.001)
        labelled = round(rows * 0.5)
        return Arm(
            rows=rows,
            errors=errors,
            error_units=errors,
            slow=slow,
            slow_units=slow,
            labelled=labelled,
            loss_square_sum=labelled * 0.04,
        )

    return Stratum(share=share, champion=arm(round(rows * (1 - share) / share)), canary=arm(rows))


def test_the_rows_that_are_said_are_those_that_the_judge_lets_rise() -> None:
    made = design(PLAN, BASELINE)
    first, second = (step.rows for step in made.steps)
    assert first is not None
    assert second is not None

    def rises(at_first: int, at_second: int = 0) -> bool:
        strata = (good(at_first, 0.1), good(at_second, 0.5))[: 2 if at_second else 1]
        return verdict(PLAN, Evidence(strata=strata), step=len(strata) - 1).decision == "promote"

    assert rises(first)
    assert not rises(round(first * 0.9))
    assert rises(first, second)
    assert not rises(first, round(second * 0.9))
    assert [step.rows_all for step in made.steps] == [first * 10, second * 2]
    assert [step.seconds for step in made.steps] == [first, second / 5]


@pytest.mark.parametrize(("size", "errors"), [(1, (0.01, 0.04)), (2, (0.01, 0.07))])
def test_harm_is_found_after_about_the_rows_that_are_said(size: int, errors: tuple[float, float]) -> None:
    found = [each for each in design(PLAN, BASELINE).finds if each.signal == "errors"][size - 1]
    assert found.increase == pytest.approx(errors[1] - errors[0])
    assert found.rows is not None

    when, _ = found_at(PLAN, Traffic(errors=errors), 400, np.random.default_rng(7))

    assert found.rows == pytest.approx(np.median(when[when > 0]) * 0.1, rel=0.5)
    assert found.harmed == pytest.approx(found.rows * found.increase, abs=1)


def test_a_weight_bakes_however_much_traffic_there_is_and_a_shadow_harms_nobody() -> None:
    slow = design(plan(bake_seconds=(5.0, 86_400.0), harmed_max=7), BASELINE)
    shadow = design(plan(shadow=True), BASELINE)

    assert slow.steps[0].seconds == slow.steps[0].rows  # a tenth of ten rows a second is one
    assert slow.steps[1].seconds == 86_400.0
    assert slow.harmed_max == 7
    assert {each.harmed for each in shadow.finds} == {0}
    assert [a.rows < b.rows for a, b in zip(shadow.finds, slow.finds, strict=True) if a.signal == "quality"] == [
        True
    ] * 3


def test_what_nobody_can_know_before_is_said_so() -> None:
    nothing = lines(
        design(plan(wait_labels=True, metric="revenue"), Baseline()), plan(wait_labels=True, metric="revenue")
    )
    broken = replace(BASELINE, errors=0.99)

    assert "the champion has answered nobody yet" in nothing[0]
    assert "quality: no labels yet; it waits for 200 beyond the first weight" in nothing
    assert "metric: no reports of revenue yet; it waits for 200 beyond the first weight" in nothing
    assert not any("at this traffic" in line for line in nothing)
    assert "quality: no labels yet; it does not wait for them" in lines(design(PLAN, Baseline()), PLAN)
    made = design(plan(rows_min=200_000_000), broken)
    assert [step.rows for step in made.steps] == [None, None]
    assert made.smallest is None
    assert "10 %: no rows suffice, to rise when it is no worse" in lines(made, PLAN)


def test_the_smallest_increase_is_one_that_all_the_rows_of_the_way_up_would_show() -> None:
    made = design(PLAN, BASELINE)
    longer = design(plan(rows_min=50_000), BASELINE)

    assert made.smallest is not None
    assert longer.smallest is not None
    assert longer.smallest < made.smallest * 1.001
    assert longer.smallest >= PLAN.error_increase * 0.99  # what does not matter is never found


def test_a_design_is_read_as_it_was_written() -> None:
    made = design(PLAN, replace(BASELINE, edges=(0.2, 0.5), outputs=(0.3, 0.3, 0.4), slow_from_us=20_000.0))

    assert recorded(canonical(made.record("flights/2", "flights/1"))) == made


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bake_seconds": (1.0, 2.0, 3.0)}, "bake_seconds has 3 times for 2 weights"),
        ({"bake_seconds": (60.0,), "patience_seconds": 60.0}, "for want of patience"),
        ({"weights": (50.0, 10.0)}, "its weights must rise"),
        ({"rows_min": 0}, "rows_min is 0"),
    ],
)
def test_a_plan_that_cannot_be_judged_is_refused_with_the_reason(changes: dict, why: str) -> None:
    with pytest.raises(Refused) as caught:
        check(plan(**changes))

    assert why in str(caught.value.why)
