"""Projects with a live model of 20 features, made without a walk: a fitted model, its bundle, its traffic."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from endpoints.live import add_release, bundle_with, split
from ropewalk.data.contract import Contract, to_json
from ropewalk.house import open_house
from ropewalk.models.log import log_model
from ropewalk.models.manifest import read_manifest
from ropewalk.runs.log import Collector, collecting

FEATURES = 20
ROWS = 2000
NAMES = [f"f{at}" for at in range(FEATURES)]
KINDS = ("LogisticRegression", "RandomForest(100)")


def fitted(kind: str, trees: int = 100) -> tuple[Any, pl.DataFrame]:
    """Return a model and the rows that it learned from, with `late` as target; the same for the same words."""
    dice = np.random.default_rng(7)
    inputs = dice.normal(size=(ROWS, FEATURES))
    late = (inputs[:, :5].sum(axis=1) + dice.normal(size=ROWS) > 0).astype(int)
    model = LogisticRegression() if kind == KINDS[0] else RandomForestClassifier(trees, random_state=7, n_jobs=1)
    return model.fit(inputs, late), pl.DataFrame(inputs, NAMES).with_columns(late=pl.Series(late))


def make_project(folder: Path, kind: str, *, trees: int = 100, plane: bool = True, checked: bool = True) -> bytes:
    """Make a project where a champion answers at `flights` and a canary takes a tenth; return a request for one row.

    Two releases of the same model: the split, the two lanes and the two workers are there, as in a real canary.

    Args:
        folder: the project's.
        kind: one of `KINDS`.
        trees: of a forest.
        plane: whether callers who ask again are given to a data plane.
        checked: whether the contract says anything of any column.
    """
    model, table = fitted(kind, trees)
    folder.mkdir(parents=True)
    (folder / "ropewalk.toml").write_text(f'name = "flights"\n[serve]\nplane = {str(plane).lower()}\n')
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    (folder / "names.txt").write_text(" ".join(NAMES))
    np.save(folder / "inputs.npy", table.select(NAMES).to_numpy())
    np.save(folder / "late.npy", table["late"].to_numpy())
    (folder / "trees").write_text(str(0 if kind == KINDS[0] else trees))
    with open_house(folder) as house:
        site = house.site
        with collecting(Collector(site.blobs, site.clock)):
            manifest = log_model(model, "flights", train=table, target="late")
        parts = read_manifest(site.blobs, manifest).parts
        (folder / "model.onnx").write_bytes(site.blobs.get(parts["model.onnx"]))
        contract = parts["contract.json"] if checked else site.blobs.put(to_json(Contract(columns=(), closed=False)))
        first, second = (add_release(site, at, bundle_with(site, manifest, contract, at)) for at in (1, 2))
        split(site, first)
        split(site, first, canary=second, canary_weight_bp=1000, salt="s")
    return body_of(rows_of(1))


def rows_of(count: int) -> list[list[float]]:
    """Return so many rows to ask for."""
    return np.random.default_rng(7).normal(size=(ROWS, FEATURES))[:count].tolist()


def body_of(rows: list[list[float]]) -> bytes:
    """Return our own request for rows."""
    return json.dumps({"records": [dict(zip(NAMES, row, strict=True)) for row in rows]}).encode()
