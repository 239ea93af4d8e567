"""The rehearsal of stage 7: recorded production traffic is played to the candidate before any user meets it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ropewalk.models.manifest import Manifest
from ropewalk.releases.load import percentile_ms
from ropewalk.releases.player import Played, Question, play
from ropewalk.releases.records import inputs_of, records_of
from ropewalk.settings import Qa

if TYPE_CHECKING:
    import polars as pl

SECONDS_MAX = 5.0
RECORDS_MAX = 1000
UNPROCESSABLE = 422
OUTPUT = "out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What the rehearsal found.

    Attributes:
        rows: how many were played.
        requests: in how many requests: rows that arrived in one were sent in one.
        refused: rows that the candidate's contract refuses though production took them.
        errors: rows without a proper answer.
        speed: how many times faster than it was recorded.
        late_ms: how late the latest request was sent, since none of the connections was free.
        p50_ms: median latency, of whole requests as the caller sees it.
        p99_ms: 99th percentile of it.
        recorded_p99_ms: what production took for the same rows, as the gateway saw it; 0 where nobody wrote it down.
        compared: rows whose recorded answer and the candidate's were compared.
        changed: how many of them got another label, or another text.
        shifts: mean and largest absolute change of each number that is answered.
        skipped: why nothing was played; empty when something was.
        problems: sentences, empty when all is well.
    """

    rows: int = 0
    requests: int = 0
    refused: int = 0
    errors: int = 0
    speed: float = 0.0
    late_ms: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    recorded_p99_ms: float = 0.0
    compared: int = 0
    changed: int = 0
    shifts: dict[str, tuple[float, float]]
    skipped: str = ""
    problems: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"problems": list(self.problems)}


def rehearse(
    url: str,
    path: str,
    recorded: pl.DataFrame,
    manifest: Manifest,
    speed: float,
    *,
    plan: Qa | None = None,
    seconds_max: float = SECONDS_MAX,
) -> Rehearsed:
    """Play recorded rows in their order and rhythm, and hold the answers against those that production gave.

    Args:
        url: the endpoint, on loopback.
        path: where to post to.
        recorded: inputs (`in.`) and outputs (`out.`) as they were captured, with `at_us` or `event_us`, oldest first.
        manifest: the candidate's; it says which columns it needs.
        speed: at least so many times faster than recorded.
        plan: thresholds; the defaults when None.
        seconds_max: it is played faster where it would take longer.
    """
    if recorded.is_empty():
        return Rehearsed(shifts={}, skipped="no traffic was recorded yet")
    inputs = inputs_of(recorded)
    absent = [item.name for item in manifest.signature.inputs if item.name not in inputs.columns]
    if absent:
        return Rehearsed(shifts={}, skipped=f"the recorded traffic has no {', '.join(absent)}")
    recorded, offsets, real = paced(recorded, speed, seconds_max)
    inputs = inputs_of(recorded).select(item.name for item in manifest.signature.inputs)
    played = play(url, path, _questions(list(records_of(inputs)), offsets, together="at_us" in recorded.columns))
    return _judged(played, recorded, manifest, real, plan or Qa())


def paced(
    recorded: pl.DataFrame, speed: float, seconds_max: float = SECONDS_MAX
) -> tuple[pl.DataFrame, list[float], float]:
    """Return the rows in the order of their times, the seconds from the first to each, and the speed that this makes.

    Args:
        recorded: rows in the order of their ids: callers beside each other swap places.
        speed: at least so many times faster than recorded.
        seconds_max: faster where it would take longer.
    """
    name = next((one for one in ("at_us", "event_us") if one in recorded.columns), "")
    if not name:
        return recorded, [0.0] * recorded.height, speed
    recorded = recorded.sort(name, maintain_order=True)
    times: list[int] = recorded[name].to_list()
    real = max(speed, (times[-1] - times[0]) / 1_000_000 / seconds_max)
    return recorded, [(at - times[0]) / 1_000_000 / real for at in times], real


