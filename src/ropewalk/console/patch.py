"""Differences of texts as lines that a page colours."""

from __future__ import annotations

import difflib

LINES_MAX = 4000
KINDS = {"+": "plus", "-": "minus", "@": "place"}


def lines_of(patch: str) -> list[tuple[str, str]]:
    """Return kind (`plus`, `minus`, `place` or nothing) and text of each line of a unified diff, 4,000 at most."""
    found = patch.splitlines()
    shown = [
        ("place" if line.startswith(("+++", "---")) else KINDS.get(line[:1], ""), line) for line in found[:LINES_MAX]
    ]
    left = len(found) - LINES_MAX
    return [*shown, ("place", f"and {left:,} more lines")] if left > 0 else shown


def between(before: str, after: str, names: tuple[str, str]) -> list[tuple[str, str]]:
    """Return what changed from one text to another as lines; empty when nothing did."""
    a, b = names
    unified = difflib.unified_diff(before.splitlines(), after.splitlines(), a, b, lineterm="", n=4)
    return lines_of("\n".join(unified))
