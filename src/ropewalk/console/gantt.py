"""A run's time line: when each step waited, ran, failed and was tried again, and which steps made the run so long."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.console.scales import Scale, exact, rounds, short_span
from ropewalk.console.steps import AGAIN, GOING, HIT, Step, Walked
from ropewalk.console.words import span

WIDTH, LEFT, RIGHT = 1000, 190, 12
ROW, BAR, TOP = 22, 12, 6
ROWS_MAX = 40
LETTERS = 26
THIN = 1.2
SECOND_US = 1e6
# Less than this between the last result and the start is the engine's own time, and no waiting for room.
WAITED_US = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a row.

    Attributes:
        kind: `queued`, `tried`, `pause`, or the state of the step.
        from_us: microseconds since the epoch.
        to_us: likewise.
        told: figures, for people.
        address: of the step's page.
        critical: whether the run could not have been shorter without it.
    """

    kind: str
    from_us: int
    to_us: int
    told: str
    address: str
    critical: bool = False


def of_walk(walked: Walked) -> dict[str, Any] | None:
    """Return rows of bars on one axis of time; None where no step has begun.

    A row is a step; where there are many steps, a row is a place at which one step runs at a time.
    """
    begun = [step for step in walked.steps if step.record and (step.started_us is not None or step.state == HIT)]
    if not begun:
        return None
    path = critical(walked)
    lanes = len(begun) > ROWS_MAX
    rows = _lanes(walked, begun, path) if lanes else [(step.node, _pieces(walked, step, path)) for step in begun]
    ends = [piece for _, pieces in rows for piece in pieces]
    first, last = min(piece.from_us for piece in ends), max(piece.to_us for piece in ends)
    x = exact(first, max(last, first + 1000), LEFT, WIDTH - RIGHT)
    worked = sum(_long(walked, step) for step in begun)
    long_us = sum(_long(walked, step) for step in begun if step.node in path)
    return {
        "width": WIDTH,
        "height": TOP + ROW * len(rows) + 22,
        "left": LEFT,
        "lanes": lanes,
        "rows": [_row(number, name, pieces, x) for number, (name, pieces) in enumerate(rows)],
        "ticks": _ticks(x),
        "told": f"{span(1, 1 + last - first)} by the clock, {span(1, 1 + worked)} of work in {len(begun):,} steps",
        "critical": f"{len(path):,} of {len(begun):,} steps, {span(1, 1 + long_us)}" if path and long_us else "",
        "names": _named(path),
    }


def critical(walked: Walked) -> dict[str, None]:
    """Return the steps that made the run so long, first to last: each had to wait for the one before.

    That is the one whose result came last of all that it needs; where it was in line after that, it is the one that
    ended as it began and so made room.
    """
    ran = [step for step in walked.steps if step.started_us is not None]
    if not ran or not walked.whole:
        return {}
    ends = {step.node: step.ended_us(walked.now_us) or 0 for step in ran}
    by_end = sorted((end, walked.places[name]) for name, end in ends.items())
    found: dict[str, None] = {}
    name: str | None = walked.steps[by_end[-1][1]].node
    while name is not None and name not in found:
        found[name] = None
        step = walked.step(name)
        assert step is not None, "it ran"
        begun_us = step.tried[0].started_us if step.tried else step.started_us or 0
        before = max((one for one in step.needs if one in ends), key=lambda one: ends[one], default=None)
        if step.ready_us is not None and begun_us - step.ready_us > WAITED_US:
            place = bisect_right(by_end, (begun_us, len(walked.steps))) - 1
            before = walked.steps[by_end[place][1]].node if place >= 0 else before
        name = before
    return dict.fromkeys(reversed(found))


def _named(path: dict[str, None]) -> list[str]:
    listed = list(path)
    return listed if len(listed) <= 12 else [*listed[:6], "…", *listed[-5:]]  # noqa: PLR2004 - what fits on two lines


def _long(walked: Walked, step: Step) -> int:
    began, ended = step.started_us, step.ended_us(walked.now_us)
    return ended - began if began is not None and ended is not None else 0


