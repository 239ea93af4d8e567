"""Which engine serves is measured where the model is made: CPU time for one row and for a block, of each form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import process_time_ns

from ropewalk.models.predictor import Predictor

TAG = "ropewalk.engine."
BLOCK = 64
ROUNDS = 5
SPENT_NS_MAX = 200_000_000
CLEARLY = 1.5
"""ONNX serves unless the library's own code is this many times as quick, both sizes together: it runs no pickle, and a
choice that hung on a hair would give the same model another digest the next time."""
Columns = Mapping[str, Sequence[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured.

    Attributes:
        engine: `onnx` or `native`.
        single_us: CPU microseconds for one row, by engine.
        block_us: CPU microseconds a row in a block of `rows`, by engine.
        rows: of the block.
    """

    engine: str
    single_us: dict[str, float]
    block_us: dict[str, float]
    rows: int

    @property
    def text(self) -> str:
        """The figures in one line, for people."""
        told = ", ".join(
            f"{name} {self.single_us[name]:.0f} us a row, {self.block_us[name]:.1f} us in a block of {self.rows}"
            for name in self.single_us
        )
        return f"{self.engine} serves: {told}"


def measure(engines: Mapping[str, Predictor], columns: Columns, rows: int) -> Measured:
    """Ask every engine for one row and for a block of rows, the best of a few rounds.

    Args:
        engines: by name, `native` and perhaps `onnx`.
        columns: golden rows.
        rows: how many; at least one.
    """
    count = min(rows, BLOCK)
    single, block = ({name: list(values[:size]) for name, values in columns.items()} for size in (1, count))
    ones = {name: _best(engine, single, 1) for name, engine in engines.items()}
    many = {name: _best(engine, block, count) / count for name, engine in engines.items()}
    return Measured(engine=chosen(ones, many), single_us=ones, block_us=many, rows=count)


def chosen(single_us: Mapping[str, float], block_us: Mapping[str, float]) -> str:
    """Return the engine that serves, by times of one row and of a row in a block."""
    if "onnx" not in single_us or "native" not in single_us:
        return next(iter(single_us))
    ratio = (single_us["onnx"] * block_us["onnx"]) / max(single_us["native"] * block_us["native"], 1e-9)
    return "native" if ratio > CLEARLY**2 else "onnx"


def _best(engine: Predictor, columns: Columns, rows: int) -> float:
    best, spent = 0, 0
    for _ in range(ROUNDS):
        began = process_time_ns()
        engine.predict(columns, rows)
        took = max(process_time_ns() - began, 1)
        best, spent = min(best or took, took), spent + took
        if spent > SPENT_NS_MAX:
            break
    return best / 1000
