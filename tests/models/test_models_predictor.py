"""An open model answers the same bits for the same row, and refuses what is not its own."""

import os
import subprocess
import sys

import pytest

from ropewalk.errors import Corrupt, Invalid, NotFound
from ropewalk.models.golden import ONNX_WAYS, batching_of, parity_of, read_golden
from ropewalk.models.manifest import Field, Output, Signature, read_manifest
from ropewalk.models.predictor import BLOCK_ROWS, Predictor, open_predictor
from ropewalk.models.signature import Shape

INPUTS = ["carrier", "origin", "hour", "temp"]


@pytest.fixture
def kept(log, rows, late_model):
    return log(late_model, rows.select([*INPUTS, "late"]), "late")


@pytest.mark.parametrize("engine", ["onnx", "native"])
def test_a_rows_bits_do_not_depend_on_the_rows_beside_it(kept, rows, bucket, engine):
    predictor = open_predictor(bucket, kept[0], engine=engine)
    columns = rows.select(INPUTS).head(120).to_dict(as_series=False)

    whole = predictor.predict(columns, 120)
    again = predictor.predict(columns, 120)
    alone = [
        predictor.predict({name: values[row : row + 1] for name, values in columns.items()}, 1) for row in range(120)
    ]
    backwards = predictor.predict({name: values[::-1] for name, values in columns.items()}, 120)

    for name, values in whole.items():
        assert again[name] == values
        assert [one[name][0] for one in alone] == values
        assert backwards[name][::-1] == values


def test_the_golden_rows_are_answered_bit_for_bit_by_a_new_process(kept, bucket, tmp_path):
    code = (
        "import sys; from pathlib import Path; from ropewalk.blobs.folder import FolderBucket as B\n"
        "from ropewalk.models.predictor import open_predictor as o\n"
        "from ropewalk.models.golden import read_golden as g; from ropewalk.models.manifest import read_manifest as m\n"
        "b = B(Path(sys.argv[1])); x = g(b, m(b, sys.argv[2]))\n"
        "y = o(b, sys.argv[2], engine='native').predict(x.inputs.to_dict(as_series=False), x.inputs.height)\n"
        "assert y == x.outputs.to_dict(as_series=False)"
    )

    subprocess.run([sys.executable, "-c", code, str(tmp_path / "blobs"), kept[0]], check=True)


def test_auto_takes_onnx_where_there_is_one_and_imports_neither_sklearn_nor_frames(kept, tmp_path):
    code = (
        "import sys; from pathlib import Path; from ropewalk.blobs.folder import FolderBucket as B\n"
        "from ropewalk.models.predictor import open_predictor as o\n"
        "p = o(B(Path(sys.argv[1])), sys.argv[2])\n"
        "p.predict({'carrier': ['AA'], 'origin': ['JFK'], 'hour': [5], 'temp': [None]}, 1)\n"
        "print(p.engine, [n for n in ('sklearn', 'pandas', 'polars', 'scipy', 'starlette') if n in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "blobs"), kept[0]], check=True, capture_output=True, text=True
    )

    assert done.stdout == "onnx []\n"


def test_onnx_runtime_computes_with_one_thread_and_does_not_report_home(kept, tmp_path):
    """Its telemetry runs in a thread that starts with the import; where that thread is, there are two."""
    code = (
        "import os, sys; from pathlib import Path; from ropewalk.blobs.folder import FolderBucket as B\n"
        "from ropewalk.models.predictor import open_predictor as o\n"
        "o(B(Path(sys.argv[1])), sys.argv[2], engine='onnx'); print(len(os.listdir('/proc/self/task')))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "blobs"), kept[0]]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | one_thread)

    assert done.stdout == "1\n"


@pytest.mark.parametrize("engine", ["onnx", "native"])
def test_wrong_rows_are_refused_by_name(kept, bucket, engine):
    predictor = open_predictor(bucket, kept[0], engine=engine)
    good = {"carrier": ["AA"], "origin": ["JFK"], "hour": [5], "temp": [1.0]}

    for wrong, code in (
        ({**good, "hour": ["five"]}, "input-type-wrong"),
        ({**good, "temp": [1.0, 2.0]}, "input-length-wrong"),
        ({name: values for name, values in good.items() if name != "temp"}, "input-missing"),
    ):
        with pytest.raises(Invalid) as found:
            predictor.predict(wrong, 1)
        assert found.value.code == code
    assert predictor.predict({name: [] for name in good}, 0) == {"probability": [], "label": []}


@pytest.mark.parametrize("part", ["model.skops", "model.onnx"])
def test_a_part_with_one_byte_flipped_is_never_loaded(kept, bucket, part):
    digest, manifest = kept
    path = bucket.path_of(manifest.parts[part])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)

    with pytest.raises(Corrupt) as found:
        open_predictor(bucket, digest, engine="onnx" if part == "model.onnx" else "native")

    assert found.value.where == manifest.parts[part]


