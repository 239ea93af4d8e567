"""`@pipeline(sweep=...)`: what a sweep of it tries when nothing is typed, read from the source and never run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, cast

from ropewalk.errors import Invalid
from ropewalk.pipelines.marked import marked_in

WORD = "sweep"
_LIKE = '@pipeline(sweep="depth=4,6,8 rate=0.01,0.1 --goal accuracy:max")'


def words_of(root: Path, target: str) -> list[str]:
    """Return the words of a pipeline's sweep, as one would type them behind `ropewalk sweep`; none where it has none.

    Args:
        root: the project's folder.
        target: `FILE.py:FUNCTION`, or a file with one pipeline that declares a sweep.

    Raises:
        Invalid: what is declared is no literal, or no words.
    """
    file, _, name = target.partition(":")
    found = [one for one in marked_in(root, root / file, {WORD}) if not name or one.name == name]
    if len(found) != 1:
        return []
    (one,) = found
    if one.unread:
        raise _unreadable(one.unread[1], "it is read from the source and never run: write a text, or a list of texts")
    said = one.words[WORD]
    try:
        words = shlex.split(said) if isinstance(said, str) else [str(word) for word in cast("list[Any]", said)]
    except (ValueError, TypeError) as error:
        raise _unreadable(one.target, str(error)) from error
    return words


def _unreadable(where: str, why: str) -> Invalid:
    return Invalid("sweep-unreadable", "The sweep of this pipeline cannot be read.", where=where, why=why, fix=_LIKE)
