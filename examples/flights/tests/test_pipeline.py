"""Tests the steps that need a model: how one is chosen, and that a single row with gaps gets an answer."""

import features
import numpy as np
import pipeline
import polars as pl
import pytest
import tables

GAPS = {name: pl.lit(None, dtype=pl.Float64) for name in features.REAL}


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    flights = tables.flights(1, 1)
    return features.landed(features.build(flights, tables.weather(), tables.planes(), tables.airports()))


@pytest.fixture(scope="module")
def model(rows: pl.DataFrame) -> pipeline.Pipeline:
    return pipeline.fit(features.before(rows, 10), leaves=4)


def test_the_best_trial_has_the_least_loss_and_the_fewest_leaves_among_equals() -> None:
    trials = [{"leaves": 31, "log_loss": 0.5}, {"leaves": 7, "log_loss": 0.4}, {"leaves": 15, "log_loss": 0.4}]

    assert pipeline.best(trials) == 7
    assert pipeline.best(trials[:1]) == 31


def test_a_single_row_of_gaps_from_an_unknown_carrier_is_answered(model: pipeline.Pipeline, rows: pl.DataFrame) -> None:
    row = rows.head(1).with_columns(carrier=pl.lit("ZZ"), **GAPS)

    assert 0 < pipeline.chances(model, row).item() < 1


def test_the_same_row_alone_and_among_others_gets_the_same_bits(model: pipeline.Pipeline, rows: pl.DataFrame) -> None:
    some = rows.tail(50)

    alone = np.concatenate([pipeline.chances(model, some[place]) for place in range(some.height)])

    assert alone.tolist() == pipeline.chances(model, some).tolist()


def test_the_model_knows_more_than_the_rate_alone(model: pipeline.Pipeline, rows: pl.DataFrame) -> None:
    holdout = features.last(rows, 10)
    late = holdout[features.TARGET].to_numpy()

    metrics = pipeline.measured(model, holdout)

    assert metrics["roc_auc"] > 0.6
    assert metrics["brier"] < late.mean() * (1 - late.mean())
    assert metrics["calibration_gap"] == pytest.approx(pipeline.chances(model, holdout).mean() - late.mean())
