"""The tests that nobody has to write: contract, golden rows, determinism and invariance of a bundle's answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.data import check as contract_check
from ropewalk.data.contract import Contract
from ropewalk.models.golden import Golden
from ropewalk.models.manifest import Manifest

if TYPE_CHECKING:
    import polars as pl

Predict = Callable[["pl.DataFrame"], "pl.DataFrame"]
EXACT = 1e-9
PLACES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One generated test.

    Attributes:
        name: a sentence.
        problem: what was wrong; empty when it passed.
    """

    name: str
    problem: str = ""


def run_generated(manifest: Manifest, contract: Contract, golden: Golden, predict: Predict) -> tuple[Tried, ...]:
    """Run every generated test against a model.

    Args:
        manifest: says which outputs it must have, and how near they must come.
        contract: of the inputs.
        golden: rows with recorded answers.
        predict: scores a frame of inputs in the sandboxed worker.
    """
    answers = predict(golden.inputs)
    return (
        Tried(name="golden rows keep the contract", problem=_contract(contract, golden.inputs)),
        Tried(name="outputs are what the signature says", problem=_outputs(manifest, answers, golden.inputs.height)),
        Tried(name="golden rows get the recorded answers", problem=_golden(manifest, golden.outputs, answers)),
        *_invariance(golden.inputs, answers, predict),
    )


def _invariance(inputs: pl.DataFrame, answers: pl.DataFrame, predict: Predict) -> tuple[Tried, ...]:
    """Ask once for everything turned round, in a worker of its own, and single questions only if that differs."""
    import polars as pl

    rows = inputs.height
    turned = predict(pl.concat([inputs.reverse(), inputs]).select(reversed(inputs.columns)))
    alone = predict(inputs.head(1))
    calm = not (
        _differs(answers, turned[:rows].reverse())
        or _differs(answers, turned[rows:])
        or _differs(answers.head(1), alone)
    )
    tries: tuple[tuple[str, Callable[[], str]], ...] = (
        ("the same rows get the same bits again", lambda: _differs(answers, predict(inputs))),
        (
            "the order of columns does not matter",
            lambda: _differs(answers, predict(inputs.select(reversed(inputs.columns)))),
        ),
        ("the order of rows does not matter", lambda: _differs(answers, predict(inputs.reverse()).reverse())),
        (
            "how rows are batched does not matter",
            lambda: _differs(answers, pl.concat([predict(part) for part in _parts(inputs)])),
        ),
    )
    found = tuple(Tried(name=name, problem="" if calm else ask()) for name, ask in tries)
    if calm or any(one.problem for one in found):
        return found
    return (Tried(name=found[0].name, problem="the same rows got other bits once, and the same ones later"), *found[1:])


def _contract(contract: Contract, inputs: pl.DataFrame) -> str:
    wanted = contract.without_target()
    names = [column.name for column in wanted.columns if column.name in inputs.columns]
    report = contract_check.check(wanted, inputs.select(names))
    return "; ".join(f"{one.column}: {one.rule} in {one.count} rows" for one in report.errors)


def _outputs(manifest: Manifest, answers: pl.DataFrame, rows: int) -> str:
    wanted = [output.name for output in manifest.signature.outputs]
    if sorted(answers.columns) != sorted(wanted):
        return f"columns {answers.columns}, the signature says {wanted}"
    if answers.height != rows:
        return f"{answers.height} answers for {rows} rows"
    labels = {str(one) for one in manifest.classes}
    for name in wanted:
        for place, value in enumerate(answers[name].to_list()):
            wrong = _wrong(name, value, labels)
            if wrong:
                return f"row {place}: {name} is {value!r}, {wrong}"
    return ""


def _wrong(name: str, value: object, labels: set[str]) -> str:
    if name == "label":
        return "" if not labels or str(value) in labels else "which is no class of the model"
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "which is not a finite number"
    if name.startswith("probability") and not 0 <= value <= 1:
        return "which is no probability"
    return ""


def _golden(manifest: Manifest, recorded: pl.DataFrame, answers: pl.DataFrame) -> str:
    """Compare with the recorded answers, as near as the ONNX form was found to come."""
    tolerance = max(EXACT, manifest.parity.tolerance if manifest.parity.passed else 0.0)
    problems: list[str] = []
    allowed = manifest.parity.label_differences
    for name in recorded.columns:
        pairs = list(zip(recorded[name].to_list(), answers[name].to_list(), strict=True))
        odd = [place for place, (one, two) in enumerate(pairs) if not near(one, two, tolerance)]
        if len(odd) > (allowed if name == "label" else 0):
            shown = ", ".join(
                f"row {place}: {pairs[place][0]!r} recorded, {pairs[place][1]!r} now" for place in odd[:PLACES_SHOWN]
            )
            problems.append(f"{name} differs in {len(odd)} of {len(pairs)} rows ({shown})")
    return "; ".join(problems)


def near(one: Any, two: Any, tolerance: float) -> bool:  # noqa: ANN401 - outputs of any kind
    """Say whether two answers are equal, numbers within a tolerance, NaN to NaN."""
    if isinstance(one, float) and isinstance(two, int | float):
        return (math.isnan(one) and math.isnan(two)) or abs(one - two) <= tolerance
    return bool(one == two)


def _differs(one: pl.DataFrame, two: pl.DataFrame) -> str:
    """Return where two answers differ in a single bit, or nothing."""
    if one.height != two.height:
        return f"{one.height} answers, then {two.height}"
    for name in one.columns:
        if name not in two.columns:
            return f"{name} is missing the second time"
        for place, (left, right) in enumerate(zip(one[name].to_list(), two[name].to_list(), strict=True)):
            if not near(left, right, 0.0):
                return f"row {place}: {name} is {left!r}, then {right!r}"
    return ""


def _parts(inputs: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the first row alone, the next seven, then the rest."""
    for start, stop in ((0, 1), (1, 8), (8, inputs.height)):
        if start < min(stop, inputs.height):
            yield inputs[start:stop]
