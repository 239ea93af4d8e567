"""A pipeline over words and numbers with gaps, as the tests of models and workers fit it."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

WORDS = ["carrier", "origin"]
NUMBERS = ["hour", "temp"]


def mixed(last: Any) -> Any:
    """Return an unfitted pipeline over words and numbers with gaps."""
    columns = ColumnTransformer(
        [
            ("words", OneHotEncoder(handle_unknown="ignore"), WORDS),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        ],
        sparse_threshold=0,
    )
    return make_pipeline(columns, last)
