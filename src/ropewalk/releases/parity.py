"""The gate of parity: the endpoint answers rows one by one with the very bits that the batch worker gave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ropewalk.data import frames
from ropewalk.releases.caller import Caller
from ropewalk.releases.described import Described
from ropewalk.releases.functional import predictions
from ropewalk.releases.generated import Tried, near
from ropewalk.releases.outcome import last_outcome
from ropewalk.releases.records import records_of
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

ROWS_MAX = 32
NAME = "batch and real time give the same bits"


def run_parity(site: Site, release: str, caller: Caller, described: Described, inputs: pl.DataFrame) -> Tried:
    """Ask for golden rows one by one and compare with what the test stage got for all of them at once.

    Args:
        site: the project.
        release: id of the release, which has passed the test stage.
        caller: a connection to the endpoint.
        described: its own document.
        inputs: the golden rows.
    """
    batch = _answers(site, release)
    if batch is None:
        return Tried(name=NAME)
    for place, record in enumerate(records_of(inputs.head(ROWS_MAX))):
        found, problem = predictions(caller.ask("POST", described.path, {"records": [record]}), 1)
        if problem:
            return Tried(name=NAME, problem=f"row {place}: {problem}")
        for name in batch.columns:
            one, two = batch[name][place], found[0].get(name)
            if not near(one, two, 0.0):
                return Tried(name=NAME, problem=f"row {place}: {name} is {one!r} in batch and {two!r} in real time")
    return Tried(name=NAME)


def _answers(site: Site, release: str) -> pl.DataFrame | None:
    """Return what the batch worker answered the golden rows; None for a release that was tested before it was kept."""
    with site.db.read() as rows:
        tested = last_outcome(rows, release, "test")
    if tested is None:
        return None
    evidence: dict[str, Any] = json.loads(site.blobs.get(tested.evidence))
    digest = str(evidence.get("found", {}).get("generated", {}).get("answers", ""))
    return frames.read(site.blobs, digest) if digest else None
