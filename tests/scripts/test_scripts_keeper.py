"""Which model is meant, what it saw, and why one cannot be served: said in a sentence each."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ropewalk.blobs.folder import FolderBucket
from ropewalk.data.contract import from_json
from ropewalk.models.manifest import read_manifest
from ropewalk.scripts import keeper
from ropewalk.witness import sampling
from ropewalk.witness.files import Files
from ropewalk.witness.fits import Fits
from ropewalk.witness.leaving import Leaving
from ropewalk.witness.networks import Networks
from ropewalk.witness.notes import Notes
from ropewalk.witness.saves import Save, Saves
from ropewalk.witness.splits import Splits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20_000, 3))
X[12_345] = [-50.0, 50.0, 0.0]
NAMES = np.where(X[:, 0] > 0, "yes", "no")


class Script:
    """What a witness would have seen of a script that fits and saves these models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = Notes(str(folder))
        self.splits = Splits(self.notes)
        self.fits = Fits(self.notes, self.splits)
        self.saves = Saves(self.notes, Files())
        self.networks = Networks(self.notes)

    def fit(self, model, x, y=None):
        model.fit(x, y)
        self.fits._note(model, (x, y), {})
        return model

    def save(self, model, path: str) -> None:
        self.saves.saves.append(Save(form="joblib", path=path, model=model, order=self.notes.order()))

    def left(self, variable: str = "") -> dict:
        Leaving(self.notes, self.fits, self.saves, self.networks, variable=variable).leave()
        return self.notes.facts.get("model", {})

    def kept(self, note: dict):
        bucket = FolderBucket(self.folder / "blobs")
        return bucket, keeper._keep(self.folder, bucket.address, "m", note)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_a_pipeline_goes_before_a_saved_model_and_that_before_the_last_fitted(script):
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    first = script.fit(LinearRegression(), X[:9], X[:9, 0])
    script.fit(LinearRegression(), X[:9], X[:9, 1])
    assert script.left()["rule"] == "the estimator that the script fitted last"
    script.save(first, "/elsewhere/first.joblib")
    assert script.left()["rule"] == "the model that the script wrote to first.joblib"
    script.fit(make_pipeline(StandardScaler(), LinearRegression()), X[:9], X[:9, 0])
    script.fit(LinearRegression(), X[:9], X[:9, 0])
    assert script.left()["rule"] == "the last pipeline that the script fitted"


def test_a_variable_that_is_named_goes_before_all(script, monkeypatch):
    from sklearn.linear_model import LinearRegression

    line = script.fit(LinearRegression(), X[:9], X[:9, 0])
    monkeypatch.setattr(sys.modules["__main__"], "line", line, raising=False)

    assert script.left("line")["rule"] == "the variable 'line', as --model says"
    assert "leaves no variable 'nobody'; it leaves line" in script.left("nobody")["why"]


def test_a_fit_that_a_library_calls_is_none_of_the_scripts():
    from ropewalk.witness.fits import of_script

    def frame_of(name):
        scope = {"__name__": name, "sys": sys}
        exec("def look(): return sys._getframe(0)", scope)
        return scope["look"]()

    assert of_script(frame_of("train"))
    assert not of_script(frame_of("sklearn.model_selection._validation"))
    assert not of_script(frame_of("joblib.parallel"))


@pytest.mark.parametrize(
    ("kind", "x", "y", "why"),
    [
        ("cluster.KMeans", X[:50], None, "it was fitted without a target"),
        ("linear_model.LinearRegression", X[:50], X[:50, :2], "the model predicts 2 columns"),
        ("svm.LinearSVC", X[:50], NAMES[:50], "LinearSVC has no predict_proba"),
        ("tree.DecisionTreeClassifier", X[:50].astype(object), NAMES[:50], "matrix of other things than numbers"),
    ],
)
def test_what_cannot_be_served_is_said(script, kind, x, y, why):
    import importlib

    room, _, name = kind.rpartition(".")
    model = getattr(importlib.import_module(f"sklearn.{room}"), name)()
    script.fit(model, x, y)
    note = script.left()

    if "why" in note:
        assert why in note["why"]
    else:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it becomes a sentence
            script.kept(note)
        assert why in keeper.why_of(caught.value)


def test_texts_and_classes_of_the_script_itself_are_said_to_be_in_the_way(script):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    script.fit(make_pipeline(CountVectorizer(), MultinomialNB()), ["good day", "bad day"], [1, 0])

    assert script.left()["why"] == "it was fitted on a list, not on a table of columns"
    lost = AttributeError(f"Can't get attribute 'Mine' on <module 'x' from '{keeper.__file__}'>")
    assert keeper.why_of(lost).startswith("it is made of things that the script itself defines; put them into a module")


def test_lightgbm_on_a_matrix_is_kept_and_its_contract_knows_the_extremes(script):
    from lightgbm import LGBMClassifier

    script.fit(LGBMClassifier(n_estimators=2, verbose=-1), X, NAMES)
    bucket, found = script.kept(script.left())

    manifest = read_manifest(bucket, found["manifest"])
    assert (manifest.task, manifest.classes, manifest.flavor) == ("binary", ("no", "yes"), "lightgbm")
    contract = from_json(bucket.get(manifest.parts["contract.json"]))
    # A sample of 2,000 of the 20,000 rows; the row that lies farthest out is among them.
    assert contract.columns[0].min <= -50 < 50 <= contract.columns[1].max


def test_rows_that_a_table_held_back_are_found_by_its_index(script):
    import pandas as pd
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import train_test_split

    table = pd.DataFrame(X[:100], columns=["a", "b", "price"])
    train, test = train_test_split(table, random_state=0)
    script.splits._keep([train, test])
    script.fit(LinearRegression(), train.drop(columns="price"), train["price"])
    bucket, found = script.kept(script.left())

    assert found["held"] == 25
    assert read_manifest(bucket, found["manifest"]).target == "price"
    assert set(found["metrics"]) == {"holdout_rmse", "holdout_mae", "holdout_r2"}


@pytest.mark.parametrize("library", ["polars", "pandas", "numpy"])
def test_a_sample_holds_extremes_gaps_and_categories(library):
    rows = 20_000
    values = np.arange(rows, dtype=float)
    values[[7, 11_111]] = [1e9, np.nan]
    values[3_333] = -1e9
    words = ["common"] * rows
    words[4_321] = "rare"
    frame: object = pl.DataFrame({"v": pl.Series(values).fill_nan(None), "w": words})
    if library == "pandas":
        import pandas as pd

        frame = pd.DataFrame({"v": values, "w": words})
    elif library == "numpy":
        frame = values.reshape(-1, 1)

    chosen = sampling.places(frame)

    assert len(chosen) < 2_100
    assert {7, 3_333, 11_111} <= set(chosen)
    assert library == "numpy" or 4_321 in chosen
    assert sampling.rows_of(sampling.take(frame, chosen)) == len(chosen)
