"""A model is logged with everything that a release needs, and comes back with the same answers."""

import json
import math
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from sklearn.svm import LinearSVC

from mixed_models import NUMBERS, WORDS, mixed
from ropewalk.data import contract, profile
from ropewalk.errors import Invalid, Refused
from ropewalk.models.golden import read_golden
from ropewalk.models.log import log_model
from ropewalk.models.predictor import open_predictor

INPUTS = WORDS + NUMBERS


def test_a_binary_pipeline_over_polars_is_kept_whole(log, rows, late_model, bucket):
    _, manifest = log(
        late_model, rows.select([*INPUTS, "late"]), "late", holdout=rows.select([*INPUTS, "late"]).tail(90)
    )

    assert (manifest.task, manifest.frame, manifest.classes, manifest.target) == ("binary", "polars", (0, 1), "late")
    assert " ".join(sorted(manifest.parts)) == (
        "contract.json golden.parquet holdout.parquet model.onnx model.skops profile.json train.parquet"
    )
    assert [(field.name, field.type, field.nullable) for field in manifest.signature.inputs] == [
        ("carrier", "string", False), ("origin", "string", False), ("hour", "int", False), ("temp", "float", True),
    ]  # fmt: skip
    assert [(item.name, item.type) for item in manifest.signature.outputs] == [
        ("probability", "float"),
        ("label", "int"),
    ]
    assert contract.from_json(bucket.get(manifest.parts["contract.json"])).target == "late"
    assert profile.from_json(bucket.get(manifest.parts["profile.json"])).rows == 400
    assert pl.read_parquet(bucket.fetch(manifest.parts["holdout.parquet"])).height == 90
    assert "sklearn.linear_model._logistic.LogisticRegression" in manifest.globals


def test_golden_rows_hold_what_the_model_answered_and_a_gap_of_each_column_that_has_gaps(log, rows, late_model, bucket):
    _, manifest = log(late_model, rows.select([*INPUTS, "late"]), "late")

    golden = read_golden(bucket, manifest)

    assert golden.inputs.columns == INPUTS
    assert golden.inputs["temp"].null_count() > 0
    expected = late_model.predict_proba(golden.inputs)[:, 1].tolist()
    assert golden.outputs["probability"].to_list() == pytest.approx(expected, rel=1e-12)
    assert golden.outputs["label"].to_list() == late_model.predict(golden.inputs).tolist()


def test_the_onnx_form_answers_like_the_native_one_and_the_report_says_how_near(log, rows, late_model, bucket):
    digest, manifest = log(late_model, rows.select([*INPUTS, "late"]), "late")
    golden = read_golden(bucket, manifest)

    found = open_predictor(bucket, digest, engine="onnx").predict(
        golden.inputs.to_dict(as_series=False), golden.inputs.height
    )

    differences = [abs(a - b) for a, b in zip(found["probability"], golden.outputs["probability"], strict=True)]
    assert manifest.parity.passed
    assert manifest.parity.max_abs_diff == max(differences) < 1e-5
    assert manifest.parity.rows == golden.inputs.height == 200


@pytest.mark.parametrize("engine", ["onnx", "native"])
def test_a_multiclass_model_gives_a_label_and_a_probability_of_each_class(log, rows, bucket, engine):
    model = mixed(RandomForestClassifier(8, max_depth=3, n_jobs=2, random_state=0)).fit(
        rows.select(INPUTS), rows["kind"].to_numpy()
    )
    digest, manifest = log(model, rows.select([*INPUTS, "kind"]), "kind")
    columns = rows.select(INPUTS).head(40).to_dict(as_series=False)

    found = open_predictor(bucket, digest, engine=engine).predict(columns, 40)

    assert manifest.parity.passed, manifest.parity.reason
    assert manifest.classes == ("evening", "morning", "noon")
    assert list(found) == ["label", "probability.evening", "probability.morning", "probability.noon"]
    assert found["label"] == model.predict(rows.select(INPUTS).head(40)).tolist()
    assert np.allclose(found["probability.noon"], model.predict_proba(rows.select(INPUTS).head(40))[:, 2], atol=1e-5)
    assert model[-1].n_jobs == 2


