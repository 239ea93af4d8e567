"""The rehearsal of stage 7: recorded production traffic is played to the candidate before any user meets it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ropewalk.models.manifest import Manifest
from ropewalk.releases.caller import Caller
from ropewalk.releases.load import percentile_ms
from ropewalk.releases.records import inputs_of, records_of

if TYPE_CHECKING:
    import polars as pl

SECONDS_MAX = 5.0
OK, UNPROCESSABLE = 200, 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What the rehearsal found.

    Attributes:
        rows: how many were played.
        refused: rows that the candidate's contract refuses though production took them.
        errors: rows without a proper answer.
        speed: how many times faster than it was recorded.
        p99_ms: 99th percentile of the latency.
        skipped: why nothing was played; empty when something was.
        problems: sentences, empty when all is well.
    """

    rows: int
    refused: int
    errors: int
    speed: float
    p99_ms: float
    skipped: str
    problems: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"problems": list(self.problems)}


def _nothing(why: str) -> Rehearsed:
    return Rehearsed(rows=0, refused=0, errors=0, speed=0.0, p99_ms=0.0, skipped=why, problems=())


def rehearse(url: str, path: str, recorded: pl.DataFrame, manifest: Manifest, speed: float) -> Rehearsed:
    """Play recorded rows in their order and rhythm, `speed` times faster and in five seconds at most.

    Args:
        url: the endpoint, on loopback.
        path: where to post to.
        recorded: inputs and `event_us`, oldest first.
        manifest: the candidate's; it says which columns it needs.
        speed: at least so many times faster than recorded.
    """
    if recorded.is_empty():
        return _nothing("no traffic was recorded yet")
    inputs = inputs_of(recorded)
    absent = [item.name for item in manifest.signature.inputs if item.name not in inputs.columns]
    if absent:
        return _nothing(f"the recorded traffic has no {', '.join(absent)}")
    recorded, waits, real = paced(recorded, speed)
    inputs = inputs_of(recorded).select(item.name for item in manifest.signature.inputs)
    return _play(url, path, inputs, waits, real)


def paced(recorded: pl.DataFrame, speed: float) -> tuple[pl.DataFrame, list[float], float]:
    """Return the rows in the order of their events, the seconds to wait before each, and the speed that this makes.

    Args:
        recorded: rows in the order of arrival: callers beside each other swap places, which would be waited for.
        speed: at least so many times faster than recorded; faster where it would take more than five seconds.
    """
    if "event_us" not in recorded.columns:
        return recorded, [0.0] * recorded.height, speed
    recorded = recorded.sort("event_us", maintain_order=True)
    times: list[int] = recorded["event_us"].to_list()
    real = max(speed, (times[-1] - times[0]) / 1_000_000 / SECONDS_MAX)
    waits = [(later - sooner) / 1_000_000 / real for sooner, later in pairwise(times)]
    return recorded, [0.0, *waits], real


def _play(url: str, path: str, inputs: pl.DataFrame, waits: list[float], speed: float) -> Rehearsed:
    pause = threading.Event()
    refused = errors = 0
    first = ""
    latencies: list[float] = []
    behind = 0.0
    with Caller(url) as caller:
        for wait, record in zip(waits, records_of(inputs), strict=True):
            behind += wait
            if behind > 0:
                pause.wait(behind)
                behind = 0.0
            reply = caller.ask("POST", path, {"records": [record]})
            behind -= reply.seconds
            latencies.append(reply.seconds)
            if reply.status == UNPROCESSABLE:
                refused += 1
            elif reply.status != OK:
                errors += 1
            if reply.status != OK and not first:
                first = f"status {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}"
    problems: list[str] = []
    if refused:
        problems.append(f"{refused} of {inputs.height} recorded rows are refused, which production answered: {first}")
    if errors:
        problems.append(f"{errors} of {inputs.height} recorded rows got no answer: {first}")
    return Rehearsed(
        rows=inputs.height,
        refused=refused,
        errors=errors,
        speed=round(speed, 1),
        p99_ms=round(percentile_ms(sorted(latencies), 0.99), 3),
        skipped="",
        problems=tuple(problems),
    )
