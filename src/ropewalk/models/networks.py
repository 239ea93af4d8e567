"""Keeps a network that is there as ONNX alone: tried against the answers that it gave where it was trained."""

from __future__ import annotations

import math
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import RopewalkError
from ropewalk.models.golden import ONNX_WAYS, batching_of, parity_of, pick
from ropewalk.models.log import data_parts, golden_part, golden_rows, libraries
from ropewalk.models.manifest import ONNX_PART, Field, Manifest, Signature, write_manifest
from ropewalk.models.onnx import OnnxEngine
from ropewalk.models.predictor import Predictor
from ropewalk.models.signature import Shape, outputs_of

TARGET = "target"


def keep_network(blobs: Bucket, name: str, onnx: bytes, facts: dict[str, Any]) -> dict[str, Any]:
    """Write a network's parts and its manifest; return the manifest's digest, or `why` it is not kept.

    Args:
        blobs: where the parts go.
        name: of the model.
        onnx: the file, with one input `X` of shape [rows, columns].
        facts: `task`, `classes`, the sample's rows `x` and targets `y`, and the network's own `answers` to it:
            `prediction`, or `label` and `probabilities`.
    """
    import polars as pl

    rows: list[list[float]] = facts["x"]
    names = [f"x{place}" for place in range(len(rows[0]))]
    columns = {each: [row[place] for row in rows] for place, each in enumerate(names)}
    task, classes = str(facts["task"]), tuple(facts["classes"])
    fields = tuple(Field(name=each, type="float") for each in names)
    signature = Signature(inputs=fields, outputs=outputs_of(task, classes))
    shape = Shape(task=task, frame="numpy", classes=classes, signature=signature)
    try:
        engine = OnnxEngine(onnx, shape)
        parity = parity_of(shape, _answers(shape, facts), engine.answer(columns, len(rows)), len(rows))
    except RopewalkError as error:
        return {"why": f"{error.what.rstrip('.')}: {error.why or error.fix}"}
    if not parity.passed:
        return {"why": f"its ONNX form answers otherwise: {parity.reason}"}
    # Classes come as whole numbers, but a binary loss wants them as floats.
    targets = [int(value) for value in facts["y"]] if classes else [float(value) for value in facts["y"]]
    table = pl.DataFrame({**columns, TARGET: targets})
    golden = pick(table, names, golden_rows())
    asked = golden.to_dict(as_series=False)
    batching = batching_of(engine, asked, golden.height, ways=ONNX_WAYS)
    answers = Predictor(engine, shape, name="onnx", batching=batching).predict(asked, golden.height)
    parts = data_parts(blobs, shape, table, table, target=TARGET)
    parts |= golden_part(blobs, golden, answers) | {ONNX_PART: blobs.put(onnx)}
    manifest = Manifest(
        name=name, flavor="torch", task=task, frame="numpy", target=TARGET, classes=classes, parts=parts, parity=parity,
        signature=signature, batching={"onnx": batching}, libraries=libraries(),
    )  # fmt: skip
    return {"manifest": write_manifest(blobs, manifest), "metrics": {}, "held": 0}


def _answers(shape: Shape, facts: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the network's own answers by the outputs' names."""
    given = facts["answers"]
    if shape.task == "regression":
        return {"prediction": [float(row[0]) for row in given["prediction"]]}
    chances: list[list[float]] = given["probabilities"]
    if any(not math.isfinite(value) for row in chances for value in row):
        chances = [[math.nan for _ in row] for row in chances]
    found: dict[str, list[Any]] = {"label": given["label"]}
    if shape.task == "binary":
        return found | {"probability": [row[1] for row in chances]}
    return found | {f"probability.{each}": [row[at] for row in chances] for at, each in enumerate(shape.classes)}
