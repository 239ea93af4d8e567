"""A scatter plot as SVG: runs by any two of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ropewalk.console.plots import COLOURS
from ropewalk.console.scales import Scale, short_number, spread

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 22, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One run.

    Attributes:
        name: what the run is called.
        slot: which colour, from 0.
        x: finite number across.
        y: finite number up.
    """

    name: str
    slot: int
    x: float
    y: float


def scatter(across: str, up: str, spots: Sequence[Spot]) -> str:
    """Return an SVG of runs by two numbers, or nothing without a run that has both.

    Args:
        across: name of the horizontal number.
        up: name of the vertical number.
        spots: the runs.
    """
    if not spots:
        return ""
    x = spread([spot.x for spot in spots], LEFT, WIDTH - RIGHT)
    y = spread([spot.y for spot in spots], HEIGHT - BOTTOM, TOP)
    title = escape(f"{up} by {across}")
    parts = [f'<svg class="scatter" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">']
    parts += _axes(across, up, x, y)
    numbers: dict[tuple[float, float], list[str]] = {}
    for spot in spots:
        told = escape(f"{spot.name}: {across} {spot.x:.6g}, {up} {spot.y:.6g}")
        place = f'cx="{x.at(spot.x):.1f}" cy="{y.at(spot.y):.1f}"'
        parts.append(f'<circle class="dot c{spot.slot % COLOURS}" {place} r="6"><title>{told}</title></circle>')
        numbers.setdefault((round(x.at(spot.x)), round(y.at(spot.y))), []).append(str(spot.slot + 1))
    for (left, top), listed in numbers.items():
        parts.append(f'<text class="middle number" x="{left}" y="{top - 9}">{", ".join(listed)}</text>')
    return "".join([*parts, "</svg>"])


def _axes(across: str, up: str, x: Scale, y: Scale) -> list[str]:
    parts = [f'<text class="name" x="{LEFT}" y="12">{escape(up[:60])}</text>']
    parts.append(f'<text class="name end" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}">{escape(across[:60])}</text>')
    for value in y.ticks():
        parts.append(f'<path class="grid" d="M{LEFT} {y.at(value):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y.at(value) + 4:.1f}">{short_number(value)}</text>')
    for value in x.ticks():
        parts.append(f'<path class="grid" d="M{x.at(value):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text class="middle" x="{x.at(value):.1f}" y="{HEIGHT - BOTTOM + 15}">{short_number(value)}</text>'
        )
    return parts
