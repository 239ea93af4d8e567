"""Charts as SVG text: no script draws them, so they print, scale and work with JavaScript off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from ropewalk.clock import iso

WIDTH = 720
HEIGHT = 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value in time.

    Attributes:
        at_us: microseconds since the epoch.
        value: the value, in the chart's unit.
        low: lower end of its interval, or None.
        high: upper end of its interval, or None.
        alarm: whether an alarm stands on it.
    """

    at_us: int
    value: float
    low: float | None = None
    high: float | None = None
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One named series.

    Attributes:
        name: shown in the legend.
        points: in time order.
    """

    name: str
    points: tuple[Point, ...]


def line_chart(
    title: str, unit: str, lines: Sequence[Line], thresholds: Sequence[float] = (), *, counts: str = ""
) -> str:
    """Return an SVG of up to four series over time, or over something that is counted.

    Args:
        title: said to screen readers.
        unit: written above the value axis.
        lines: the series; empty ones are left out.
        thresholds: values marked by dashed lines.
        counts: what the horizontal axis counts, such as `rows`; `Point.at_us` is that count then. Empty for time.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    every = [point for line in lines for point in line.points]
    values = [value for point in every for value in (point.value, point.low, point.high) if value is not None]
    bottom, top = _nice(min([*values, *thresholds]), max([*values, *thresholds]))
    first, last = min(point.at_us for point in every), max(point.at_us for point in every)
    x = _scale(first, max(last, first + 1), LEFT, WIDTH - RIGHT)
    y = _scale(bottom, top, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        *_axes(bottom, top, unit, y),
        *(_counts(first, last, x, counts) if counts else _times(first, last, x)),
    ]
    parts.extend(f'<path class="limit" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>' for value in thresholds)
    for index, line in enumerate(lines):
        parts.extend(_series(index, line, x, y, counts))
    parts.append("</svg>")
    return "".join(parts)


def _series(index: int, line: Line, x: Callable[[float], float], y: Callable[[float], float], counts: str) -> list[str]:
    parts: list[str] = []
    banded = [point for point in line.points if point.low is not None and point.high is not None]
    if len(banded) > 1:
        upper = " ".join(f"{x(point.at_us):.1f},{y(point.high or 0):.1f}" for point in banded)
        lower = " ".join(f"{x(point.at_us):.1f},{y(point.low or 0):.1f}" for point in reversed(banded))
        parts.append(f'<polygon class="band s{index}" points="{upper} {lower}"/>')
    path = " ".join(f"{x(point.at_us):.1f},{y(point.value):.1f}" for point in line.points)
    parts.append(f'<polyline class="line s{index}" points="{path}"/>')
    for point in line.points:
        kind = "dot alarm" if point.alarm else f"dot s{index}"
        where = f"{point.at_us:,} {counts}" if counts else iso(point.at_us)[:16]
        label = escape(f"{line.name} {where}: {point.value:.4g}")
        place = f'cx="{x(point.at_us):.1f}" cy="{y(point.value):.1f}" r="{4 if point.alarm else 2.2}"'
        parts.append(f'<circle class="{kind}" {place}><title>{label}</title></circle>')
    return parts


def _axes(bottom: float, top: float, unit: str, y: Callable[[float], float]) -> list[str]:
    parts = [f'<text class="unit" x="{LEFT}" y="10">{escape(unit)}</text>']
    for step in range(5):
        value = bottom + (top - bottom) * step / 4
        parts.append(f'<path class="grid" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y(value) + 4:.1f}">{value:.3g}</text>')
    return parts


def _times(first: int, last: int, x: Callable[[float], float]) -> list[str]:
    wide = last - first > 3 * 86_400_000_000
    steps = 5 if last > first else 1
    parts: list[str] = []
    for step in range(steps):
        at_us = first + (last - first) * step // max(steps - 1, 1)
        text = iso(at_us)[5:10] if wide else iso(at_us)[11:19]
        anchor = "start" if step == 0 else "end" if step == steps - 1 else "middle"
        parts.append(f'<text class="tick {anchor}" x="{x(at_us):.1f}" y="{HEIGHT - 8}">{text}</text>')
    return parts


def _counts(first: int, last: int, x: Callable[[float], float], counts: str) -> list[str]:
    steps = min(5, last - first + 1)
    parts: list[str] = []
    for step in range(steps):
        at = first + (last - first) * step // max(steps - 1, 1)
        anchor = "start" if step == 0 else "end" if step == steps - 1 else "middle"
        text = f"{at:,} {counts}" if step == steps - 1 else f"{at:,}"
        parts.append(f'<text class="tick {anchor}" x="{x(at):.1f}" y="{HEIGHT - 8}">{escape(text)}</text>')
    return parts


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _nice(low: float, high: float) -> tuple[float, float]:
    """Return limits with a little air, and zero where the values are near it."""
    span = (high - low) or abs(high) or 1.0
    bottom = 0.0 if 0 <= low < span else low - span * 0.1
    return bottom, high + span * 0.1


def spark(values: Sequence[float], width: int = 120, height: int = 28) -> str:
    """Return a small SVG line of values at equal distances."""
    if len(values) <= 1:
        return ""
    y = _scale(min(0.0, *values), max(*values, 1e-9), height - 2, 2)
    path = " ".join(f"{index * width / (len(values) - 1):.1f},{y(value):.1f}" for index, value in enumerate(values))
    return (
        f'<svg class="spark" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f'<polyline class="line s0" points="{path}"/></svg>'
    )


def split_bar(shares: Sequence[tuple[str, float]]) -> str:
    """Return an SVG bar cut by shares of traffic.

    Args:
        shares: kind (`champion`, `canary`) and share of 1.
    """
    parts = ['<svg class="split" viewBox="0 0 400 10" preserveAspectRatio="none" aria-hidden="true">']
    at = 0.0
    for kind, share in shares:
        parts.append(f'<rect class="{escape(kind)}" x="{at * 400:.2f}" y="0" width="{share * 400:.2f}" height="10"/>')
        at += share
    return "".join([*parts, "</svg>"])


def histogram_pair(title: str, labels: Sequence[str], before: Sequence[float], now: Sequence[float]) -> str:
    """Return an SVG that lays two distributions over each other.

    Args:
        title: said to screen readers.
        labels: one for each bin.
        before: shares of the reference, summing to 1.
        now: shares of the window, summing to 1.
    """
    if not labels:
        return ""
    top = max([*before, *now, 1e-9])
    wide = (WIDTH - LEFT - RIGHT) / len(labels)
    y = _scale(0, top, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        *_axes(0, top, "share", y),
    ]
    every = max(1, len(labels) // 6)
    for index, (label, was, is_) in enumerate(zip(labels, before, now, strict=True)):
        x = LEFT + index * wide
        tell = f"{label}: {was:.1%} in training, {is_:.1%} now"
        parts.append(f"<g><title>{escape(tell)}</title>")
        for kind, value, shift in (("was", was, 0.08), ("now", is_, 0.5)):
            parts.append(
                f'<rect class="bar {kind}" x="{x + wide * shift:.1f}" y="{y(value):.1f}" '
                f'width="{wide * 0.42:.1f}" height="{HEIGHT - BOTTOM - y(value):.1f}"/>'
            )
        parts.append("</g>")
        if index % every == 0:
            parts.append(f'<text class="tick start" x="{x:.1f}" y="{HEIGHT - 8}">{escape(label[:12])}</text>')
    return "".join([*parts, "</svg>"])
