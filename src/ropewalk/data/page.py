"""A profile as one small HTML page with drawn histograms, that needs nothing from elsewhere."""

from __future__ import annotations

from html import escape

from ropewalk.data.profile import QUANTILES, ColumnProfile, Profile

WIDTH, HEIGHT = 320, 72
TOP_SHOWN = 12
LETTERS_MAX = 40
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--bar:#2f6f8f}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
section{display:grid;grid-template-columns:minmax(14rem,1fr) auto;gap:1rem}
section{border-top:1px solid var(--line);padding:1rem 0}
h2{font-size:1rem;margin:0}small{opacity:.7}dl{display:grid;grid-template-columns:auto 1fr;gap:0 1rem;margin:.5rem 0 0}
dt{opacity:.7}dd{margin:0;font-variant-numeric:tabular-nums}
svg rect{fill:var(--bar)}svg text{font-size:11px;fill:currentColor}
@media(max-width:40rem){section{grid-template-columns:1fr}}
"""


def to_html(profile: Profile, title: str = "Profile") -> str:
    """Return the page; every text from the data is escaped.

    Args:
        profile: what to show.
        title: heading of the page.
    """
    head = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<p>{profile.rows:,} rows, {len(profile.columns):,} columns</p>"
    )
    return head + "".join(_section(column) for column in profile.columns) + "</html>\n"


def _section(column: ColumnProfile) -> str:
    facts = [
        ("empty", f"{column.nulls:,} ({_share(column.nulls, column.rows)})"),
        ("different", f"{column.distinct:,}"),
    ]
    if column.infinite:
        facts.append(("infinite", f"{column.infinite:,}"))
    for name in ("min", "max", "mean", "std"):
        value = getattr(column, name)
        if value is not None:
            facts.append((name, _figure(value)))
    if column.type in ("int", "float"):
        facts += [
            (f"{share:.0%} below", _figure(value)) for share, value in zip(QUANTILES, column.quantiles, strict=False)
        ]
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    drawn = _bars(column) if column.top else _histogram(column)
    return (
        f"<section><div><h2>{escape(column.name)} <small>{escape(column.type)}</small></h2><dl>{items}</dl></div>"
        f"<div>{drawn}</div></section>"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "0%"


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _histogram(column: ColumnProfile) -> str:
    """Draw the counts over their real widths, so that the area tells the share."""
    if len(column.edges) < 2 or not column.quantiles:  # noqa: PLR2004 - two edges make a width
        return ""
    low, high = _span(column)
    cuts = [low, *(edge for edge in column.edges if low < edge < high), high]
    if column.distinct <= len(column.edges) + 1 and high > low:
        cuts = [*cuts, high + (high - low) / max(1, len(cuts) - 1)]
    first = sum(1 for edge in column.edges if edge <= low)
    bars = list(zip(cuts, cuts[1:], column.counts[first : first + len(cuts) - 1], strict=False))
    dense = max((count / (right - left) for left, right, count in bars if right > left), default=0.0)
    span = cuts[-1] - low
    if not dense or not span:
        return ""
    rects: list[str] = []
    for left, right, count in bars:
        tall = HEIGHT * count / (right - left) / dense if right > left else 0.0
        wide = max(0.5, WIDTH * (right - left) / span - 0.5)
        place = f'x="{WIDTH * (left - low) / span:.1f}" y="{HEIGHT - tall:.1f}"'
        rects.append(f'<rect {place} width="{wide:.1f}" height="{tall:.1f}"/>')
    label = f"histogram of {column.name}"
    return f'<svg role="img" aria-label="{escape(label)}" width="{WIDTH}" height="{HEIGHT}">{"".join(rects)}</svg>'


def _span(column: ColumnProfile) -> tuple[float, float]:
    if isinstance(column.min, str) or isinstance(column.max, str) or column.min is None or column.max is None:
        return column.edges[0], column.edges[-1]
    return float(column.min), float(column.max)


def _bars(column: ColumnProfile) -> str:
    shown = column.top[:TOP_SHOWN]
    rest = column.other + sum(count for _, count in column.top[TOP_SHOWN:])
    rows = [*shown, *([("(other)", rest)] if rest else [])]
    most = max(count for _, count in rows)
    drawn = "".join(
        f'<rect x="130" y="{16 * place + 3}" width="{max(0.5, 150 * count / most):.1f}" height="11"/>'
        f'<text x="124" y="{16 * place + 13}" text-anchor="end">{escape(text[:LETTERS_MAX]) or "(empty text)"}</text>'
        f'<text x="{134 + 150 * count / most:.1f}" y="{16 * place + 13}">{_share(count, column.rows)}</text>'
        for place, (text, count) in enumerate(rows)
    )
    label = f"most frequent values of {column.name}"
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{WIDTH + 20}" height="{16 * len(rows) + 4}">{drawn}</svg>'
    )
