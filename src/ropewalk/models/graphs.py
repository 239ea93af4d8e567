"""Keeps an ONNX file of the user's own as the whole model: what it answers now is what it has to answer later."""

from __future__ import annotations

from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Refused
from ropewalk.models.frameworks import classes_of
from ropewalk.models.golden import ONNX_WAYS, batching_of, parity_of, pick
from ropewalk.models.log import data_parts, golden_part, golden_rows, libraries
from ropewalk.models.manifest import ONNX_PART, Manifest, Signature, write_manifest
from ropewalk.models.measured import measure
from ropewalk.models.onnx import OnnxEngine
from ropewalk.models.predictor import Predictor
from ropewalk.models.signature import Shape, fields_of, outputs_of


def keep_graph(blobs: Bucket, name: str, data: bytes, rows: Any, target: str) -> tuple[str, str]:  # noqa: ANN401
    """Write the parts of a model and its manifest; return the manifest's digest, and what was measured.

    Args:
        blobs: where the parts go.
        name: of the model.
        data: the file, looked through: one input that is a matrix, or one for each column; out come labels and
            probabilities, or probabilities alone, or one number a row.
        rows: pandas frame with the target.
        target: column of labels.

    Raises:
        Refused: it does not answer rows like these.
    """
    from ropewalk.data import frames

    table = frames.as_polars(rows)
    classes = classes_of(table[target].to_list())
    task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"  # noqa: PLR2004 - two
    names = [column for column in table.columns if column != target]
    fields = fields_of(rows, names, "numpy")
    shape = Shape(
        task=task, frame="numpy", classes=classes,
        signature=Signature(inputs=fields, outputs=outputs_of(task, classes)),
    )  # fmt: skip
    golden = pick(table, names, golden_rows())
    asked = golden.to_dict(as_series=False)
    engine = OnnxEngine(data, shape)
    try:
        batching = batching_of(engine, asked, golden.height, ways=ONNX_WAYS)
        predictor = Predictor(engine, shape, name="onnx", batching=batching)
        answers = predictor.predict(asked, golden.height)
        odd = [one.name for one in shape.signature.outputs if len(answers[one.name]) != golden.height]
    except Exception as error:  # ONNX Runtime's own exception classes are not public
        raise _refused(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    if odd:
        raise _refused(f"{odd[0]} has {len(answers[odd[0]])} values for {golden.height} rows")
    parts = data_parts(blobs, shape, table, table, target=target) | golden_part(blobs, golden, answers)
    parts[ONNX_PART] = blobs.put(data)
    manifest = Manifest(
        name=name, flavor="onnx", task=task, frame="numpy", target=target, classes=classes, parts=parts,
        parity=parity_of(shape, answers, answers, golden.height), signature=shape.signature,
        batching={"onnx": batching}, libraries=libraries(), engine="onnx",
    )  # fmt: skip
    return write_manifest(blobs, manifest), measure({"onnx": predictor}, asked, golden.height).text


def _refused(why: str) -> Refused:
    return Refused(
        "model-not-shippable", "This ONNX file does not answer such rows.", where=ONNX_PART, why=why,
        fix="give rows with the columns that it was trained on, in their order: --rows FILE --target COLUMN",
    )  # fmt: skip
