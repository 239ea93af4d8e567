"""What starts schedules besides the clock: files that arrive, a value that changes, an event that is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.errors import Invalid, NotFound
from ropewalk.refs import canonical, digest_of
from ropewalk.schedules.spec import Spec
from ropewalk.site import HIDDEN
from ropewalk.store.sqlitefile import SqliteFile

FILES_MAX = 20_000
Stamps = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look at a trigger comes to.

    Attributes:
        seen: what is to be remembered, JSON; the same as before when nothing is new.
        key: what makes the start the only one; empty when there is none.
        told: what caused it.
    """

    seen: str
    key: str = ""
    told: Mapping[str, Any]


def files_now(root: Path, spec: Spec) -> Stamps:
    """Return size and time of every file that the patterns of a schedule mean, by its path relative to the project.

    Raises:
        Invalid: there are too many.
    """
    found: Stamps = {}
    for pattern in spec.files:
        path = root / pattern
        if not any(letter in pattern for letter in "*?["):
            some = path.rglob("*") if path.is_dir() else (path,)
        else:
            some = root.glob(pattern)
        for one in some:
            try:
                if HIDDEN in one.parts or not one.is_file():
                    continue
                facts = one.stat()
            except OSError:
                continue  # it went between two looks
            found[one.relative_to(root).as_posix()] = f"{facts.st_size} {facts.st_mtime_ns}"
            if len(found) > FILES_MAX:
                raise Invalid(
                    "schedule-files-many",
                    "A schedule watches too many files.",
                    where=f"schedule {spec.name}",
                    why=f"its patterns mean more than {FILES_MAX:,}",
                    fix="name narrower patterns, or move away what was worked off",
                )
    return found


def arrived(seen: str, now: Stamps, before: Stamps | None) -> Sight:
    """Return what has arrived or changed and is whole: a file counts once two looks have found it the same.

    Args:
        seen: what was remembered; empty at the first look, which remembers what is there and starts nothing.
        now: what is there.
        before: what was there at the look before; None at the first one of a process.
    """
    if not seen:
        return Sight(seen=canonical(now).decode(), told={})
    known: Stamps = json.loads(seen)
    fresh = {
        path: stamp
        for path, stamp in now.items()
        if known.get(path) != stamp and before is not None and before.get(path) == stamp
    }
    left = {path: stamp for path, stamp in known.items() if path in now} | fresh
    text = canonical(left).decode()
    if not fresh:
        return Sight(seen=text, told={})
    return Sight(seen=text, key=f"files {digest_of(canonical(fresh))}", told={"files": sorted(fresh)})


def value_now(root: Path, spec: Spec) -> str:
    """Return the first value that a schedule's query gives now, as JSON; `null` for no row.

    Raises:
        NotFound: the database is not there.
        Invalid: the query is not understood.
    """
    path = root / spec.database
    if not path.is_file():
        raise NotFound(
            "schedule-database-missing",
            "The database that a schedule watches is not there.",
            where=f"schedule {spec.name}",
            why=f"{spec.database} is no file of the project",
            fix="mend database = ... of the schedule",
        )
    rows = SqliteFile(path).rows(spec.query)
    value = next(iter(rows[0].values()), None) if rows else None
    return canonical(value.hex() if isinstance(value, bytes) else value).decode()


def changed(seen: str, value: str, now_us: int) -> Sight:
    """Return whether a watched value is another than the one remembered; the first one starts nothing."""
    if seen in ("", value):
        return Sight(seen=value, told={})
    return Sight(seen=value, key=f"query {now_us} {digest_of(value.encode())}", told={"watermark": json.loads(value)})


def concerns(spec: Spec, kind: str, body: Mapping[str, Any]) -> bool:
    """Say whether an event starts a schedule: its kind is the one, and its body holds every value that is named."""
    if kind != spec.event:
        return False
    return all(
        name in body and (body[name] == value or str(body[name]) == str(value)) for name, value in spec.match.items()
    )
