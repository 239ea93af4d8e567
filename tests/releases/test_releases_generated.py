"""Generated tests pass on an honest model and find each way in which one can be wrong."""

from __future__ import annotations

import math

import polars as pl
import pytest

from releases.small_line import TARGET, answer, make_project, make_version, rows
from ropewalk.data import contract, infer
from ropewalk.models.golden import Golden, read_golden
from ropewalk.models.manifest import read_manifest
from ropewalk.releases.generated import run_generated
from ropewalk.site import Site

MODEL = {"slope": 2.0, "offset": 0.0}
RECORDED = "golden rows get the recorded answers"
AGAIN = "the same rows get the same bits again"
COLUMNS = "the order of columns does not matter"
ROWS = "the order of rows does not matter"
BATCHES = "how rows are batched does not matter"
OUTPUTS = "outputs are what the signature says"


@pytest.fixture
def tried(site: Site):
    make_project(site.root)
    manifest = read_manifest(site.blobs, make_version(site).manifest)
    golden = read_golden(site.blobs, manifest)
    said = contract.from_json(site.blobs.get(manifest.parts["contract.json"]))

    def run(predict, *, golden: Golden = golden, said=said) -> list[str]:
        return [one.name for one in run_generated(manifest, said, golden, predict) if one.problem]

    run.golden = golden
    return run


def honest(inputs: pl.DataFrame) -> pl.DataFrame:
    return answer(MODEL, inputs)


def shifted(frame: pl.DataFrame, by: pl.Expr | float) -> pl.DataFrame:
    return frame.with_columns(probability=pl.col("probability") + by)


def test_an_honest_model_passes_them_all_with_three_questions(tried) -> None:
    asked = []

    assert tried(lambda inputs: asked.append(inputs.height) or honest(inputs)) == []
    assert asked == [40, 80, 1]


def test_other_answers_than_the_recorded_ones_are_found(tried) -> None:
    assert tried(lambda inputs: answer({"slope": 2.0001, "offset": 0.0}, inputs)) == [RECORDED]


def test_answers_that_change_from_call_to_call_are_found(tried) -> None:
    calls = []

    def restless(inputs):
        calls.append(1)
        return shifted(honest(inputs), len(calls) * 1e-13)

    assert AGAIN in tried(restless)


def test_a_single_bit_that_differs_once_is_found(tried) -> None:
    calls = []

    def once(inputs):
        calls.append(1)
        return shifted(honest(inputs), 1e-16 if len(calls) == 2 else 0.0)

    assert tried(once) == [AGAIN]


def test_dependence_on_the_order_of_columns_is_found(tried) -> None:
    assert COLUMNS in tried(lambda inputs: shifted(honest(inputs), 1e-12 if inputs.columns[0] == "carrier" else 0.0))


def test_dependence_on_the_rows_beside_is_found(tried) -> None:
    found = tried(lambda inputs: shifted(honest(inputs), pl.int_range(pl.len()) * 1e-13))

    assert {ROWS, BATCHES} <= set(found)
    assert AGAIN not in found


def test_dependence_on_the_size_of_the_batch_is_found(tried) -> None:
    assert tried(lambda inputs: shifted(honest(inputs), 1e-13 / inputs.height)) == [BATCHES]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.5, -0.1])
def test_what_is_no_probability_is_found(tried, value: float) -> None:
    assert OUTPUTS in tried(lambda inputs: honest(inputs).with_columns(probability=pl.lit(value)))


def test_a_label_that_is_no_class_and_a_missing_output_are_found(tried) -> None:
    assert OUTPUTS in tried(lambda inputs: honest(inputs).with_columns(label=pl.lit(7)))
    assert OUTPUTS in tried(lambda inputs: honest(inputs).with_columns(more=pl.lit(7)))


def test_golden_rows_that_break_the_contract_are_found(tried) -> None:
    other = infer.infer(rows(50).with_columns(carrier=pl.lit(3)), target=TARGET)

    assert "golden rows keep the contract" in tried(honest, said=other)