def _pieces(walked: Walked, step: Step, path: dict[str, None]) -> list[Piece]:
    """Return the stretches of one step in time."""
    record, address = step.record, step.address(walked.run.id)
    assert record is not None, "only steps that the run came to have a row"
    if step.state == HIT:
        told = f"{step.node}: from the cache"
        return [Piece(kind="hit", from_us=record.started_us, to_us=record.started_us, told=told, address=address)]
    found: list[Piece] = []
    at_us = step.ready_us if step.ready_us is not None else record.started_us
    for one in step.tried:
        if one.started_us > at_us:
            kind, word = ("queued", "queued") if not found else ("pause", "waited to try again")
            told = f"{step.node}: {word} {span(at_us, one.started_us)}"
            found.append(Piece(kind=kind, from_us=at_us, to_us=one.started_us, told=told, address=address))
        told = f"{step.node}: attempt {one.attempt} failed after {span(one.started_us, one.ended_us) or '0 ms'}"
        found.append(Piece(kind="tried", from_us=one.started_us, to_us=one.ended_us, told=told, address=address))
        at_us = max(at_us, one.ended_us)
    if step.state == AGAIN:
        told = f"{step.node}: waits to try again"
        return [*found, Piece(kind="pause", from_us=at_us, to_us=walked.now_us, told=told, address=address)]
    if record.started_us > at_us:
        kind, word = ("pause", "waited to try again") if found else ("queued", "queued")
        told = f"{step.node}: {word} {span(at_us, record.started_us)}"
        found.append(Piece(kind=kind, from_us=at_us, to_us=record.started_us, told=told, address=address))
    return [*found, _bar(walked, step, on_path=step.node in path)]


def _bar(walked: Walked, step: Step, *, on_path: bool) -> Piece:
    assert step.record is not None, "it has begun"
    # Of a step that was cut off nobody wrote when: it is drawn up to the end of the run, where that is known.
    known_us = step.ended_us(walked.now_us)
    ended_us = known_us or walked.run.ended_us or step.record.started_us
    words = [f"{step.node}: {step.state}"]
    took = "nobody knows for how long" if known_us is None else f"for {step.took(walked.now_us)}"
    words += [took, f"began {_after(walked, step.record.started_us)}"]
    words += [f"{step.items[0]:,} of {step.items[1]:,} items"] if step.items else []
    words += [f"attempt {step.record.attempt}"] if step.record.attempt > 1 else []
    words += ["on the critical path"] if on_path else []
    return Piece(
        kind=step.css,
        from_us=step.record.started_us,
        to_us=max(ended_us, step.record.started_us),
        told=", ".join(words),
        address=step.address(walked.run.id),
        critical=on_path,
    )


def _after(walked: Walked, at_us: int) -> str:
    return f"{span(1, 1 + max(0, at_us - walked.run.started_us))} after the run"


def _lanes(walked: Walked, begun: Sequence[Step], path: dict[str, None]) -> list[tuple[str, list[Piece]]]:
    """Return rows at which one step runs at a time, as few as can be, and one of what came from the cache."""
    hits = [piece for step in begun if step.state == HIT for piece in _pieces(walked, step, path)]
    ran = sorted(
        (piece for step in begun if step.state != HIT for piece in _pieces(walked, step, path)),
        key=lambda piece: (piece.from_us, piece.to_us),
    )
    lanes: list[list[Piece]] = []
    free: list[tuple[int, int]] = []
    for piece in ran:
        if piece.kind in ("queued", "pause"):
            continue
        if free and free[0][0] <= piece.from_us:
            _, lane = heapq.heappop(free)
        else:
            lane = len(lanes)
            lanes.append([])
        lanes[lane].append(piece)
        heapq.heappush(free, (piece.to_us, lane))
    shown = [(f"place {number + 1}", pieces) for number, pieces in enumerate(lanes[:ROWS_MAX])]
    return [*([("from the cache", hits)] if hits else []), *shown]


def _row(number: int, name: str, pieces: Sequence[Piece], x: Scale) -> dict[str, Any]:
    y = TOP + number * ROW
    bars: list[dict[str, Any]] = []
    for piece in pieces:
        left = x.at(piece.from_us)
        wide = x.at(piece.to_us) - left
        last = bars[-1] if bars else None
        # What is too narrow to be told apart is one bar that says how many it is.
        if last and last["kind"] == piece.kind and wide < THIN and left < last["x"] + last["wide"] + THIN:
            last["count"] += 1
            last["wide"] = max(last["wide"], left + wide - last["x"])
            last["told"] = f"{last['count']:,} steps {piece.kind}, from {last['first']}"
            last["critical"] = last["critical"] or piece.critical
            continue
        bars.append(
            {
                "kind": piece.kind,
                "x": left,
                "wide": max(wide, THIN),
                "told": piece.told,
                "count": 1,
                "address": piece.address,
                "critical": piece.critical,
                "first": piece.told.partition(":")[0],
            }
        )
    cut = name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
    return {"y": y, "name": cut, "whole": name, "bars": bars, "going": any(one["kind"] == GOING for one in bars)}


def _ticks(x: Scale) -> list[tuple[float, str]]:
    seconds = (x.high - x.low) / SECOND_US
    return [(x.at(x.low + at * SECOND_US), short_span(at) if at else "0") for at in rounds(0, seconds, 6)]
