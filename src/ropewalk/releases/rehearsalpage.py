"""A rehearsal as one small HTML page that needs nothing from elsewhere."""

from __future__ import annotations

from html import escape

from ropewalk.releases.rehearsal import Rehearsed

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "td,th{text-align:left;padding:.35rem 1rem .35rem 0;border-bottom:1px solid #8886}"
    "td{font-variant-numeric:tabular-nums}.bad{color:#b3261e}.good{color:#1a7f37}"
    "@media(prefers-color-scheme:dark){.bad{color:#ff8a80}.good{color:#7ddb95}}"
)


def to_html(found: Rehearsed, title: str) -> str:
    """Return the page; every text that comes from elsewhere is escaped.

    Args:
        found: what the rehearsal found.
        title: such as `churn/4 on the traffic of churn`.
    """
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Rehearsal: {escape(title)}</title><style>{_STYLE}</style><h1>Rehearsal: {escape(title)}</h1>"
        f"{_verdict(found)}{_table('What was played', lines(found))}"
        f"{_table('How far the answers moved', shifts(found)) if found.shifts else ''}</html>\n"
    )


def lines(found: Rehearsed) -> list[tuple[str, str]]:
    """Return the figures with their names, for people."""
    played = f"{found.rows:,} rows in {found.requests:,} requests, {found.speed:,.1f} times as fast as recorded"
    recorded = f", recorded {found.recorded_p99_ms:.1f} ms" if found.recorded_p99_ms else ""
    changed = f"{found.changed:,} of {found.compared:,} rows" if found.compared else "no recorded answers to compare"
    return [
        ("played", found.skipped or played),
        ("latest request", f"{found.late_ms:.1f} ms after its time"),
        ("refused by the contract", f"{found.refused:,} rows"),
        ("errors", f"{found.errors:,} rows"),
        ("median latency", f"{found.p50_ms:.1f} ms"),
        ("99 % latency", f"{found.p99_ms:.1f} ms{recorded}"),
        ("another label", changed),
    ]


def shifts(found: Rehearsed) -> list[tuple[str, str]]:
    """Return how far each number moved."""
    return [(name, f"{mean:.6g} in the mean, {most:.6g} at most") for name, (mean, most) in found.shifts.items()]


def _verdict(found: Rehearsed) -> str:
    if not found.problems:
        return '<p class="good">Passed: no threshold is broken.</p>'
    items = "".join(f"<li>{escape(one)}</li>" for one in found.problems)
    return f'<p class="bad">Failed:</p><ul class="bad">{items}</ul>'


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h2>{escape(title)}</h2><table>{body}</table>"
