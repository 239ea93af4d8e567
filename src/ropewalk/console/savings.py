"""What the cache has saved: the steps that it answered for, and how long they took when their code last ran."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.console.words import span
from ropewalk.store.database import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What the cache saved a run.

    Attributes:
        hits: how many steps it answered for.
        unknown: of how many of them nobody knows any more how long they take.
        saved_us: how long the others took when their code ran, microseconds.
        ran: how many steps' code ran.
        worked_us: how long they took together, microseconds.
    """

    hits: int
    unknown: int
    saved_us: int
    ran: int
    worked_us: int

    @property
    def told(self) -> str:
        """The same as a sentence; empty where there is nothing to say."""
        if not self.hits:
            return ""
        unknown = f", {self.unknown:,} of them nobody knows how long" if self.unknown and self.saved_us else ""
        saved = f", {span(1, 1 + self.saved_us)} saved" if self.saved_us else ""
        return f"{self.hits:,} of {self.hits + self.ran:,} steps from the cache{saved}{unknown}"


def of_run(rows: Reader, run_id: str) -> Saved:
    """Return what the cache saved a run."""
    kept, own = rows.row("pipelines.saved_of_run", run_id=run_id), rows.row("pipelines.worked_of_run", run_id=run_id)
    assert kept is not None, "a count has a row"
    assert own is not None, "a count has a row"
    hits = int(str(kept["hits"]))
    return Saved(
        hits=hits,
        unknown=hits - int(str(kept["known"])),
        saved_us=int(str(kept["saved_us"])),
        ran=int(str(own["steps"])),
        worked_us=int(str(own["took_us"])),
    )
