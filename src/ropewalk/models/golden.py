"""Golden rows: inputs with the answers that the model gave when it was made, and what they tell of its engines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.models.manifest import Manifest, Parity
from ropewalk.models.predictor import Engine, in_batches
from ropewalk.models.signature import Shape

if TYPE_CHECKING:
    import polars as pl

GOLDEN_PART = "golden.parquet"
PREFIX = "out."
TOLERANCE = 1e-4
_ALONE_MAX = 64
# A single row costs ONNX Runtime microseconds, so that a block would not pay.
ONNX_WAYS = ("any", "pair", "one")
Columns = Mapping[str, Sequence[object]]
Answers = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Rows of the file `golden.parquet`.

    Attributes:
        inputs: the model's input columns, by their own names.
        outputs: what the native engine answered, by the outputs' names (`out.NAME` in the file).
    """

    inputs: pl.DataFrame
    outputs: pl.DataFrame


def read_golden(blobs: Bucket, manifest: Manifest) -> Golden:
    """Return a model's golden rows.

    Raises:
        NotFound: a blob is missing.
        Corrupt: its bytes do not match its digest.
    """
    from ropewalk.data import frames

    whole = frames.read(blobs, manifest.parts[GOLDEN_PART])
    outputs = {name: name.removeprefix(PREFIX) for name in whole.columns if name.startswith(PREFIX)}
    return Golden(inputs=whole.drop(*outputs), outputs=whole.select(*outputs).rename(outputs))


def pick(frame: pl.DataFrame, names: Sequence[str], rows: int) -> pl.DataFrame:
    """Return about so many rows, spread evenly, and for each column with gaps one row that has the gap.

    NaN becomes null: requests are JSON, which cannot say NaN.
    """
    import polars as pl
    from polars import selectors

    table = frame.select(names).with_columns(selectors.float().fill_nan(None))
    height = table.height
    places = {round(place * (height - 1) / max(rows - 1, 1)) for place in range(min(rows, height))}
    for name in names:
        gaps = table[name].is_null().arg_true()
        if len(gaps):
            places.add(int(gaps[0]))
    return table[sorted(places)] if places else pl.DataFrame(schema=table.schema)


def batching_of(engine: Engine, columns: Columns, rows: int, *, ways: Sequence[str] = ("any", "block", "one")) -> str:
    """Return the first of the ways in which each row's bits come out the same alone, in other batches and in reverse.

    Args:
        engine: what computes.
        columns: rows to try it with.
        rows: how many.
        ways: `any` number of rows at a time, at least a `pair`, always a `block` of them, or `one`; the last is not
            tried, but taken.
    """
    return next((way for way in ways[:-1] if _steady(engine, columns, rows, way)), ways[-1])


def _steady(engine: Engine, columns: Columns, rows: int, way: str) -> bool:
    def answer(places: Sequence[int]) -> dict[str, list[Any]]:
        chosen = {name: [values[place] for place in places] for name, values in columns.items()}
        return in_batches(engine, chosen, len(places), way)

    whole = answer(range(rows))
    for places in _batches(rows):
        for name, values in answer(places).items():
            if not same(values, [whole[name][place] for place in places]):
                return False
    return True


def _batches(rows: int) -> Iterator[list[int]]:
    yield list(reversed(range(rows)))
    yield [place for pair in zip(range(rows), reversed(range(rows)), strict=True) for place in pair]
    for size in (2, 7, 33):
        yield list(range(min(size, rows)))
        yield list(range(max(rows - size, 0), rows))
    for place in range(min(rows, _ALONE_MAX)):
        yield [place]


def same(left: Sequence[object], right: Sequence[object]) -> bool:
    """Say whether two columns hold the same bits; NaN equals NaN."""
    return len(left) == len(right) and all(
        one == two or (isinstance(one, float) and isinstance(two, float) and math.isnan(one) and math.isnan(two))
        for one, two in zip(left, right, strict=True)
    )


def parity_of(shape: Shape, native: Answers, onnx: Answers, rows: int, *, tolerance: float = TOLERANCE) -> Parity:
    """Compare two engines' answers to the same rows.

    Probabilities may differ by `tolerance`, predictions of a regression by `tolerance` times the largest of them or 1,
    and a label only where the native probabilities of the two labels are within the tolerance: a tie.
    """
    numbers = [item.name for item in shape.signature.outputs if item.type == "float" and item.name != "label"]
    differences = [_difference(one, two) for name in numbers for one, two in zip(native[name], onnx[name], strict=True)]
    scale = 1.0
    if shape.task == "regression":
        scale = max([1.0, *(abs(value) for value in native["prediction"] if math.isfinite(value))])
    limit = tolerance * scale
    largest = max(differences, default=0.0)
    odd = [
        place for place in range(rows) if shape.task != "regression" and native["label"][place] != onnx["label"][place]
    ]
    ties = sum(_gap(shape, native, onnx, place) <= tolerance for place in odd)
    reason = ""
    if not largest <= limit:
        reason = f"a number differs by {largest:.3g} from the native one; {limit:.3g} is allowed"
    elif ties < len(odd):
        reason = f"{len(odd) - ties} labels of {rows} differ without a tie"
    return Parity(
        passed=not reason,
        reason=reason,
        rows=rows,
        max_abs_diff=largest if math.isfinite(largest) else 1e308,
        tolerance=limit,
        label_differences=len(odd),
        ties=ties,
    )


def _difference(one: float, two: float) -> float:
    if math.isnan(one) and math.isnan(two):
        return 0.0
    return abs(one - two) if math.isfinite(one) and math.isfinite(two) else math.inf


def _gap(shape: Shape, native: Answers, onnx: Answers, place: int) -> float:
    """Return how far apart the native probabilities of the two labels are."""
    if shape.task == "binary":
        return abs(2 * native["probability"][place] - 1)
    one, two = (side["label"][place] for side in (native, onnx))
    return abs(native[f"probability.{one}"][place] - native[f"probability.{two}"][place])
