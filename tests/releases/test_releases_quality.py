"""The quality gate: right figures, honest intervals, the same rows for both models, and pytest's own verdict."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.small_line import TARGET, Small, answer, make_project, make_version, rows, settings_of
from ropewalk.errors import Invalid, Refused
from ropewalk.releases import outcome
from ropewalk.releases.line import ship
from ropewalk.releases.metrics import estimate, metric, scored
from ropewalk.releases.pytests import read_junit, run_pytest
from ropewalk.releases.quality import judge
from ropewalk.settings import Gate
from ropewalk.site import Site

GOOD, POOR = {"slope": 2.0, "offset": 0.0}, {"slope": 0.3, "offset": 1.5}


def judged(gate: Gate, candidate: dict, champion: dict | None = None, count: int = 300):
    holdout = rows(count, seed=2)
    (found,) = judge(
        [gate],
        task="binary",
        classes=(0, 1),
        holdout=holdout,
        target=TARGET,
        candidate=answer(candidate, holdout),
        champion=None if champion is None else answer(champion, holdout),
    )
    return found


def of(truth: list, score: list) -> pl.DataFrame:
    outputs = pl.DataFrame({"probability": score, "label": [int(one >= 0.5) for one in score]})
    return scored("binary", (0, 1), pl.Series(truth), outputs)


def test_metrics_of_a_binary_model_are_those_of_the_books() -> None:
    table = of([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])

    assert metric("roc_auc", "binary")(table) == 0.75
    assert metric("accuracy", "binary")(table) == 0.75
    assert metric("f1", "binary")(table) == pytest.approx(2 / 3)
    assert metric("brier", "binary")(table) == pytest.approx((0.01 + 0.16 + 0.65**2 + 0.04) / 4)
    wanted = -sum(math.log(one) for one in (0.9, 0.6, 0.35, 0.8)) / 4
    assert metric("log_loss", "binary")(table) == pytest.approx(wanted)
    assert math.isnan(metric("roc_auc", "binary")(of([1, 1], [0.2, 0.3])))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(pairs: list) -> None:
    positive = [score for truth, score in pairs if truth]
    negative = [score for truth, score in pairs if not truth]
    table = of([int(truth) for truth, _ in pairs], [score / 10 for _, score in pairs])

    found = metric("roc_auc", "binary")(table)

    if not positive or not negative:
        assert math.isnan(found)
        return
    wins = sum((one > two) + (one == two) / 2 for one in positive for two in negative)
    assert found == pytest.approx(wins / len(positive) / len(negative))


def test_metrics_of_regressions_and_of_many_classes() -> None:
    line = scored(
        "regression", (), pl.Series([1.0, 2.0, None, 4.0]), pl.DataFrame({"prediction": [1.0, 3.0, 9.0, 2.0]})
    )
    outputs = pl.DataFrame({"label": ["a", "b"], "probability.a": [0.7, 0.2], "probability.b": [0.3, 0.8]})
    two = scored("multiclass", ("a", "b"), pl.Series(["a", "a"]), outputs)

    assert metric("mae", "regression")(line) == 1.0
    assert metric("rmse", "regression")(line) == pytest.approx(math.sqrt(5 / 3))
    assert metric("r2", "regression")(line) == pytest.approx(1 - 5 / (14 / 3))
    assert metric("accuracy", "multiclass")(two) == 0.5
    assert metric("log_loss", "multiclass")(two) == pytest.approx(-(math.log(0.7) + math.log(0.2)) / 2)
    assert metric("brier", "multiclass")(two) == pytest.approx((0.18 + 1.28) / 2)
    assert metric("f1", "multiclass")(two) == pytest.approx(2 / 3)


def test_labels_are_the_same_class_however_they_are_written() -> None:
    outputs = pl.DataFrame({"probability": [0.9, 0.1], "label": [True, False]})

    assert metric("accuracy", "binary")(scored("binary", (0, 1), pl.Series([1.0, 0.0]), outputs)) == 1.0


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    function = metric("accuracy", "binary")
    covered = 0
    for seed in range(1, 61):
        holdout = rows(200, seed=seed * 7919)
        found = estimate(scored("binary", (0, 1), holdout[TARGET], answer(GOOD, holdout)), function, resamples=60)
        covered += found.low <= 0.958 <= found.high

    assert covered >= 50


def test_the_difference_to_a_champion_is_far_narrower_on_the_same_rows() -> None:
    one, two = rows(300, seed=2), rows(300, seed=2)
    function = metric("brier", "binary")
    near = scored("binary", (0, 1), one[TARGET], answer({"slope": 2.1, "offset": 0.0}, one))
    champion = scored("binary", (0, 1), two[TARGET], answer(GOOD, two))

    alone, paired = estimate(near, function), estimate(near, function, against=champion)

    assert paired.high - paired.low < (alone.high - alone.low) / 4


@pytest.mark.parametrize(
    ("gate", "candidate", "champion", "says"),
    [
        (Gate(metric="roc_auc", at_least=0.9), GOOD, None, ""),
        (Gate(metric="roc_auc", at_least=0.9999), GOOD, None, "must be at least 0.9999 at its lower end"),
        (Gate(metric="brier", at_most=0.01), GOOD, None, "must be at most 0.01 at its upper end"),
        (Gate(metric="brier", champion_margin=0.005), GOOD, GOOD, ""),
        (Gate(metric="brier", champion_margin=0.005), GOOD, POOR, ""),
        (Gate(metric="brier", champion_margin=0.005), POOR, GOOD, "difference to the champion"),
        (Gate(metric="accuracy", slices=("carrier",), slice_margin=0.2), GOOD, None, ""),
    ],
)
def test_gates_pass_and_refuse(gate: Gate, candidate: dict, champion: dict | None, says: str) -> None:
    problems = judged(gate, candidate, champion).problems

    assert bool(problems) == bool(says)
    assert says in "; ".join(problems)


def test_a_slice_that_is_much_worse_is_named() -> None:
    holdout = rows(300, seed=2)
    wrong = answer(GOOD, holdout).with_columns(
        label=pl.when(holdout["carrier"] == "UA").then(1 - pl.col("label")).otherwise(pl.col("label"))
    )
    gate = Gate(metric="accuracy", slices=("carrier",), slice_margin=0.2)

    (found,) = judge(
        [gate], task="binary", classes=(0, 1), holdout=holdout, target=TARGET, candidate=wrong, champion=None
    )

    assert len(found.problems) == 1
    assert "where carrier is UA" in found.problems[0]


def test_few_rows_are_never_a_pass() -> None:
    assert "only 20 holdout rows" in judged(Gate(metric="accuracy", at_least=0.1), GOOD, count=20).problems[0]


def test_a_metric_or_slice_that_does_not_exist_is_named() -> None:
    with pytest.raises(Invalid, match="no metric 'rmse' for a binary model"):
        judged(Gate(metric="rmse"), GOOD)
    with pytest.raises(Invalid, match="no column 'plane'"):
        judged(Gate(metric="brier", slices=("plane",)), GOOD)


def test_a_candidate_that_is_worse_than_the_champion_stops_at_stage_3(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    gates = {"gates": [{"metric": "brier", "champion_margin": 0.01}]}
    doors = Small(site=site).doors()
    ship(site, settings_of(**gates), doors=doors)
    make_version(site, slope=0.3, offset=1.5)

    with pytest.raises(Refused) as caught:
        ship(site, settings_of(**gates), doors=doors)

    assert "stage 3, test" in caught.value.what
    assert "difference to the champion" in caught.value.why


def test_a_failing_test_of_the_project_stops_the_line_by_name(site: Site) -> None:
    make_project(
        site.root, {"tests/test_bad.py": "def test_never():\n    assert 1 == 2, 'one is not two'\n"}, tests=True
    )
    make_version(site)

    with pytest.raises(Refused) as caught:
        ship(site, settings_of(), doors=Small(site=site).doors())

    assert "tests.test_bad.test_never" in caught.value.why
    assert "one is not two" in caught.value.why
    with site.db.read() as reader:
        assert outcome.last_outcome(reader, "flights/1", "test").state == "failed"


def test_tests_that_hang_are_ended_with_all_their_processes(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_hang.py").write_text(
        "import subprocess\n\ndef test_hangs():\n    subprocess.run(['sleep', '1000'])\n"
    )

    found = run_pytest(tmp_path, ["tests"], timeout_seconds=2.5)

    assert found.problem == "the time was up"


def test_a_collection_error_and_an_internal_one_are_never_a_pass(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import no_such_module_anywhere\n")

    found = run_pytest(tmp_path, ["test_broken.py"], timeout_seconds=60)

    assert found.failures or found.problem
    assert read_junit(b"", b"INTERNALERROR> boom", 3).problem == "pytest ended with status 3: INTERNALERROR> boom"
    assert read_junit(b"", b"", 5).problem == ""


def test_half_a_report_of_a_killed_pytest_is_a_problem_and_no_traceback() -> None:
    found = read_junit(b'<testsuites><testsuite><testcase name="a"', b"killed", 137)

    assert found.total == 0
    assert "half a report" in found.problem
