"""Where a model's aliases have pointed, as SVG: one row for each alias, one bar for each version that it meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ropewalk.console.scales import Scale, exact, short_time
from ropewalk.console.words import at as said

WIDTH = 900
LEFT, RIGHT, TOP = 130, 14, 8
ROW, BAR = 34, 22
LETTER = 7
TIMES = 4
LETTERS = 18
# Colours of versions in turn; the one that means failure is left out.
COLOURS = (0, 4, 2, 5, 9, 8, 7, 6, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A time in which an alias meant one version.

    Attributes:
        alias: the word.
        version: what it meant.
        from_us: microseconds since the epoch.
        to_us: when it moved on, or now.
        who: who pointed it there.
    """

    alias: str
    version: int
    from_us: int
    to_us: int
    who: str


def timeline(stays: Sequence[Stay], *, asked_us: int | None = None) -> str:
    """Return an SVG of all stays, or nothing without one.

    Args:
        stays: in any order; aliases stand in the order in which they first come.
        asked_us: a point in time that is marked by a line.
    """
    if not stays:
        return ""
    rows = list(dict.fromkeys(stay.alias for stay in stays))
    first = min(stay.from_us for stay in stays)
    last = max(stay.to_us for stay in stays)
    x = exact(first, last, LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(rows) + 24
    parts = [f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Where aliases pointed">']
    for index, alias in enumerate(rows):
        y = TOP + index * ROW
        parts.append(
            f'<text class="name" x="0" y="{y + 15}">{escape(_cut(alias))}<title>{escape(alias)}</title></text>'
        )
        parts.append(f'<path class="grid" d="M{LEFT} {y + BAR + 4}H{WIDTH - RIGHT}"/>')
        parts += [_bar(stay, x, y) for stay in stays if stay.alias == alias]
    for step in range(TIMES + 1):
        at = x.low + (x.high - x.low) * step / TIMES
        anchor = "start" if step == 0 else "end" if step == TIMES else "middle"
        parts.append(
            f'<text class="{anchor}" x="{x.at(at):.1f}" y="{height - 6}">{short_time(at, x.high - x.low)}</text>'
        )
    if asked_us is not None and first <= asked_us <= last:
        parts.append(f'<path class="asked" d="M{x.at(asked_us):.1f} 0V{height - 20}"/>')
    return "".join([*parts, "</svg>"])


def _bar(stay: Stay, x: Scale, y: float) -> str:
    left = x.at(stay.from_us)
    wide = max(2.0, x.at(stay.to_us) - left)
    word = f"v{stay.version}"
    told = escape(f"{stay.alias} = version {stay.version} from {said(stay.from_us)} by {stay.who}")
    label = (
        f'<text class="inside" x="{left + 6:.1f}" y="{y + 15}">{word}</text>' if wide > LETTER * len(word) + 8 else ""
    )
    place = f'x="{left:.1f}" y="{y}" width="{wide:.1f}" height="{BAR}"'
    bar = f'<rect class="stay c{COLOURS[stay.version % len(COLOURS)]}" {place} rx="3"/>'
    return f"<g><title>{told}</title>{bar}{label}</g>"


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