def test_a_manifest_that_was_changed_or_is_none_is_refused(kept, bucket):
    other = bucket.put(b'{"schema": 1, "hello": "world"}')

    with pytest.raises(Corrupt, match="not a model's manifest"):
        read_manifest(bucket, other)
    with pytest.raises(NotFound):
        read_manifest(bucket, "sha256:" + "0" * 64)
    path = bucket.path_of(kept[0])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"late"', b'"l4te"', 1))
    with pytest.raises(Corrupt):
        read_manifest(bucket, kept[0])


class _Drifting:
    """An engine whose sums depend on how many rows come together, as matrix libraries' do."""

    def answer(self, columns, rows):
        return {"prediction": [value + rows * 1e-16 for value in columns["x"]]}


def test_an_engine_whose_bits_depend_on_the_batch_is_asked_with_one_number_of_rows():
    shape = _shape("regression", Output(name="prediction", type="float"))
    rows = {"x": [float(row) for row in range(70)]}

    found = {
        way: Predictor(_Drifting(), shape, name="native", batching=way).predict(rows, 70)["prediction"]
        for way in ("any", "block", "one")
    }

    assert found["any"][0] == 70e-16
    assert found["one"] == [value + 1e-16 for value in rows["x"]]
    assert found["block"] == [value + BLOCK_ROWS * 1e-16 for value in rows["x"]]


class _Swaying(_Drifting):
    """An engine whose sums also depend on the place in the batch."""

    def answer(self, columns, rows):
        return {"prediction": [value + place * 1e-16 for place, value in enumerate(columns["x"])]}


class _Lonely:
    """An engine that has a way of its own for one row, as ONNX Runtime has for linear models."""

    def answer(self, columns, rows):
        return {"prediction": [value + (rows == 1) * 1e-16 for value in columns["x"]]}


class _Steady:
    def answer(self, columns, rows):
        return {"prediction": [value * 2 for value in columns["x"]]}


def test_the_widest_batching_that_keeps_every_bit_is_chosen():
    columns = {"x": [row / 1e9 for row in range(100)]}

    assert batching_of(_Steady(), columns, 100) == "any"
    assert batching_of(_Drifting(), columns, 100) == "block"
    assert batching_of(_Swaying(), columns, 100) == "one"
    assert batching_of(_Drifting(), columns, 100, ways=ONNX_WAYS) == "one"
    assert batching_of(_Lonely(), columns, 100, ways=ONNX_WAYS) == "pair"


def test_a_row_alone_is_computed_beside_itself_where_the_engine_has_another_way_for_one():
    shape = _shape("regression", Output(name="prediction", type="float"))
    predictor = Predictor(_Lonely(), shape, name="onnx", batching="pair")
    rows = {"x": [row / 1e16 for row in range(5)]}

    alone = [predictor.predict({"x": [value]}, 1)["prediction"] for value in rows["x"]]

    assert alone == [[value] for value in rows["x"]]
    assert predictor.predict(rows, 5)["prediction"] == rows["x"]


def test_labels_may_differ_between_engines_only_at_ties():
    shape = _shape("binary", Output(name="probability", type="float"), Output(name="label", type="int"))
    native = {"probability": [0.5, 0.9, 0.1], "label": [0, 1, 0]}

    tie = parity_of(shape, native, {"probability": [0.50001, 0.9, 0.1], "label": [1, 1, 0]}, 3)
    real = parity_of(shape, native, {"probability": [0.5, 0.9, 0.1], "label": [0, 0, 0]}, 3)
    far = parity_of(shape, native, {"probability": [0.5, 0.9, 0.2], "label": [0, 1, 0]}, 3)
    broken = parity_of(shape, native, {"probability": [0.5, float("nan"), 0.1], "label": [0, 1, 0]}, 3)

    assert (tie.passed, tie.label_differences, tie.ties) == (True, 1, 1)
    assert (real.passed, real.label_differences, real.ties) == (False, 1, 0)
    assert not far.passed
    assert not broken.passed


def _shape(task, *outputs):
    return Shape(
        task=task,
        frame="numpy",
        classes=() if task == "regression" else (0, 1),
        signature=Signature(inputs=(Field(name="x", type="float"),), outputs=outputs),
    )


def test_golden_rows_of_the_file_are_split_into_inputs_and_outputs(kept, bucket):
    golden = read_golden(bucket, kept[1])

    assert golden.inputs.columns == INPUTS
    assert golden.outputs.columns == ["probability", "label"]
