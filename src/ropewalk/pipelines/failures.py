"""An error of the user's code, told with the user's own lines."""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ropewalk.errors import RopewalkError
from ropewalk.pipelines.ownership import Ownership

FRAMES_MAX = 12
LETTERS_MAX = 2000
TAIL_BYTES = 4000


def told(error: BaseException, owned: Ownership, root: str) -> dict[str, Any]:
    """Return an error as JSON: its type, its words, and the lines of the project that it went through.

    Args:
        error: what was raised.
        owned: says which files are the project's.
        root: the project's folder; paths are told relative to it.
    """
    frames = [
        [_told_path(frame.filename, owned, root), frame.lineno or 0, frame.name, frame.line or ""]
        for frame in traceback.extract_tb(error.__traceback__)
        if not owned.is_library_file(frame.filename)
    ]
    if isinstance(error, SyntaxError) and error.filename and not owned.is_library_file(error.filename):
        line = linecache.getline(error.filename, error.lineno or 0).strip()
        frames.append([_told_path(error.filename, owned, root), error.lineno or 0, "", line])
    facts: dict[str, Any] = {
        "type": type(error).__qualname__,
        "message": str(error)[:LETTERS_MAX],
        "frames": frames[-FRAMES_MAX:],
    }
    if isinstance(error, RopewalkError):
        facts["record"] = {**error.record(), "kind": error.kind}
        facts["record"]["where"] = _told_path(error.where, owned, root)
    return facts


def _told_path(path: str, owned: Ownership, root: str) -> str:
    """Return a path relative to the project, whether it lies in the snapshot or in the live folder."""
    real = os.path.realpath(path) if path.startswith(os.sep) else path
    for folder in (owned.folder, os.path.realpath(root) + os.sep):
        if real.startswith(folder):
            return real.removeprefix(folder)
    return path


def headline(facts: dict[str, Any]) -> str:
    """Return the error in one line, as Python would end its traceback."""
    message = str(facts["message"]).strip()
    return f"{facts['type']}: {message}" if message else str(facts["type"])


def place(facts: dict[str, Any]) -> str:
    """Return the last line of the project that the error went through: `features.py:12 in clean`."""
    frames: Sequence[Sequence[Any]] = facts["frames"]
    if not frames:
        return ""
    file, line, name, _ = frames[-1]
    return f"{file}:{line} in {name}" if name else f"{file}:{line}"


def source(facts: dict[str, Any]) -> str:
    """Return the text of that last line."""
    return str(facts["frames"][-1][3]) if facts["frames"] else ""


def lines(facts: dict[str, Any]) -> str:
    """Return the lines of the project in the order they were called, for people."""
    frames: Sequence[Sequence[Any]] = facts["frames"]
    return "\n".join(f"{file}:{line} in {name or '?'}: {source}" for file, line, name, source in frames)


def tail(log: Path, facts: dict[str, Any]) -> str:
    """Return the last of what a step printed itself, without the traceback that follows it in the log."""
    try:
        with log.open("rb") as file:
            end = int(facts.get("printed", file.seek(0, os.SEEK_END)))
            file.seek(max(0, end - TAIL_BYTES))
            return file.read(min(end, TAIL_BYTES)).decode(errors="replace").strip()
    except OSError:
        return ""
