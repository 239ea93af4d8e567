"""What tests of schedules share: specs in a few words, times in local words, and a loop whose runs are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ropewalk.loops.schedule import Schedules, Ways
from ropewalk.loops.start import Starts
from ropewalk.schedules import fire as fires
from ropewalk.schedules.fire import Fire
from ropewalk.schedules.spec import Spec, spec_of
from ropewalk.settings import Schedule as Table
from ropewalk.site import Site

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
PIPELINE = """
from ropewalk import pipeline, step

@step
def one(n: int) -> int:
    if n < 0:
        raise ValueError("below zero")
    return n

@pipeline
def train(n: int = 1, interval_start: str = "", files: tuple[str, ...] = (), watermark: int = 0) -> int:
    return one(n + len(interval_start) + len(files) + watermark)
"""


def spec(**words: Any) -> Spec:
    words.setdefault("name", "nightly")
    return spec_of(Table(**words), origin="settings", pipeline="pipeline.py:train")


def us(text: str, zone: str = "UTC") -> int:
    """Return microseconds since the epoch of a local time such as `2026-03-29 01:59`; `*` for the second one."""
    at = datetime.fromisoformat(text.rstrip("*")).replace(tzinfo=ZoneInfo(zone), fold=int(text.endswith("*")))
    return int((at.astimezone(UTC) - EPOCH).total_seconds()) * SECOND


def local(found: Iterable[int], zone: str = "UTC") -> list[str]:
    """Return times as the clocks of a zone show them, with the zone's name of that day."""
    at = [(EPOCH + timedelta(microseconds=one)).astimezone(ZoneInfo(zone)) for one in found]
    return [f"{one:%m-%d %H:%M %Z}" for one in at]


class Works:
    """Schedules of a site with a start that only notes what it was given.

    Args:
        site: the project.
        specs: what is declared.
        start: does instead of noting.
    """

    def __init__(self, site: Site, specs: Sequence[Spec], start: Callable[..., str] | None = None) -> None:
        self.site = site
        self.specs: Sequence[Spec] = specs
        self.started: list[Fire] = []
        self.starts = Starts(site, start or self._note)
        self.schedules = Schedules(site, Ways(declared=lambda: self.specs, starts=self.starts))
        if not (site.root / "pipeline.py").exists():
            (site.root / "pipeline.py").write_text(PIPELINE)

    def turn(self) -> None:
        """Take turns until nothing more is due and nothing runs."""
        while True:
            more = self.schedules.turn()
            busy = self.wait()
            if not more and not busy:
                return

    def wait(self) -> bool:
        """Wait for what runs; say whether anything did."""
        runners = [one.thread for one in self.starts._runners.values()]
        for thread in runners:
            thread.join(30)
        return bool(runners)

    def all(self, name: str = "nightly") -> list[Fire]:
        """Return the starts of a schedule, oldest first."""
        with self.site.db.read() as rows:
            return list(reversed(fires.of_schedule(rows, name, 1000)))

    def states(self, name: str = "nightly") -> list[tuple[str, str]]:
        return [(one.cause, one.state) for one in self.all(name)]

    def _note(self, fire: Fire, halt: threading.Event) -> str:
        self.started.append(fire)
        return f"run-{len(self.started)}"
