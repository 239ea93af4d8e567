"""Train a classifier: ordinary functions, cached by their inputs and their code."""

from typing import Any

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ropewalk import log_metric, log_model, pipeline, step

TARGET = "benign"


@step
def load() -> pd.DataFrame:
    """Return the rows to learn from; put your own source here."""
    found: Any = load_breast_cancer(as_frame=True)
    frame: pd.DataFrame = found.frame
    frame = frame.rename(columns={"target": TARGET})
    return frame.rename(columns=lambda name: name.replace(" ", "_"))


@step
def fit(rows: pd.DataFrame, strength: float) -> Pipeline:
    """Fit on three quarters of the rows and record the model with the rows that judge it."""
    train, holdout = train_test_split(rows, test_size=0.25, random_state=7, stratify=rows[TARGET])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
    model.fit(train.drop(columns=TARGET), train[TARGET])
    scores = model.predict_proba(holdout.drop(columns=TARGET))[:, 1]
    log_metric("roc_auc", float(roc_auc_score(holdout[TARGET], scores)))
    log_model(model, "NAME", train=train, holdout=holdout, target=TARGET)
    return model


@pipeline
def train(strength: float = 1.0) -> Pipeline:
    """Load and fit; called by `ropewalk run`, and by `python pipeline.py` without Ropewalk's records."""
    return fit(load(), strength)


if __name__ == "__main__":
    train()
