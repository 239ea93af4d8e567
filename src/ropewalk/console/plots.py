"""Curves of metrics as SVG: by step or by time, straight or logarithmic, smoothed or as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Literal

from ropewalk.console.scales import Scale, exact, short_number, short_span, short_time, spread

WIDTH, HEIGHT = 460, 210
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 26
WIDE, TALL = 1080, 360
COLOURS = 10
SMOOTH_MAX = 0.99
Axis = Literal["step", "time", "clock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One point of a curve, or one bucket of many points.

    Attributes:
        step: where in the training.
        at_us: microseconds since the epoch.
        value: the last value in the bucket; NaN and infinities are not drawn.
        low: the smallest value in the bucket.
        high: the largest value in the bucket.
    """

    step: int
    at_us: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One metric of one run.

    Attributes:
        name: shown in the legend and at the pointer.
        slot: which colour, from 0; from ten on the lines are dashed.
        marks: by step.
        start_us: when the run began; times count from there.
    """

    name: str
    slot: int
    marks: tuple[Mark, ...]
    start_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How curves are looked at.

    Attributes:
        axis: `step`, `time` (since the run's start) or `clock`.
        log: whether the values' axis is logarithmic.
        smooth: weight of the past in a running mean, 0 (none) to 0.99.
    """

    axis: Axis = "step"
    log: bool = False
    smooth: float = 0.0


def plot(title: str, curves: Sequence[Curve], look: Look, *, wide: bool = False) -> str:
    """Return an SVG of curves, or nothing where no point can be drawn.

    Args:
        title: said to screen readers.
        curves: at most twenty.
        look: axis, scale and smoothing.
        wide: whether the plot has a row of the page for itself.
    """
    width, height = (WIDE, TALL) if wide else (WIDTH, HEIGHT)
    look = _seen(curves, look)
    drawn = [(curve, _placed(curve, look)) for curve in curves]
    drawn = [(curve, marks) for curve, marks in drawn if any(math.isfinite(mark.value) for _, mark in marks)]
    if not drawn:
        return ""
    values = [
        value
        for _, marks in drawn
        for _, mark in marks
        for value in (mark.value, mark.low, mark.high)
        if math.isfinite(value) and (value > 0 or not look.log)
    ]
    if not values:
        return ""
    across = [x for _, marks in drawn for x, _ in marks]
    x = exact(min(across), max(across), LEFT, width - RIGHT)
    y = spread(values, height - BOTTOM, TOP, log=look.log)
    told = f'role="img" tabindex="0" aria-label="{escape(title)}"'
    ends = f'data-axis="{look.axis}" data-x="{x.low!r} {x.high!r} {x.start} {x.end}"'
    parts = [
        f'<svg class="plot" viewBox="0 0 {width} {height}" {told} {ends}>',
        *_across(x, look.axis, height),
        *_up(y, width),
    ]
    for curve, marks in drawn:
        parts += _drawn(curve, marks, look, x, y)
    return "".join([*parts, "</svg>"])


def _seen(curves: Sequence[Curve], look: Look) -> Look:
    """Return a look by time for what was logged without steps, which would be one upright line."""
    steps = {mark.step for curve in curves for mark in curve.marks}
    many = any(len(curve.marks) > 1 for curve in curves)
    return replace(look, axis="time") if look.axis == "step" and len(steps) == 1 and many else look


def _placed(curve: Curve, look: Look) -> list[tuple[float, Mark]]:
    def place(mark: Mark) -> float:
        if look.axis == "step":
            return float(mark.step)
        return float(mark.at_us) if look.axis == "clock" else (mark.at_us - curve.start_us) / 1e6

    marks = [(place(mark), mark) for mark in curve.marks]
    return marks if look.axis == "step" else sorted(marks, key=lambda pair: pair[0])


