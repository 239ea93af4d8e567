"""Tests the measures behind FINDINGS.md on figures that are known beforehand."""

import findings
import judged
import numpy as np
import pytest

from ropewalk.settings import Canary, read_settings

DRAWS = np.random.default_rng(7)
PLAN = Canary(weights=(20.0, 50.0), loss_increase=0.01, error_increase=0.01, rows_min=200, labels_min=100)


def test_equal_samples_lie_nowhere_apart_and_disjoint_ones_wholly() -> None:
    values = DRAWS.normal(size=5_000)

    assert findings.psi(values, values) == 0.0
    assert findings.ks(values, values) == 0.0
    assert findings.ks(values, values + 100) == 1.0
    assert findings.psi(values, values + 100) > 1.0


def test_gaps_count_as_a_bin_of_their_own() -> None:
    values = DRAWS.normal(size=5_000)
    gaps = np.where(np.arange(5_000) % 2 == 0, np.nan, values)

    assert findings.psi(values, gaps) > 1.0


def test_losses_and_order_of_chances_are_those_of_the_textbook() -> None:
    late, chance = np.array([0, 1, 1]), np.array([0.2, 0.8, 0.1])

    brier, log = findings.losses(late, chance)

    assert brier == pytest.approx([0.04, 0.04, 0.81])
    assert log == pytest.approx(-np.log([0.8, 0.8, 0.1]))
    assert findings.auc(late, chance) == 0.5


@pytest.mark.parametrize("shadow", [True, False])
def test_a_much_worse_candidate_falls_and_an_equal_one_goes_live(shadow: bool) -> None:
    plan = Canary(weights=PLAN.weights, loss_increase=0.01, error_increase=0.01, labels_min=100, shadow=shadow)
    champion = DRAWS.uniform(0.0, 0.3, 12_000)
    worse = champion + DRAWS.uniform(0.0, 0.3, 12_000)

    assert judged.rollout(plan, champion, worse, seed=0)[0] == "fell"
    assert judged.rollout(plan, champion, champion.copy(), seed=0)[0] == "live"


def test_the_settings_of_the_project_are_valid_and_watch_features() -> None:
    settings = read_settings(findings.PROJECT)

    assert settings.name == "flights"
    assert {one.column for one in settings.monitors if one.column} <= set(findings.features.FEATURES)
    assert any(one.retrain for one in settings.monitors)


def test_a_variant_is_trained_without_a_trace_in_the_project() -> None:
    before = (findings.PROJECT / "pipeline.py").read_bytes()

    brittle = findings.trained("brittle", "brittle", month_to=1)

    assert brittle.train.null_count().sum_horizontal().item() == 0
    assert (findings.PROJECT / "pipeline.py").read_bytes() == before
