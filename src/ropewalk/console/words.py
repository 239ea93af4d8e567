"""How the console says times, spans and numbers."""

from __future__ import annotations

from ropewalk.clock import iso

MINUTES_FROM = 90
LETTERS_MAX = 120
YEAR_10000_US = 253_402_300_800_000_000


def at(at_us: int | None) -> str:
    """Return a time to the second, or nothing; what clients call a time and no calendar knows stays a number."""
    if not at_us:
        return ""
    return iso(at_us)[:19].replace("T", " ") if 0 < at_us < YEAR_10000_US else f"{at_us} µs"


def span(start_us: int | None, end_us: int | None) -> str:
    """Return how long something took, or nothing while it goes on."""
    if not start_us or not end_us:
        return ""
    seconds = (end_us - start_us) / 1_000_000
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < MINUTES_FROM else f"{seconds / 60:.1f} min"


def number(value: object) -> str:
    """Return a number to five digits; anything else as text."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def share(basis_points: int) -> str:
    """Return basis points as percent."""
    return f"{basis_points / 100:g} %"


def shortened(text: str) -> str:
    """Return the beginning of a long sentence; the whole of it stands with the decision's evidence."""
    return text if len(text) <= LETTERS_MAX else text[: LETTERS_MAX - 4].rstrip() + " ..."


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    amount = float(count)
    for word in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004 - the unit's own factor
            return f"{amount:.0f} {word}" if word == "B" else f"{amount:.3g} {word}"
        amount /= 1024
    return f"{amount:.3g} TiB"
