"""Captured rows as a gateway leaves them, many at a time."""

from __future__ import annotations

from typing import Any

from ropewalk.endpoints.journal import Journal
from ropewalk.endpoints.segment import Segment, folder_of, seal
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

DAY_US = 86_400_000_000


def batch(at_us: int, xs: list[Any], **more: Any) -> dict[str, Any]:
    """Return a batch's frame, its rows a millisecond apart."""
    rows = len(xs)
    ids = [uuid7(at_us + at * 1000) for at in range(rows)]
    return {
        "id": ids,
        "at_us": [at_us + at * 1000 for at in range(rows)],
        "event_us": [at_us] * rows,
        "endpoint": "flights",
        "release": "flights/1",
        "role": ["champion"] * rows,
        "pair": [None] * rows,
        "key": [None] * rows,
        "status": ["ok"] * rows,
        "error": "",
        "latency_us": [5] * rows,
        "generation": [1] * rows,
        "warnings": [0] * rows,
        "in": {"x": xs},
        "out": {"probability": [0.5] * rows},
        **more,
    }


def sealed(site: Site, *frames: dict[str, Any], endpoint: str = "flights") -> Segment:
    """Write frames into a journal and seal it."""
    folder = folder_of(site, endpoint)
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / f"{uuid7(site.clock.now_us())}.journal")
    for frame in frames:
        journal.append(frame, len(frame["id"]))
    journal.close()
    found = seal(site, endpoint, journal.path)
    assert found is not None
    return found


def fill(site: Site, clock: SetClock, *, days: int, segments: int, rows: int) -> list[str]:
    """Seal so many segments on each of so many days, the first one today; return the ids of their rows."""
    ids: list[str] = []
    for day in range(days):
        if day:
            clock.advance(86_400)
        for _ in range(segments):
            clock.advance(1)
            frame = batch(clock.now_us(), [0.5] * rows)
            ids += frame["id"]
            sealed(site, frame)
    return ids
