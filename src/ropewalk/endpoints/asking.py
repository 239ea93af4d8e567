"""Asking: rows are checked, split among champion, canary and shadow, queued, and their answers put in order again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from os import urandom
from typing import Any

from ropewalk.clock import Clock
from ropewalk.data.rows import Problem
from ropewalk.endpoints.columnar import ROWS_MIN
from ropewalk.endpoints.items import ERROR, OK, Columns, Item, Outcome
from ropewalk.endpoints.problems import Receive
from ropewalk.endpoints.routing import role_of
from ropewalk.endpoints.served import Served, columns_of
from ropewalk.endpoints.switchboard import Route, Warm
from ropewalk.errors import Invalid, NotFound, RopewalkError, Unavailable
from ropewalk.refs import uuid7
from ropewalk.releases.traffic import Traffic

PROBLEMS_MAX = 100
ASKED_FOR = "asked"  # role of rows whose caller named the release: they are no part of the random split


class Asked:
    """A decoded request, made once per request: one value per row in each list."""

    __slots__ = ("events", "keys", "ready", "rows")

    def __init__(self, rows: list[dict[str, Any]], keys: list[str | None], events: list[int] | None) -> None:
        self.rows = rows
        self.keys = keys
        self.events = events
        # Columns that the check of a group of rows has made already, by the identity of the group's list of places.
        self.ready: dict[int, Columns] = {}


class Given:
    """What was answered, made once per request: one value per row in each list.

    Attributes:
        ids: prediction ids.
        releases: who answered.
        rows: output columns by name, or `{"error": {...}}`.
        warnings: what was out of the contract's ordinary, or an empty tuple.
        warm: the release that answered the first row.
        begun_us: when its rows had come, microseconds since the epoch.
    """

    __slots__ = ("begun_us", "ids", "releases", "rows", "warm", "warnings")

    def __init__(self, ids: list[str], warm: Warm, begun_us: int = 0) -> None:
        self.begun_us = begun_us
        self.ids = ids
        self.releases: list[str] = [""] * len(ids)
        self.rows: list[dict[str, Any]] = [{}] * len(ids)
        self.warnings: list[tuple[Problem, ...]] = [()] * len(ids)
        self.warm = warm


class Refusals(Invalid):
    """The rows break the contract (HTTP 422).

    Args:
        problems: `{"record", "field", "rule", "message"}` each, 100 at most.
        count: how many there are.
    """

    def __init__(self, problems: list[dict[str, object]], count: int) -> None:
        first = problems[0]
        super().__init__(
            "contract-broken",
            "The records do not fit the model's contract.",
            where=f"record {first['record']}, field {first['field']!r}",
            why=f"{first['message']}" + (f", and {count - 1} more" if count > 1 else ""),
            fix="mend the field; /openapi.json says what each one is",
        )
        self.problems = problems

    def __reduce__(self) -> tuple[object, ...]:
        return (Refusals, (self.problems, len(self.problems)))


def pinned(route: Route, release: str) -> Warm:
    """Return the release that the caller named, if it stands warm at this endpoint.

    Raises:
        NotFound: it is none of champion, canary, shadow and previous.
    """
    warm = route.warm.get(release)
    if warm is None:
        raise NotFound(
            "release-not-served",
            "This release does not answer here.",
            where="X-Ropewalk-Release",
            why=f"those that do: {', '.join(route.warm)}",
        )
    return warm


def ids_of(at_us: int, count: int) -> list[str]:
    """Return prediction ids of one moment that sort in the order of the rows."""
    base = int.from_bytes(urandom(7)) << 4
    first = uuid7(at_us, base.to_bytes)
    if count == 1:
        return [first]
    # Only the last 62 bits count up, and they begin with two zeros: the text before them stays.
    head, low = first[:19], int(first[19:].replace("-", ""), 16)
    tails = [f"{low + at:016x}" for at in range(count)]
    return [f"{head}{tail[:4]}-{tail[4:]}" for tail in tails]


class Patience:
    """How a request is to be asked, made once per request.

    Attributes:
        pin: a release that the caller named, or an empty string.
        seconds: how long the caller waits.
        receive: ASGI's, to notice that the caller has left.
        trace: id of the trace that the request belongs to, or an empty string.
        given: what was answered, for whoever tells of it.
    """

    __slots__ = ("given", "pin", "receive", "seconds", "trace")

    def __init__(self, *, pin: str, seconds: float, receive: Receive | None, trace: str = "") -> None:
        self.given: Given | None = None
        self.trace = trace
        self.pin = pin
        self.seconds = seconds
        self.receive = receive


async def ask(route: Route, asked: Asked, patience: Patience, *, clock: Clock) -> Given:
    """Return predictions for every row, each from the release that its key falls to.

    Nothing is awaited between the choice of a release and the place in its queue, so that a switch loses no request.

    Args:
        route: who answers.
        asked: the rows.
        patience: which release, and how long.
        clock: the time.

    Raises:
        RopewalkError: a row breaks the contract, the queue is full, or no row could be answered.
    """
    at_us = clock.now_us()
    begun = clock.monotonic()
    traffic = route.traffic
    ids = ids_of(at_us, len(asked.rows))
    first = pinned(route, patience.pin) if patience.pin else route.champion
    groups = _groups(traffic, asked, ids, pin=patience.pin)
    given = Given(ids, first, at_us)
    futures: list[tuple[list[int], asyncio.Future[Outcome], str]] = []
    checked = [(role, places, _warm_of(route, role, first)) for role, places in groups.items()]
    make = partial(
        _item, asked=asked, given=given, patience=patience, generation=traffic.generation, at_us=at_us, begun=begun
    )
    try:
        _check(asked, checked, given)
    except Refusals:
        for role, places, warm in checked:
            if role == "canary":
                _note_unfit(route, asked, places, warm, make)
        raise
    for _, places, warm in checked:  # all of it or nothing: a part would be recorded as answered that nobody gets
        warm.lane.admit(len(places))
    for role, places, warm in checked:
        item = make(warm.served, role, places)
        warm.lane.submit(item)
        futures.append((places, item.answer, warm.served.release))
        if role == "champion" and traffic.shadow:
            _shadow(route, asked, item, places)
        if len(checked) == 1:
            given.warm = warm
    patience.given = given
    return await _gathered(futures, given)


def _item(
    served: Served,
    role: str,
    places: list[int],
    *,
    asked: Asked,
    given: Given,
    patience: Patience,
    generation: int,
    at_us: int,
    begun: float,
) -> Item:
    return Item(
        ids=[given.ids[at] for at in places],
        columns=asked.ready.pop(id(places), None) or columns_of(served, [asked.rows[at] for at in places]),
        role=role,
        generation=generation,
        at_us=at_us,
        event_us=[asked.events[at] for at in places] if asked.events else [at_us] * len(places),
        keys=[asked.keys[at] for at in places],
        warnings=[len(given.warnings[at]) for at in places],
        begun=begun,
        deadline=begun + patience.seconds,
        answer=asyncio.get_running_loop().create_future(),
        receive=patience.receive,
        trace=patience.trace,
    )


def _note_unfit(
    route: Route, asked: Asked, places: list[int], warm: Warm, make: Callable[[Served, str, list[int]], Item]
) -> None:
    """Write down, as failures of the canary, the rows that it refuses and the champion would have answered."""
    champion = route.champion.served
    if warm.served.contract == champion.contract:
        return
    unfit = [at for at in places if _is_unfit(warm.served, asked.rows[at]) and not _is_unfit(champion, asked.rows[at])]
    if unfit:
        refused = Invalid("contract-broken", "The records do not fit the model's contract; they fit the champion's.")
        warm.lane.refuse(make(champion, "canary", unfit), refused)


def _is_unfit(served: Served, row: dict[str, Any]) -> bool:
    return any(problem.strict for problem in served.check(row))


def _groups(traffic: Traffic, asked: Asked, ids: list[str], *, pin: str) -> dict[str, list[int]]:
    """Return which rows fall to which role."""
    if pin or not traffic.canary_weight_bp:
        return {ASKED_FOR if pin else "champion": list(range(len(ids)))}
    groups: dict[str, list[int]] = {}
    for at, key in enumerate(asked.keys):
        groups.setdefault(role_of(traffic, key or ids[at]), []).append(at)
    return groups


def _warm_of(route: Route, role: str, first: Warm) -> Warm:
    if role != "canary":
        return first
    return route.warm[route.traffic.canary]


def _check(asked: Asked, checked: list[tuple[str, list[int], Warm]], given: Given) -> None:
    """Hold every row against the contract of the release that will answer it."""
    refused: list[dict[str, object]] = []
    count = 0
    for _, places, warm in checked:
        columnar = warm.served.columnar
        if columnar is not None and len(places) >= ROWS_MIN:
            columns = columnar([asked.rows[at] for at in places])
            if columns is not None:
                asked.ready[id(places)] = columns
                continue
        check = warm.served.check
        for at in places:
            problems = check(asked.rows[at])
            if not problems:
                continue
            strict = [problem for problem in problems if problem.strict]
            count += len(strict)
            refused.extend(_said(at, problem) for problem in strict[: max(0, PROBLEMS_MAX - len(refused))])
            given.warnings[at] = tuple(problem for problem in problems if not problem.strict)
    if refused:
        raise Refusals(refused, count)


def _said(at: int, problem: Problem) -> dict[str, object]:
    return {"record": at, "field": problem.field, "rule": problem.rule, "message": problem.message}


def _shadow(route: Route, asked: Asked, item: Item, places: list[int]) -> None:
    """Send the same rows to the shadow; whatever becomes of them, the caller never learns."""
    warm = route.warm.get(route.traffic.shadow)
    if warm is None:
        return
    rows = [asked.rows[at] for at in places]
    same = warm.served.contract == route.champion.served.contract
    unfit = not same and any(_is_unfit(warm.served, row) for row in rows)
    twin = Item(
        ids=ids_of(item.at_us, len(places)),
        columns=item.columns if unfit else columns_of(warm.served, rows),
        role="shadow",
        generation=item.generation,
        at_us=item.at_us,
        event_us=item.event_us,
        keys=item.keys,
        warnings=item.warnings,
        begun=item.begun,
        deadline=item.deadline,
        answer=asyncio.get_running_loop().create_future(),
        pairs=item.ids,
        trace=item.trace,
    )
    if unfit:
        warm.lane.refuse(twin, Invalid("contract-broken", "The records do not fit the model's contract."))
        return
    try:
        warm.lane.submit(twin)
    except Unavailable:
        warm.lane.expired += 1


async def _gathered(futures: list[tuple[list[int], asyncio.Future[Outcome], str]], given: Given) -> Given:
    failed: RopewalkError | None = None
    answered = False
    for places, future, release in futures:
        outcome = await future
        if outcome.error is not None:
            failed = failed or outcome.error
        else:
            answered = True
        names = tuple(outcome.outputs)
        for place, (at, status) in enumerate(zip(places, outcome.status, strict=True)):
            given.releases[at] = release
            if status == OK:
                given.rows[at] = {name: outcome.outputs[name][place] for name in names}
            else:
                given.rows[at] = {"error": _why(status, outcome.error)}
    if failed is not None and not answered:
        raise failed
    return given


def _why(status: str, error: RopewalkError | None) -> dict[str, str]:
    if error is not None:
        return error.record()
    words = Invalid(
        "output-invalid",
        "The model's answer is not a number that may be used.",
        why="it is not finite, or a probability outside of 0 to 1" if status != ERROR else "",
        fix="this row was recorded as invalid_output; ask the endpoint's owner",
    )
    return words.record()
