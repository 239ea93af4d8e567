"""What came of an exchange: how much of each kind, what was there already, what was refused and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ropewalk.errors import RopewalkError

KINDS = (
    "experiments",
    "runs",
    "points",
    "params",
    "tags",
    "datasets",
    "files",
    "bytes",
    "logged models",
    "models",
    "versions",
    "aliases",
    "traces",
    "spans",
    "assessments",
    "evaluation datasets",
    "evaluation records",
    "webhooks",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The counts; they grow while the exchange goes on.

    Attributes:
        moved: how many of each kind were written, or would be.
        known: how many of each kind were there already.
        refused: what was left out, and why.
        notes: what came and is not quite as it was, and why.
        digests: the digest of each run that was written, as the source holds it, by id.
        differing: runs that hold something else here than in the source, by id.
    """

    moved: Counter[str] = field(default_factory=Counter[str])
    known: Counter[str] = field(default_factory=Counter[str])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    digests: dict[str, str] = field(default_factory=dict[str, str])
    differing: list[str] = field(default_factory=list[str])

    def refuse(self, what: str, why: Exception) -> None:
        """Note what was left out."""
        self.refused[what] = f"{why.what} {why.why}".strip() if isinstance(why, RopewalkError) else str(why)

    def counts(self) -> dict[str, int]:
        """Return how many of each kind were written."""
        return {kind: self.moved[kind] for kind in KINDS}
