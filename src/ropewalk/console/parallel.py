"""Parallel coordinates as SVG: one upright axis for each parameter or metric, one line for each run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ropewalk.console.plots import COLOURS
from ropewalk.console.scales import Scale, short_number, spread

AXES_MAX = 10
WORDS_MAX = 24
LETTERS = 16
HEIGHT = 320
STEP = 132
LEFT, RIGHT, TOP, BOTTOM = 70, 90, 34, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Strand:
    """One run across all axes.

    Attributes:
        name: what the run is called.
        slot: which colour, from 0.
        values: of each axis by its name; numbers or words, left out where the run has none.
    """

    name: str
    slot: int
    values: dict[str, float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One axis.

    Attributes:
        name: the parameter or metric.
        x: its place.
        scale: for numbers; for words by their place in `words`.
        words: the words from bottom to top; empty where all values are numbers.
    """

    name: str
    x: float
    scale: Scale
    words: tuple[str, ...]

    def at(self, value: float | str) -> float:
        """Return the height of a value."""
        if self.words:
            return self.scale.at(float(self.words.index(str(value))))
        return self.scale.at(float(value))


def parallel(title: str, names: Sequence[str], strands: Sequence[Strand]) -> str:
    """Return an SVG with an axis for each name that at least one run has; empty for fewer than two axes.

    Args:
        title: said to screen readers.
        names: parameters and metrics, left to right; ten at most are drawn.
        strands: the runs.
    """
    present = [name for name in names if any(name in strand.values for strand in strands)][:AXES_MAX]
    if len(present) <= 1:
        return ""
    columns = [_column(name, LEFT + index * STEP, strands) for index, name in enumerate(present)]
    width = LEFT + (len(columns) - 1) * STEP + RIGHT
    size = f'viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}"'
    parts = [f'<svg class="parallel" {size} role="img" aria-label="{escape(title)}">']
    for column in columns:
        parts += _upright(column)
    for strand in strands:
        parts += _strand(strand, columns)
    return "".join([*parts, "</svg>"])


def _column(name: str, x: float, strands: Sequence[Strand]) -> Column:
    values = [strand.values[name] for strand in strands if name in strand.values]
    numbers = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    if len(numbers) == len(values):
        return Column(name=name, x=x, scale=spread(numbers, HEIGHT - BOTTOM, TOP), words=())
    words = sorted({str(value) for value in values})
    scale = Scale(low=-0.5, high=len(words) - 0.5, start=HEIGHT - BOTTOM, end=TOP)
    return Column(name=name, x=x, scale=scale, words=tuple(words))


def _upright(column: Column) -> Iterator[str]:
    yield f'<path class="axis" d="M{column.x} {TOP}V{HEIGHT - BOTTOM}"/>'
    yield f'<text class="middle name" x="{column.x}" y="16">{escape(_cut(column.name))}'
    yield f"<title>{escape(column.name)}</title></text>"
    ticks: list[tuple[float, str]]
    if column.words:
        every = max(1, len(column.words) // WORDS_MAX + 1)
        ticks = [(column.at(word), _cut(word)) for word in column.words[::every]]
    else:
        ticks = [(column.at(value), short_number(value)) for value in column.scale.ticks()]
    for y, text in ticks:
        yield f'<text class="tick" x="{column.x + 6}" y="{y + 4:.1f}">{escape(text)}</text>'


def _strand(strand: Strand, columns: list[Column]) -> Iterator[str]:
    colour = f"c{strand.slot % COLOURS}" + (" dashed" if strand.slot >= COLOURS else "")
    yield f'<g class="strand" data-slot="{strand.slot}"><title>{escape(strand.name)}</title>'
    line: list[str] = []
    for column in [*columns, None]:
        if column is not None and column.name in strand.values:
            line.append(f"{column.x:.1f},{column.at(strand.values[column.name]):.1f}")
            continue
        if line:
            yield f'<polyline class="curve {colour}" points="{" ".join(line)}"/>'
            yield from (_dot(point, colour) for point in line)
        line = []
    yield "</g>"


def _dot(point: str, colour: str) -> str:
    x, _, y = point.partition(",")
    return f'<circle class="dot {colour}" cx="{x}" cy="{y}" r="3"/>'


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