@pytest.mark.parametrize("engine", ["onnx", "native"])
def test_a_regression_over_plain_arrays_takes_named_columns_all_the_same(log, rows, bucket, engine):
    numbers = rows.select("hour", "delay", temp=pl.col("temp").fill_null(0.0))
    model = GradientBoostingRegressor(n_estimators=5).fit(
        numbers.select("hour", "temp").to_numpy(), numbers["delay"].to_numpy()
    )
    digest, manifest = log(model, numbers.select("hour", "temp", "delay"), "delay")

    found = open_predictor(bucket, digest, engine=engine).predict({"hour": [7, 20], "temp": [1.5, 2]}, 2)

    assert (manifest.task, manifest.frame) == ("regression", "numpy")
    assert found["prediction"] == pytest.approx(model.predict(np.array([[7, 1.5], [20, 2]])), rel=1e-5)


def test_pandas_frames_with_gaps_and_categories_come_back_as_pandas(log, rows, bucket):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows.select([*INPUTS, "late"]).to_dict(as_series=False))
    frame["origin"] = frame["origin"].astype("category")
    model = mixed(LogisticRegression()).fit(frame[INPUTS], frame["late"])

    digest, manifest = log(model, frame, "late")
    found = open_predictor(bucket, digest, engine="native").predict(
        rows.select(INPUTS).head(30).to_dict(as_series=False), 30
    )

    assert manifest.frame == "pandas"
    assert found["probability"] == pytest.approx(model.predict_proba(frame[INPUTS].head(30))[:, 1].tolist(), rel=1e-12)


def test_boosted_trees_with_gaps_convert_and_agree(log, rows, bucket):
    columns = ColumnTransformer(
        [
            ("words", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), WORDS),
            ("rest", "passthrough", NUMBERS),
        ]
    )
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10, random_state=0))
    model.fit(rows.select(INPUTS), rows["late"].to_numpy())

    _, manifest = log(model, rows.select([*INPUTS, "late"]), "late")

    assert manifest.parity.passed, manifest.parity.reason
    assert manifest.batching == {"native": "any", "onnx": "any"}


def test_rows_of_a_linear_model_are_asked_together_and_have_the_bits_that_they_have_alone(log, rows, bucket):
    numbers = rows.select(NUMBERS).fill_null(0)
    model = LogisticRegression().fit(numbers.to_numpy(), rows["late"].to_numpy())

    digest, manifest = log(model, numbers.with_columns(rows["late"]), "late")
    predictor = open_predictor(bucket, digest, engine="onnx")
    columns = {name: values.cast(float).to_list() for name, values in zip(numbers.columns, numbers, strict=True)}
    whole = predictor.predict(columns, numbers.height)["probability"]
    alone = [
        predictor.predict({name: [values[at]] for name, values in columns.items()}, 1)["probability"][0]
        for at in range(numbers.height)
    ]

    assert manifest.batching["onnx"] in ("any", "pair")  # by the machine's kernels
    assert alone == whole


def test_a_model_without_an_onnx_form_is_kept_without_and_the_manifest_says_why(log, rows, bucket):
    model = make_pipeline(FunctionTransformer(np.cbrt), LinearRegression())
    numbers = rows.select("hour", "delay")
    model.fit(numbers.select("hour").to_numpy(), numbers["delay"].to_numpy())

    digest, manifest = log(model, numbers, "delay")

    assert "model.onnx" not in manifest.parts
    assert not manifest.parity.passed
    assert "FunctionTransformer" in manifest.parity.reason
    assert open_predictor(bucket, digest).engine == "native"


