"""Calls that the server refused, kept beside the journals once all others are sent: to be tried again, or dropped."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from ropewalk.errors import NotFound
from ropewalk.tracking.journal import HEAD, Body, Journal

FOLDER = "refused"
WORDS = "words.json"
_AGAIN = re.compile(r"(.*)\.(\d+)")


def bury(journal: Journal) -> Journal | None:
    """Move the calls that were refused into a folder of their own, from which they do not hold up what comes later.

    Args:
        journal: held by the caller; all its calls have been sent.

    Returns:
        Where they lie: a journal that holds them and nothing else; None when none was refused.
    """
    told = dict(journal.standing().refused)
    if not told:
        return None
    place = _place(journal, min(map(int, told)))
    # It comes into its place as a whole: one that is there was left by somebody who was killed right after.
    if not (place / HEAD).exists():
        new = place.with_name(f"{place.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        _copied(journal, new, told)
        new.rename(place)
    journal.buried(told)
    for call in journal.calls():
        if str(call.number) in told:
            journal.forget_body(call)
    return Journal(place)


def _place(journal: Journal, first: int) -> Path:
    if journal.folder.parent.name != FOLDER:
        return journal.folder.parent / FOLDER / f"{journal.folder.name}-{first}"
    again = _AGAIN.fullmatch(journal.folder.name)
    stem, count = (again[1], int(again[2]) + 1) if again else (journal.folder.name, 2)
    return journal.folder.with_name(f"{stem}.{count}")


def _copied(journal: Journal, new: Path, told: Mapping[str, str]) -> None:
    made = Journal.create(new, journal.url, 0, pid=0)
    for call in journal.calls():
        if str(call.number) not in told:
            continue
        held = journal.body(call)
        with ExitStack() as open_:
            file = open_.enter_context(held.open("rb")) if isinstance(held, Path) else None
            made.append(
                at_us=call.at_us,
                method=call.method,
                target=call.target,
                headers=call.headers,
                body=Body(text=call.body, source=file),
                made=call.made,
            )
    made.note(WORDS, list(told.values()))
    made.stand(0, ids=journal.standing().ids, refused={}, settle=True)


def listed(folder: Path) -> list[Journal]:
    """Return what lies refused below a folder of journals, the oldest first."""
    place = folder / FOLDER
    if not place.is_dir():
        return []
    return [Journal(one) for one in sorted(place.iterdir()) if one.suffix != ".new" and (one / HEAD).is_file()]


def find(folder: Path, name: str) -> Journal:
    """Return what lies refused under a name.

    Raises:
        NotFound: nothing does.
    """
    for one in listed(folder):
        if one.folder.name == name:
            return one
    raise NotFound(
        "spool-nothing-refused",
        "Nothing was refused under this name.",
        where=name[:80],
        why="the names are those of the folders below .ropewalk/spool/refused",
        fix="ropewalk spool status",
    )


def words(refused: Journal) -> list[str]:
    """Return why each of the calls was refused, in their order."""
    return [str(one) for one in refused.noted(WORDS)]


def settle(refused: Journal) -> Journal | None:
    """After another try: delete what the server has taken now; return where lies what it refused once more."""
    again = bury(refused)
    drop(refused)
    return again


def drop(refused: Journal) -> None:
    """Delete refused calls for good."""
    gone = refused.folder.with_name(f"{refused.folder.name}.{os.getpid()}.new")
    refused.folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
