"""What is due: decided from a schedule's words, from what was decided before and from the time alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ropewalk.schedules.spec import ALL, LAST, Spec
from ropewalk.schedules.times import before, between, newest

PAGE = 200
# A start that is later than this was missed; nothing that runs looks so seldom.
GRACE_US = 60_000_000
COUNTED_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start that is due.

    Attributes:
        at_us: its time on the schedule, microseconds since the epoch.
        from_us: the time before it on the schedule: where its interval begins.
        not_before_us: its time with its jitter.
    """

    at_us: int
    from_us: int
    not_before_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Starts that were missed and are not made up for.

    Attributes:
        count: how many, a thousand at most.
        first_us: the first one's time.
        last_us: the last one's.
    """

    count: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is due at a time.

    Attributes:
        starts: oldest first.
        missed: what is left out, or None.
        cursor_us: everything up to here is decided.
        more: whether more is due than one decision holds.
    """

    starts: tuple[Start, ...]
    missed: Missed | None
    cursor_us: int
    more: bool = False


def due(spec: Spec, last_us: int, now_us: int) -> Decision:
    """Return what a timed schedule starts now.

    Args:
        spec: a schedule of kind `cron` or `every`.
        last_us: up to when everything was decided, microseconds since the epoch.
        now_us: the time; when it is before `last_us`, nothing is due and nothing is taken back.
    """
    if now_us <= last_us:
        return Decision(starts=(), missed=None, cursor_us=last_us)
    if spec.catch_up == ALL:
        found = between(spec, last_us, now_us, PAGE + 1)
        more = len(found) > PAGE
        found = found[:PAGE]
        return Decision(starts=_starts(spec, found), missed=None, cursor_us=found[-1] if more else now_us, more=more)
    last = newest(spec, last_us, now_us)
    if last is None:
        return Decision(starts=(), missed=None, cursor_us=now_us)
    kept = [last] if spec.catch_up == LAST or last >= now_us - GRACE_US else []
    left = [at_us for at_us in between(spec, last_us, last, COUNTED_MAX) if at_us not in kept]
    missed = None
    if left:
        over = before(spec, last) if kept else last
        missed = Missed(count=len(left), first_us=left[0], last_us=over if over is not None else left[-1])
    return Decision(starts=_starts(spec, kept), missed=missed, cursor_us=now_us)


def jittered(spec: Spec, at_us: int) -> int:
    """Return a start's time with its wait, which is the same wherever it is worked out."""
    if not spec.jitter_us:
        return at_us
    drawn = int.from_bytes(hashlib.sha256(f"{spec.name} {at_us}".encode()).digest()[:8])
    return at_us + drawn % (spec.jitter_us + 1)


def _starts(spec: Spec, found: list[int]) -> tuple[Start, ...]:
    if not found:
        return ()
    first = before(spec, found[0])
    begins = [found[0] if first is None else first, *found]
    return tuple(
        Start(at_us=at_us, from_us=begins[place], not_before_us=jittered(spec, at_us))
        for place, at_us in enumerate(found)
    )
