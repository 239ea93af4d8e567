"""Shares by minute as an SVG that stands alone, with its colours in it, for the plots of docs/canary-study.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ropewalk.console.scales import exact

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 260, 44, 14, 34, 34
KEY_LINE = 20
# Told apart by dashes too, for those who do not see the colours.
STYLES = (
    ("#8a6d00", "2 3"),
    ("#a14a00", "6 3"),
    ("#b3261e", "2 2"),
    ("#7a3e9d", "8 3"),
    ("#5f6368", "4 2"),
    ("#00695c", "10 3 2 3"),
    ("#0b57d0", ""),
    ("#1b8a3a", ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A rule: the share that it has let fall by the end of each minute, from minute 0."""

    name: str
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves over one another; `limit` is marked by a dashed line."""

    title: str
    curves: tuple[Curve, ...]
    limit: float | None = None


def draw(panels: Sequence[Panel]) -> str:
    """Return panels side by side with one key under them."""
    names = [curve.name for curve in panels[0].curves]
    wide, tall = WIDTH * len(panels), HEIGHT + KEY_LINE * -(-len(names) // 2) + 10
    face = 'role="img" font-family="system-ui, sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" {face}>',
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
        f'<rect width="{wide}" height="{tall}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({number * WIDTH} 0)">', *_panel(panel), "</g>"]
    for at, name in enumerate(names):
        x, y = LEFT + (at % 2) * wide / 2, HEIGHT + KEY_LINE * (at // 2) + 8
        parts.append(f'<path d="M{x:.0f} {y}h28" {_pen(at)}/>')
        parts.append(f'<text x="{x + 34:.0f}" y="{y + 4}" fill="#202124">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    last = len(panel.curves[0].shares) - 1
    x, y = exact(0, last, LEFT, WIDTH - RIGHT), exact(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [f'<text x="{LEFT}" y="18" fill="#202124" font-weight="600">{escape(panel.title)}</text>']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path d="M{LEFT} {y.at(tick):.1f}H{WIDTH - RIGHT}" stroke="#dadce0" fill="none"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y.at(tick) + 4:.1f}" text-anchor="end" fill="#5f6368">{tick:.0%}</text>'
        )
    for minute in range(0, last + 1, 10):
        place = f'x="{x.at(minute):.1f}" y="{HEIGHT - 16}" text-anchor="middle" fill="#5f6368"'
        parts.append(f"<text {place}>{minute}</text>")
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end" fill="#5f6368">minutes</text>')
    if panel.limit is not None:
        line = f'd="M{LEFT} {y.at(panel.limit):.1f}H{WIDTH - RIGHT}" stroke="#202124" stroke-dasharray="5 4"'
        parts.append(f'<path {line} fill="none"/>')
        where = f'x="{WIDTH - RIGHT}" y="{y.at(panel.limit) - 4:.1f}" text-anchor="end" fill="#202124"'
        parts.append(f"<text {where}>alpha {panel.limit:.0%}</text>")
    for at, curve in enumerate(panel.curves):
        points = " ".join(f"{x.at(minute):.1f},{y.at(share):.1f}" for minute, share in enumerate(curve.shares))
        parts.append(f'<polyline points="{points}" {_pen(at)}/>')
    return parts


def _pen(at: int) -> str:
    colour, dashes = STYLES[at % len(STYLES)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'stroke="{colour}" stroke-width="1.8" fill="none"{dashed}'