def _questions(records: list[dict[str, Any]], offsets: list[float], *, together: bool) -> list[Question]:
    """Return the requests: rows that arrived in the same microsecond came in one."""
    if not together:
        return [
            Question(at_seconds=at, first=place, records=[record])
            for place, (at, record) in enumerate(zip(offsets, records, strict=True))
        ]
    found: list[Question] = []
    for at, group in groupby(enumerate(offsets), key=itemgetter(1)):
        places = [place for place, _ in group]
        found += [
            Question(at_seconds=at, first=first, records=records[first : min(first + RECORDS_MAX, places[-1] + 1)])
            for first in range(places[0], places[-1] + 1, RECORDS_MAX)
        ]
    return found


def _judged(played: list[Played], recorded: pl.DataFrame, manifest: Manifest, speed: float, plan: Qa) -> Rehearsed:
    refused = sum(len(one.question.records) for one in played if one.status == UNPROCESSABLE)
    answers = [(one.question.first + at, answer) for one in played for at, answer in enumerate(one.answers)]
    good = [(place, answer) for place, answer in answers if "error" not in answer]
    compared, changed, shifts = _compared(good, recorded, [output.name for output in manifest.signature.outputs])
    latencies = sorted(one.seconds for one in played)
    taken: list[float] = (
        sorted(recorded["latency_us"].drop_nulls().to_list()) if "latency_us" in recorded.columns else []
    )
    found = Rehearsed(
        rows=recorded.height,
        requests=len(played),
        refused=refused,
        errors=recorded.height - len(good) - refused,
        speed=round(speed, 1),
        late_ms=round(max((one.late_seconds for one in played), default=0.0) * 1000, 3),
        p50_ms=round(percentile_ms(latencies, 0.5), 3),
        p99_ms=round(percentile_ms(latencies, 0.99), 3),
        recorded_p99_ms=round(percentile_ms(taken, 0.99) / 1_000_000, 3),
        compared=compared,
        changed=changed,
        shifts=shifts,
    )
    first = next((one.said for one in played if one.said), "")
    return replace(found, problems=_problems(found, plan, first))


def _compared(
    good: list[tuple[int, dict[str, Any]]], recorded: pl.DataFrame, names: list[str]
) -> tuple[int, int, dict[str, tuple[float, float]]]:
    """Return how many rows were compared, how many got another label, and how far each number moved."""
    known = [name for name in names if OUTPUT + name in recorded.columns]
    if not known:
        return 0, 0, {}
    compared = changed = 0
    moves: dict[str, list[float]] = {}
    before = recorded.select(OUTPUT + name for name in known).to_dicts()
    for place, answer in good:
        then = {name: before[place][OUTPUT + name] for name in known}
        if all(value is None for value in then.values()):
            continue  # production gave no answer to this one
        compared += 1
        changed += any(str(answer.get(name)) != str(was) for name, was in then.items() if not isinstance(was, float))
        for name, was in then.items():
            now = answer.get(name)
            if isinstance(was, float) and isinstance(now, int | float):
                moves.setdefault(name, []).append(abs(now - was))
    return compared, changed, {name: (sum(some) / len(some), max(some)) for name, some in moves.items()}


def _problems(found: Rehearsed, plan: Qa, first: str) -> tuple[str, ...]:
    """Return which thresholds of `[qa]` are broken."""
    problems: list[str] = []
    bad = found.refused + found.errors
    if bad and bad > plan.rehearsal_errors * found.rows:
        if found.refused:
            problems.append(
                f"{found.refused} of {found.rows} recorded rows are refused, which production answered: {first}"
            )
        if found.errors:
            problems.append(f"{found.errors} of {found.rows} recorded rows got no answer: {first}")
    if found.changed > plan.rehearsal_changed * found.compared:
        problems.append(
            f"{found.changed} of {found.compared} recorded rows get another label; "
            f"rehearsal_changed allows {plan.rehearsal_changed:.2%}"
        )
    for name, (mean, _) in found.shifts.items():
        if 0 < plan.rehearsal_shift < mean:
            problems.append(f"{name} moves by {mean:.4g} in the mean; rehearsal_shift allows {plan.rehearsal_shift:g}")
    allowed = plan.rehearsal_latency * found.recorded_p99_ms
    if allowed and found.p99_ms > allowed:
        problems.append(
            f"1 % of the requests took longer than {found.p99_ms:.1f} ms, {plan.rehearsal_latency:g} times of what was "
            f"recorded is {allowed:.1f} ms"
        )
    return tuple(problems)
