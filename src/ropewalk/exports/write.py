"""Writing an exported file, or saying how the one on disk differs from what would be written."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

DIFF_LINES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a file.

    Attributes:
        path: where.
        text: what is to stand there.
        changed: whether something else stood there, or nothing.
        diff: from what stood there to what is to, as lines of `diff -u`; `DIFF_LINES_MAX` at most.
    """

    path: Path
    text: str
    changed: bool
    diff: tuple[str, ...]


def compare(path: Path, text: str) -> Written:
    """Say how a file differs from what would be written; nothing is written."""
    try:
        before = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        before = ""
    lines = difflib.unified_diff(
        before.splitlines(), text.splitlines(), f"{path.name} (on disk)", f"{path.name} (now)", lineterm=""
    )
    diff = list(lines)
    if len(diff) > DIFF_LINES_MAX:
        diff = [*diff[:DIFF_LINES_MAX], f"... {len(diff) - DIFF_LINES_MAX} lines more"]
    return Written(path=path, text=text, changed=before != text, diff=tuple(diff))


def write(path: Path, text: str) -> Written:
    """Write a file whole or not at all; who reads it meanwhile reads the old one."""
    found = compare(path, text)
    if found.changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    return found
