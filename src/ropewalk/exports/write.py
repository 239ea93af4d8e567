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


def put(path: Path, data: str | bytes, *, check: bool = False) -> Written:
    """Write a file of text or of bytes, or say how it differs.

    Args:
        path: where.
        data: what is to stand there.
        check: write nothing.
    """
    if isinstance(data, str):
        return (compare if check else write)(path, data)
    found = _bytes(path, data)
    if found.changed and not check:
        _replace(path, data)
    return found


def _bytes(path: Path, data: bytes) -> Written:
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = None
    changed = before != data
    was = "is not there" if before is None else f"has {len(before)} other bytes"
    return Written(path=path, text="", changed=changed, diff=(f"{path.name} {was}",) if changed else ())


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
        _replace(path, text.encode())
    return found


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