def test_what_skops_cannot_write_is_kept_as_a_pickle_with_its_globals_listed(log, rows, bucket, tmp_path, monkeypatch):
    (tmp_path / "own_steps.py").write_text(
        "import numpy as np\ndef halved(values):\n    return np.asarray(values) / 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from own_steps import halved

    model = make_pipeline(FunctionTransformer(halved), LinearRegression())
    numbers = rows.select("hour", "delay")
    model.fit(numbers.select("hour").to_numpy(), numbers["delay"].to_numpy())
    _refuse_skops(monkeypatch)

    digest, manifest = log(model, numbers, "delay")

    assert manifest.native_part == "model.pkl"
    assert "own_steps.halved" in manifest.globals
    with pytest.raises(Refused) as refused:
        open_predictor(bucket, digest)
    assert refused.value.code == "model-not-trusted"
    assert "own_steps.halved" in refused.value.why
    assert open_predictor(bucket, digest, allowed=["own_steps.*"]).predict({"hour": [4]}, 1)
    with pytest.raises(Refused, match="pickle family"):
        open_predictor(bucket, digest, allow_pickle=False)


def _refuse_skops(monkeypatch):
    from ropewalk.models import formats

    def refuse(model):
        raise TypeError("not today")

    monkeypatch.setattr(formats, "save_skops", refuse)


def test_a_lambda_inside_is_refused_with_what_to_do(log, rows):
    model = make_pipeline(FunctionTransformer(lambda values: values), LinearRegression())
    numbers = rows.select("hour", "delay")
    model.fit(numbers.select("hour").to_numpy(), numbers["delay"].to_numpy())

    with pytest.raises(Refused) as refused:
        log(model, numbers, "delay")

    assert refused.value.code == "model-not-kept"
    assert "importable modules" in refused.value.fix


def test_the_same_model_gives_the_same_bytes_also_after_it_was_copied(log, rows, late_model):
    train = rows.select([*INPUTS, "late"])

    first, _ = log(late_model, train, "late")
    second, _ = log(pickle.loads(pickle.dumps(late_model)), train, "late")

    assert first == second


def test_outside_of_a_run_nothing_is_kept_but_mistakes_are_told(rows, late_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert log_model(late_model, "late", train=rows, target="late") == ""
    assert list(tmp_path.iterdir()) == []
    for model, name, train, target, code in (
        (late_model, "../late", rows, "late", "model-name-invalid"),
        (late_model, "late", rows, "nothing", "target-missing"),
        (late_model, "late", rows.drop("temp"), "late", "model-columns-missing"),
        (late_model, "late", [1, 2], "late", "frame-unknown"),
        (mixed(LogisticRegression()), "late", rows, "late", "model-not-fitted"),
        (object(), "late", rows.select("hour", "late"), "late", "model-unknown"),
        (LinearSVC().fit([[0], [1]], [0, 1]), "late", rows.select("hour", "late"), "late", "model-without-probability"),
    ):
        with pytest.raises(Invalid) as found:
            log_model(model, name, train=train, target=target)
        assert found.value.code == code


def test_the_golden_rows_follow_the_projects_settings(log, rows, late_model, tmp_path):
    (tmp_path / "ropewalk.toml").write_text('name = "flights"\n[tests]\ngolden_rows = 25\n')

    _, manifest = log(late_model, rows.select([*INPUTS, "late"]), "late")

    assert 25 <= manifest.parity.rows <= 26


def test_the_skops_part_holds_no_memory_addresses(log, rows, late_model, bucket):
    _, manifest = log(late_model, rows.select([*INPUTS, "late"]), "late")

    with zipfile.ZipFile(bucket.fetch(manifest.parts["model.skops"])) as archive:
        schema = json.loads(archive.read("schema.json"))
        names = archive.namelist()

    assert schema["__id__"] == 1
    assert all(len(name) < 20 for name in names)
    assert math.isfinite(schema["protocol"])


def test_importing_the_package_and_naming_log_model_imports_no_library_of_models():
    heavy = "('sklearn', 'numpy', 'polars', 'onnx')"
    code = f"import sys, ropewalk; ropewalk.log_model; print([n for n in {heavy} if n in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
