"""Where a run stands, as a drawing: data and parents before it, what came of it behind it, up to the releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.console import shelves
from ropewalk.console.registry import address_of
from ropewalk.models import logged, versions
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader

WORDS = ("read", "run", "models", "versions", "releases")
WIDE, HIGH, ACROSS, DOWN, HEAD, MARGIN = 184, 44, 52, 12, 26, 2
SHOWN = 6
LETTERS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One box.

    Attributes:
        id: by which lines find it.
        kind: what it is, for people.
        name: what it is called.
        address: of its page; empty for none.
        sources: ids of what it came of.
    """

    id: str
    kind: str
    name: str
    address: str = ""
    sources: tuple[str, ...] = ()


def of_run(
    rows: Reader, run: Run, datasets: Sequence[dict[str, str]], parent: dict[str, str] | None
) -> dict[str, Any] | None:
    """Return boxes and lines around a run; None where it stands alone.

    Args:
        rows: a view of the store.
        run: the run.
        datasets: what it has read.
        parent: id and name of the run that started it, or None.
    """
    before = [Thing(id=f"data {one['name']} {one['digest']}", kind="data", name=one["name"]) for one in datasets]
    if parent is not None:
        before.insert(
            0, Thing(id=parent["id"], kind="parent run", name=parent["name"], address=f"/runs/{parent['id']}")
        )
    here = Thing(id=run.id, kind="run", name=run.name, sources=tuple(one.id for one in before))
    models = [
        Thing(id=one.id, kind="logged model", name=one.name, address=shelves.of_logged(one).home, sources=(run.id,))
        for one in logged.of_run(rows, run.id)
        if one.deleted_us is None
    ]
    known = {one.id for one in models}
    registered = [
        Thing(
            id=one.ref,
            kind="model version",
            name=one.ref,
            address=address_of(one.name, one.version),
            sources=(one.logged_model if one.logged_model in known else run.id,),
        )
        for one in versions.of_run(rows, run.id)
        if one.deleted_us is None
    ]
    released = [thing for one in registered[:SHOWN] for thing in _releases(rows, one)]
    if not (before or models or registered):
        return None
    return drawn([before, [here], models, registered, released])


def _releases(rows: Reader, version: Thing) -> list[Thing]:
    name, _, number = version.name.rpartition("/")
    found = rows.rows("console.releases_of", model=name, version=int(number), count=SHOWN)
    return [
        Thing(
            id=f"release {row['id']}",
            kind=f"release, {row['state']}",
            name=str(row["id"]),
            address=f"/releases/{row['id']}",
            sources=(version.id,),
        )
        for row in found
    ]


def drawn(columns: Sequence[Sequence[Thing]]) -> dict[str, Any]:
    """Return where each box and each line is, in units of the drawing; columns without a box are left out."""
    filled = [(word, column) for word, column in zip(WORDS, columns, strict=True) if column]
    boxes: dict[str, dict[str, Any]] = {}
    heads: list[dict[str, Any]] = []
    tallest = max(min(len(column), SHOWN) + (len(column) > SHOWN) for _, column in filled)
    for place, (word, column) in enumerate(filled):
        x = MARGIN + place * (WIDE + ACROSS)
        shown = column[:SHOWN]
        top = HEAD + (tallest - len(shown) - (len(column) > SHOWN)) * (HIGH + DOWN) / 2
        heads.append({"x": x, "word": word})
        for row, one in enumerate(shown):
            boxes[one.id] = _box(one, x, top + row * (HIGH + DOWN))
        if len(column) > SHOWN:
            more = Thing(id=f"more {word}", kind="", name=f"and {len(column) - SHOWN} more")
            boxes[more.id] = _box(more, x, top + SHOWN * (HIGH + DOWN))
    lines = [
        _line(boxes[source], boxes[one.id])
        for _, column in filled
        for one in column
        for source in one.sources
        if one.id in boxes and source in boxes
    ]
    return {
        "width": 2 * MARGIN + len(filled) * WIDE + (len(filled) - 1) * ACROSS,
        "height": HEAD + tallest * (HIGH + DOWN),
        "heads": heads,
        "boxes": list(boxes.values()),
        "lines": lines,
        "wide": WIDE,
        "high": HIGH,
        "told": "; ".join(f"{len(column)} {word}" for word, column in filled),
    }


def _box(one: Thing, x: float, y: float) -> dict[str, Any]:
    name = one.name if len(one.name) <= LETTERS else f"{one.name[: LETTERS - 1]}…"
    return {"x": x, "y": y, "kind": one.kind, "name": name, "whole": one.name, "address": one.address}


def _line(a: dict[str, Any], b: dict[str, Any]) -> str:
    from_x, from_y, to_x, to_y = a["x"] + WIDE, a["y"] + HIGH / 2, b["x"], b["y"] + HIGH / 2
    bend = (to_x - from_x) / 2
    return f"M{from_x:g} {from_y:g}C{from_x + bend:g} {from_y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
