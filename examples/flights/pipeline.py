"""Trains the model that says, one hour before departure, how likely a flight is to land more than 15 minutes late."""

import features
import numpy as np
import polars as pl
import tables
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

from ropewalk import log_metrics, log_model, pipeline, step


@step
def load_flights(month_from: int, month_to: int) -> pl.DataFrame:
    """Departures from New York in these months of 2013."""
    return tables.flights(month_from, month_to)


@step
def load_weather() -> pl.DataFrame:
    """Hourly weather at the three airports."""
    return tables.weather()


@step
def load_planes() -> pl.DataFrame:
    """The register of aircraft."""
    return tables.planes()


@step
def build(flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    """What was known an hour before each departure, with the answer; those that never landed are counted, not kept."""
    rows = features.build(flights, weather, planes, tables.airports())
    landed = features.landed(rows)
    log_metrics({"flights": rows.height, "flights_never_landed": rows.height - landed.height})
    return landed


@step
def before(rows: pl.DataFrame, days: int) -> pl.DataFrame:
    """The rows whose answer was known before the last days began."""
    return features.before(rows, days)


@step
def last(rows: pl.DataFrame, days: int) -> pl.DataFrame:
    """The rows asked in the last days."""
    return features.last(rows, days)


@step
def fit(rows: pl.DataFrame, leaves: int) -> Pipeline:
    """Boosted trees on all features; they take gaps in the weather and in the register as they are."""
    columns = ColumnTransformer(
        [
            ("words", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), list(features.WORDS)),
            ("numbers", "passthrough", [*features.WHOLE, *features.REAL]),
        ]
    )
    trees = HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.1,
        max_leaf_nodes=leaves,
        min_samples_leaf=100,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )
    model = Pipeline([("columns", columns), ("trees", trees)])
    # Trials run side by side in processes; threads that wait for a core taken by others spin and take ten times longer.
    with threadpool_limits(1):
        return model.fit(rows.select(features.FEATURES), rows[features.TARGET].to_numpy())


@step
def score(model: Pipeline, rows: pl.DataFrame, leaves: int) -> dict[str, float]:
    """Log loss of one trial on rows it has not seen."""
    return {"leaves": leaves, "log_loss": float(log_loss(rows[features.TARGET].to_numpy(), chances(model, rows)))}


@step
def best(trials: list[dict[str, float]]) -> int:
    """The number of leaves of the trial with the least log loss; the smaller model where they are equal."""
    return int(min(trials, key=lambda trial: (trial["log_loss"], trial["leaves"]))["leaves"])


@step
def evaluate(model: Pipeline, train: pl.DataFrame, holdout: pl.DataFrame) -> dict[str, float]:
    """Measures the model on the last days, whole and by airport, and hands it over with both sets of rows."""
    metrics = measured(model, holdout)
    for (origin,), rows in holdout.group_by("origin", maintain_order=True):
        metrics[f"brier_{origin}"] = measured(model, rows)["brier"]
    log_metrics(metrics)
    log_model(
        model,
        "flights",
        train=features.examples(train),
        holdout=features.examples(holdout),
        target=features.TARGET,
    )
    return metrics


def chances(model: Pipeline, rows: pl.DataFrame) -> np.ndarray:
    """The chance of being late, one per row."""
    with threadpool_limits(1):
        return model.predict_proba(rows.select(features.FEATURES))[:, 1]


def measured(model: Pipeline, rows: pl.DataFrame) -> dict[str, float]:
    """Area under the curve, Brier score, log loss, and by how much the mean chance lies above the true rate."""
    late = rows[features.TARGET].to_numpy()
    chance = chances(model, rows)
    return {
        "roc_auc": float(roc_auc_score(late, chance)),
        "brier": float(brier_score_loss(late, chance)),
        "log_loss": float(log_loss(late, chance)),
        "calibration_gap": float(chance.mean() - late.mean()),
    }


@pipeline
def train(
    month_from: int = 1,
    month_to: int = 3,
    holdout_days: int = 10,
    tune_days: int = 7,
    leaves: tuple[int, ...] = (7, 15),
) -> dict[str, float]:
    """From the tables of these months to a measured model; the trials differ in the number of leaves."""
    flights = load_flights(month_from, month_to)
    rows = build(flights, load_weather(), load_planes())
    past, holdout = before(rows, holdout_days), last(rows, holdout_days)
    early, tune = before(past, tune_days), last(past, tune_days)
    trials = [score(fit(early, count), tune, count) for count in leaves]
    return evaluate(fit(past, best(trials)), past, holdout)


if __name__ == "__main__":
    for name, value in train().items():
        print(f"{name:16} {value:.4f}")
