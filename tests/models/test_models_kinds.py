"""Every kind of model is kept in the safest form that gives the same answers, and says which engine serves it."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from models.own_models import Late, Line
from ropewalk.errors import Refused
from ropewalk.models import joblibs, states
from ropewalk.models.formats import load
from ropewalk.models.frameworks import Framework, classes_of
from ropewalk.models.measured import chosen
from ropewalk.models.predictor import open_predictor, prepare

OWN = ("models.own_models.*",)


@pytest.fixture(scope="module")
def numbers() -> pl.DataFrame:
    chance = np.random.default_rng(3)
    hour, temp = chance.uniform(5, 23, 300), chance.normal(12, 8, 300)
    return pl.DataFrame({"hour": hour, "temp": temp}).with_columns(
        late=(pl.col("hour") > 15).cast(pl.Int64), delay=pl.col("hour") * 2.5,
        kind=pl.when(pl.col("hour") > 18).then(pl.lit("evening")).when(pl.col("hour") > 11).then(pl.lit("noon"))
        .otherwise(pl.lit("morning")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "target", "flavor"),
    [
        (XGBClassifier(n_estimators=5), "late", "xgboost"),
        (XGBRegressor(n_estimators=5), "delay", "xgboost"),
        (LGBMClassifier(n_estimators=5, verbose=-1), "late", "lightgbm"),
        (LGBMRegressor(n_estimators=5, verbose=-1), "delay", "lightgbm"),
        (make_pipeline(StandardScaler(), XGBClassifier(n_estimators=5)), "late", "sklearn"),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, str) else one,
)
def test_boosted_trees_convert_to_onnx_and_answer_alike_within_the_tolerance(
    log, bucket, numbers, model, target, flavor
):
    inputs = pd.DataFrame(numbers.select("hour", "temp").to_dict(as_series=False))

    digest, manifest = log(
        model.fit(inputs, numbers[target].to_numpy()), inputs.assign(**{target: numbers[target].to_numpy()}), target
    )

    assert manifest.flavor == flavor
    assert manifest.parity.passed, manifest.parity.reason
    assert 0 <= manifest.parity.max_abs_diff <= manifest.parity.tolerance
    asked = numbers.select("hour", "temp").to_dict(as_series=False)
    one, two = (open_predictor(bucket, digest, engine=name).predict(asked, 300) for name in ("onnx", "native"))
    name = "prediction" if target == "delay" else "probability"
    # A scaler in float32 may bring a row that lies on a threshold of a tree to its other side.
    near = np.abs(np.array(one[name]) - two[name]) <= manifest.parity.tolerance
    assert near.mean() >= 0.99


def test_a_class_of_the_project_is_kept_as_arrays_and_comes_back_equal(log, bucket, numbers):
    digest, manifest = log(Line(2.5), numbers.select("hour", "temp", "delay"), "delay")

    assert (manifest.flavor, manifest.task, manifest.native_part) == ("python", "regression", "model.safetensors")
    assert manifest.globals == ("models.own_models.Line",)
    assert not manifest.parity.passed
    again = open_predictor(bucket, digest, allowed=OWN)
    assert again.predict({"hour": [10.0], "temp": [0.0]}, 1) == {"prediction": [24.0]}
    with pytest.raises(Refused, match="may not be loaded"):
        open_predictor(bucket, digest)


def test_a_classifier_of_the_project_answers_labels_and_probabilities(log, bucket, numbers):
    digest, manifest = log(Late(), numbers.select("hour", "late").with_columns(pl.col("late") == 1), "late")

    assert (manifest.task, manifest.classes, manifest.frame) == ("binary", (False, True), "polars")
    found = open_predictor(bucket, digest, allowed=OWN).predict({"hour": [15.0, 20.0]}, 2)
    assert found == {"probability": [0.5, 0.9933071490757153], "label": [False, True]}


def _saved(library: str, model: object) -> bytes:
    out = io.BytesIO()
    if library == "joblib":
        import joblib

        joblib.dump(model, out, compress=3)
    else:
        import dill

        dill.dump(model, out)
    return out.getvalue()


@pytest.mark.parametrize("library", ["pickle", "joblib", "dill", "skops", "safetensors", "hdf5"])
def test_a_round_trip_through_each_format_gives_the_same_bits(numbers, library):
    from ropewalk.models.formats import save_pickle, save_skops

    x, y = numbers.select("hour", "temp").to_numpy(), numbers["late"].to_numpy()
    model = LogisticRegression().fit(x, y)

    again = {
        "pickle": lambda: load("model.pkl", save_pickle(model)),
        "joblib": lambda: joblibs.load(_saved("joblib", model)),
        "dill": lambda: load("model.pkl", _saved("dill", model)),
        "skops": lambda: load("model.skops", save_skops(model)),
        "safetensors": lambda: states.load_safetensors(states.save_safetensors(Line(0.1)), OWN),
        "hdf5": lambda: states.load_hdf5(states.save_hdf5(Line(0.1)), OWN),
    }[library]()

    if library in ("safetensors", "hdf5"):
        assert again.predict(numbers) == Line(0.1).predict(numbers)
        assert again.words == Line(0.1).words
    else:
        assert again.predict_proba(x).tobytes() == model.predict_proba(x).tobytes()


def test_safetensors_and_hdf5_are_the_same_bytes_every_time():
    assert states.save_safetensors(Line(0.3)) == states.save_safetensors(Line(0.3))
    assert states.save_hdf5(Line(0.3)) == states.save_hdf5(Line(0.3))


def test_the_engine_is_the_quicker_one_by_both_sizes_and_onnx_where_little_lies_between():
    assert chosen({"native": 900.0, "onnx": 20.0}, {"native": 9.0, "onnx": 2.0}) == "onnx"
    assert chosen({"native": 20.0, "onnx": 22.0}, {"native": 2.0, "onnx": 2.2}) == "onnx"
    assert chosen({"native": 20.0, "onnx": 90.0}, {"native": 2.0, "onnx": 9.0}) == "native"
    assert chosen({"native": 20.0}, {"native": 2.0}) == "native"


def test_what_was_measured_serves_unless_the_place_takes_no_pickle(log, bucket, numbers):
    import msgspec

    from ropewalk.models.manifest import write_manifest

    x = numbers.select("hour", "temp").to_numpy()
    _, manifest = log(LinearRegression().fit(x, numbers["delay"]), numbers.select("hour", "temp", "delay"), "delay")
    assert manifest.engine in ("onnx", "native")
    parts = {**manifest.parts, "model.pkl": manifest.parts["model.skops"]}
    del parts["model.skops"]
    slow = msgspec.structs.replace(manifest, engine="native", parts=parts)

    assert prepare(bucket, write_manifest(bucket, slow)).engine == "native"
    assert prepare(bucket, write_manifest(bucket, slow), allow_pickle=False).engine == "onnx"


def _framework(answers: object, classes: tuple[object, ...]) -> Framework:
    return Framework("model.pt2", b"", lambda rows: np.array(answers), frame="numpy", classes=classes, inner=None)


def test_a_frameworks_numbers_are_probabilities_or_are_refused():
    one = _framework([[0.25], [0.75]], ("no", "yes"))
    assert one.predict_proba(None).tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert one.predict(None).tolist() == ["no", "yes"]
    assert _framework(["yes", "no"], ("no", "yes")).predict_proba(None).tolist() == [[0, 1], [1, 0]]
    assert _framework([3.5, 1.0], ()).predict(None).tolist() == [3.5, 1.0]
    for wrong in ([[2.5, -1.5]], [[0.2, 0.2]], [[1.0, 0.0, 0.0]]):
        with pytest.raises(Exception, match="gives no probabilities"):
            _framework(wrong, (0, 1)).predict_proba(None)


def test_labels_are_classes_when_they_are_words_or_count_from_zero():
    assert classes_of(["b", "a", None]) == ("a", "b")
    assert classes_of([1, 0, 2]) == (0, 1, 2)
    assert classes_of([True, False]) == (False, True)
    assert classes_of([0.5, 1.0]) == ()
    assert classes_of([3, 9, 27]) == ()
