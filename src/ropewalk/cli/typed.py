"""Commands as this shell can run them: by the path that was typed where `ropewalk` is not on PATH."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

NAME = "ropewalk"


@cache
def program() -> str:
    """Return what one types to run this program again, from the current folder."""
    # As `shutil.which` looks, whose import every command would pay with two milliseconds.
    if any(os.access(path, os.X_OK) and path.is_file() for path in (Path(place, NAME) for place in os.get_exec_path())):
        return NAME
    called = Path(sys.argv[0])
    if called.name != NAME or not called.exists():
        return NAME
    near = os.path.relpath(called)
    return near if len(near) < len(str(called)) else str(called)


def as_typed(text: str) -> str:
    """Return a text whose commands of ours can be pasted: `cd churn && ropewalk run` becomes `cd ... && PATH run`."""
    if program() == NAME:
        return text
    pieces = text.split(" && ")
    return " && ".join(
        program() + piece.removeprefix(NAME) if piece == NAME or piece.startswith(f"{NAME} ") else piece
        for piece in pieces
    )
