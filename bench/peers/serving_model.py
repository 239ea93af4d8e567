"""The model that every peer serves, fitted in its own environment from `FOLDER/inputs.npy` and `late.npy`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np


def trees_of(folder: Path) -> int:
    """Return how many trees the model has; none is a linear model."""
    return int((folder / "trees").read_text())


def fit(folder: Path) -> Any:
    """Return the fitted model."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    trees = trees_of(folder)
    model = RandomForestClassifier(trees, random_state=7, n_jobs=1) if trees else LogisticRegression()
    return model.fit(np.load(folder / "inputs.npy"), np.load(folder / "late.npy"))


def keep(folder: Path) -> None:
    """Fit the model and pickle it."""
    (folder / "peer.pkl").write_bytes(pickle.dumps(fit(folder)))


def load(folder: Path) -> Any:
    """Return the pickled model."""
    return pickle.loads((folder / "peer.pkl").read_bytes())