def _drawn(curve: Curve, marks: list[tuple[float, Mark]], look: Look, x: Scale, y: Scale) -> Iterator[str]:
    colour = f"c{curve.slot % COLOURS}" + (" dashed" if curve.slot >= COLOURS else "")
    shown = [(place, mark) for place, mark in marks if not look.log or mark.value > 0 or math.isnan(mark.value)]
    runs = list(_unbroken(shown))
    for piece in runs:
        yield from _band(piece, colour, x, y)
        if look.smooth:
            yield _line([(place, mark.value) for place, mark in piece], f"curve raw {colour}", x, y)
    told = [(place, mark.value) for piece in runs for place, mark in piece]
    values = " ".join(f"{place:.12g}:{value:.6g}" for place, value in told)
    yield f'<g data-name="{escape(curve.name)}" data-slot="{curve.slot}" data-values="{values}">'
    for piece in runs:
        line = [(place, mark.value) for place, mark in piece]
        yield _line(smoothed(line, look.smooth) if look.smooth else line, f"curve {colour}", x, y)
        if len(piece) == 1:
            yield f'<circle class="dot {colour}" cx="{x.at(line[0][0]):.1f}" cy="{y.at(line[0][1]):.1f}" r="3"/>'
    yield "</g>"


def _unbroken(marks: list[tuple[float, Mark]]) -> Iterator[list[tuple[float, Mark]]]:
    """Yield stretches without NaN and infinities."""
    piece: list[tuple[float, Mark]] = []
    for place, mark in marks:
        if math.isfinite(mark.value):
            piece.append((place, mark))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _band(piece: list[tuple[float, Mark]], colour: str, x: Scale, y: Scale) -> Iterator[str]:
    if any(mark.low < mark.high for _, mark in piece):
        upper = [f"{x.at(place):.1f},{y.at(_finite(mark.high, mark.value)):.1f}" for place, mark in piece]
        lower = [f"{x.at(place):.1f},{y.at(_finite(mark.low, mark.value)):.1f}" for place, mark in reversed(piece)]
        yield f'<polygon class="span {colour}" points="{" ".join([*upper, *lower])}"/>'


def _finite(value: float, otherwise: float) -> float:
    return value if math.isfinite(value) else otherwise


def _line(points: list[tuple[float, float]], kind: str, x: Scale, y: Scale) -> str:
    path = " ".join(f"{x.at(place):.1f},{y.at(value):.1f}" for place, value in points)
    return f'<polyline class="{kind}" points="{path}"/>'


def smoothed(points: list[tuple[float, float]], weight: float) -> list[tuple[float, float]]:
    """Return an exponentially weighted running mean, freed of its bias towards zero at the beginning.

    Args:
        points: place and value.
        weight: of what was before, 0 to 0.99.
    """
    weight = min(max(weight, 0.0), SMOOTH_MAX)
    mean, known = 0.0, 0.0
    line: list[tuple[float, float]] = []
    for place, value in points:
        mean = weight * mean + (1 - weight) * value
        known = weight * known + (1 - weight)
        line.append((place, mean / known))
    return line


def _up(y: Scale, width: int) -> Iterator[str]:
    for value in y.ticks():
        yield f'<path class="grid" d="M{LEFT} {y.at(value):.1f}H{width - RIGHT}"/>'
        yield f'<text class="end" x="{LEFT - 6}" y="{y.at(value) + 4:.1f}">{short_number(value)}</text>'


def _across(x: Scale, axis: Axis, height: int) -> Iterator[str]:
    ticks = x.ticks() if axis != "clock" else [x.low, x.high]
    if axis == "step":
        ticks = [value for value in ticks if value == int(value)] or [x.low]
    for value in ticks:
        text = short_number(value)
        if axis != "step":
            text = short_span(value) if axis == "time" else short_time(value, x.high - x.low)
        place = x.at(value)
        anchor = "start" if place < LEFT + 8 else "end" if place > x.end - 16 else "middle"
        yield f'<text class="{anchor}" x="{place:.1f}" y="{height - 8}">{escape(text)}</text>'
