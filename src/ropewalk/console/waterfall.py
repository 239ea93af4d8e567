"""The spans of a trace as SVG: who called whom, when each began and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 900
LEFT, RIGHT = 300, 90
ROW, BAR = 24, 14
INDENT = 14
DEPTH_MAX = 12
SPANS_MAX = 500
LETTERS = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One span.

    Attributes:
        id: of the span; its details stand on the page under `span-ID`.
        name: what was done.
        depth: how many spans stand above it.
        from_ns: nanoseconds since the trace began.
        to_ns: likewise, at its end.
        state: `ok`, `error` or `unset`.
    """

    id: str
    name: str
    depth: int
    from_ns: int
    to_ns: int
    state: str


def waterfall(bars: Sequence[Bar]) -> str:
    """Return an SVG of spans in the given order, 500 at most; empty without one."""
    if not bars:
        return ""
    whole = max(1, *(bar.to_ns for bar in bars))
    shown = bars[:SPANS_MAX]
    height = ROW * len(shown) + 6
    parts = [f'<svg class="waterfall" viewBox="0 0 {WIDTH} {height}" role="group" aria-label="Spans in time">']
    for index, bar in enumerate(shown):
        y = index * ROW + 4
        left = LEFT + (WIDTH - LEFT - RIGHT) * max(0, bar.from_ns) / whole
        wide = max(2.0, (WIDTH - LEFT - RIGHT) * max(0, bar.to_ns - bar.from_ns) / whole)
        took = short_took(bar.to_ns - bar.from_ns)
        indent = min(bar.depth, DEPTH_MAX) * INDENT
        kind = "bad" if bar.state == "error" else "good"
        parts += [
            f'<g><title>{escape(bar.name)}: {took}</title><a href="#span-{escape(bar.id)}">',
            f'<text class="name" x="{indent}" y="{y + 12}">{escape(_cut(bar.name, bar.depth))}</text></a>',
            f'<rect class="work {kind}" x="{left:.1f}" y="{y}" width="{wide:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{left + wide + 5:.1f}" y="{y + 12}">{took}</text></g>',
        ]
    return "".join([*parts, "</svg>"])


def short_took(nanoseconds: int) -> str:
    """Return a span of nanoseconds as people say it."""
    for size, word in ((1_000_000_000, "s"), (1_000_000, "ms")):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {word}"
    return f"{nanoseconds / 1000:.0f} µs"


def _cut(text: str, depth: int) -> str:
    most = LETTERS - 2 * min(depth, DEPTH_MAX)
    return text if len(text) <= most else f"{text[: most - 1]}…"
