"""Small models that are really fitted, and what keeps them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewalk.blobs.folder import FolderBucket
from ropewalk.models.log import log_model
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.runs.log import Collector, collecting
from ropewalk.testing.fakes import SetClock

pytest.importorskip("sklearn")

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from mixed_models import NUMBERS, WORDS, mixed

Log = Callable[..., tuple[str, Manifest]]


@pytest.fixture(scope="session")
def rows() -> pl.DataFrame:
    """400 rows: two words, a whole number, a float with gaps, a flag, three targets."""
    chance = np.random.default_rng(7)
    count = 400
    temp = [
        None if place % 11 == 0 else round(float(value), 1) for place, value in enumerate(chance.normal(12, 8, count))
    ]
    hour = chance.integers(5, 23, count)
    late = (hour + chance.normal(0, 4, count) > 15).astype(int)
    return pl.DataFrame(
        {
            "carrier": chance.choice(["AA", "B6", "UA"], count).tolist(),
            "origin": chance.choice(["EWR", "JFK"], count).tolist(),
            "hour": hour,
            "temp": temp,
            "late": late,
            "delay": hour * 2.5 + chance.normal(0, 3, count),
            "kind": np.where(hour > 18, "evening", np.where(hour > 11, "noon", "morning")).tolist(),
        }
    )


@pytest.fixture(scope="session")
def late_model(rows: pl.DataFrame) -> Any:
    return mixed(LogisticRegression()).fit(rows.select(WORDS + NUMBERS), rows["late"].to_numpy())


@pytest.fixture
def bucket(tmp_path: Path) -> FolderBucket:
    return FolderBucket(tmp_path / "blobs")


@pytest.fixture
def log(bucket: FolderBucket, clock: SetClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Log:
    """Log a model as a step does; give the manifest's digest and the manifest."""
    monkeypatch.chdir(tmp_path)

    def run(model: Any, train: Any, target: str, name: str = "late", holdout: Any = None) -> tuple[str, Manifest]:
        with collecting(Collector(bucket, clock)) as collector:
            digest = log_model(model, name, train=train, holdout=holdout, target=target)
        entry, tag = collector.entries
        assert (entry.kind, entry.key, entry.value) == ("model", name, {"manifest": digest})
        assert (tag.kind, tag.key) == ("tag", f"ropewalk.engine.{name}")
        return digest, read_manifest(bucket, digest)

    return run
