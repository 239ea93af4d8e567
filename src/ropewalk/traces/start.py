"""A client tells a whole trace, or its beginning and then its end: rows are made, or merged with what spans told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ropewalk.errors import Invalid
from ropewalk.refs import uuid7
from ropewalk.runs import experiments
from ropewalk.site import Site
from ropewalk.store.database import Transaction
from ropewalk.traces import assessment
from ropewalk.traces.assessment import Assessment
from ropewalk.traces.summary import COSTS, TOKEN_KEYS, cost_of, usage_of, written
from ropewalk.traces.tags import OWN, tag_text
from ropewalk.traces.trace import (
    ARTIFACTS,
    COST,
    FINALIZED,
    IN_PROGRESS,
    METADATA,
    NAME,
    SESSION,
    STATES,
    TAG,
    USAGE,
    Info,
    Trace,
    get,
    info,
    require_id,
)

VALUES_MAX = 1000
PREVIEW_LETTERS_MAX = 10_000
CLIENT_REQUEST_LETTERS_MAX = 250
SESSION_LETTERS_MAX = 250
TIME_MS_MAX = (1 << 63) // 1_000_000
COUNTS = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A trace as its client tells it.

    Attributes:
        id: of the trace.
        experiment: id of the experiment.
        start_ms: milliseconds since the epoch.
        duration_ms: None while it runs.
        state: `IN_PROGRESS`, `OK`, `ERROR` or `STATE_UNSPECIFIED`.
        client_request: by what the application calls the request, or None.
        request_preview: the beginning of what was asked, or None.
        response_preview: the beginning of what was answered, or None.
        tags: by name.
        metadata: by name.
        assessments: what was thought of it meanwhile.
    """

    id: str
    experiment: str
    start_ms: int
    duration_ms: int | None = None
    state: str = IN_PROGRESS
    client_request: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    tags: Mapping[str, str]
    metadata: Mapping[str, str]
    assessments: tuple[Assessment, ...] = ()


def start(tx: Transaction, site: Site, told: Told) -> Info:
    """Keep a trace that is told whole; what spans told before is overruled, their tags stay.

    Args:
        tx: the caller's transaction.
        site: the project.
        told: the trace.

    Raises:
        Invalid: a part is not what it can be, or the experiment is deleted.
        NotFound: there is no such experiment.
    """
    _check(told)
    home = experiments.active(tx, told.experiment)
    known = tx.get(Trace, "traces.get", id=require_id(told.id))
    row = _row(told, home.id, known)
    if known is None:
        tx.run("traces.insert", **row, **_sums(None, None))
    else:
        tx.run("traces.update", number=known.number, **row)
    found = get(tx, told.id)
    keep_sums(tx, found.number, told.metadata.get(USAGE), told.metadata.get(COST))
    keep_values(tx, found.number, told)
    place_artifacts(tx, found, home.location)
    for one in told.assessments:
        assessment.merge(tx, site, found.number, told.id, one)
    return info(tx, told.id)


def begin(tx: Transaction, site: Site, told: Told) -> Info:
    """Keep the beginning of a trace, as clients before MLflow 3 tell it; its id is made here.

    Raises:
        Invalid: a part is not what it can be, or the experiment is deleted.
        NotFound: there is no such experiment.
    """
    fresh = replace(told, id=f"tr-{uuid7(site.clock.now_us()).replace('-', '')}")
    made = start(tx, site, fresh)
    tx.run("traces.update", **{**_same(made.trace), "finalized": 0})
    return info(tx, fresh.id)


def end(
    tx: Transaction, trace: str, *, end_ms: int, state: str, tags: Mapping[str, str], metadata: Mapping[str, str]
) -> Info:
    """Keep the end of a trace, as clients before MLflow 3 tell it.

    Raises:
        NotFound: there is no such trace.
        Invalid: a part is not what it can be.
    """
    known = get(tx, trace)
    told = Told(
        id=trace,
        experiment=str(known.experiment),
        start_ms=known.start_ms,
        duration_ms=max(0, end_ms - known.start_ms),
        state=state,
        tags=tags,
        metadata=metadata,
    )
    _check(told)
    changed = {"duration_ms": told.duration_ms, "state": state, "name": tags.get(NAME, known.name)}
    tx.run("traces.update", **{**_same(known), **changed, "session": metadata.get(SESSION, known.session)})
    keep_sums(tx, known.number, metadata.get(USAGE), metadata.get(COST))
    keep_values(tx, known.number, told)
    return info(tx, trace)


def place_artifacts(tx: Transaction, trace: Trace, location: str) -> None:
    """Say where files of a trace belong: below those of its experiment."""
    value = f"{location.rstrip('/')}/traces/{trace.id}/artifacts"
    tx.run("traces.set_value", trace=trace.number, kind=TAG, key=ARTIFACTS, value=value)


def keep_values(tx: Transaction, number: int, told: Told) -> None:
    """Keep tags and metadata; what has a column of its own is not kept twice."""
    rows = [
        {"trace": number, "kind": kind, "key": key, "value": value}
        for kind, values in ((TAG, told.tags), (METADATA, told.metadata))
        for key, value in (tag_text(name, text) for name, text in values.items())
        if key not in _COLUMNS and key not in OWN
    ]
    if rows:
        tx.many("traces.set_value", rows)


def keep_sums(tx: Transaction, number: int, usage: object, cost: object) -> None:
    """Keep tokens and dollars of a whole trace, each where it was told."""
    tokens, dollars = usage_of(usage), cost_of(cost)
    sums = _sums(tokens, dollars)
    if tokens is not None:
        tx.run("traces.set_usage", number=number, usage=written(tokens), **{name: sums[name] for name in COUNTS})
    if dollars is not None:
        tx.run("traces.set_cost", number=number, cost=written(dollars), **{name: sums[name] for name in COSTS})


_COLUMNS = frozenset((NAME, SESSION, USAGE, COST, FINALIZED))


def _sums(tokens: Mapping[str, int] | None, dollars: Mapping[str, float] | None) -> dict[str, int | float | None]:
    counted = tokens or {}
    return {
        **{column: counted.get(name) for column, name in zip(COUNTS, TOKEN_KEYS, strict=False)},
        **{name: (dollars or {}).get(name) for name in COSTS},
    }


def _row(told: Told, experiment: int, known: Trace | None) -> dict[str, str | int | None]:
    name = told.tags.get(NAME, known.name if known else None)
    session = told.metadata.get(SESSION, known.session if known else None)
    row: dict[str, str | int | None] = {
        "experiment": experiment,
        "start_ms": told.start_ms,
        "duration_ms": told.duration_ms,
        "state": told.state,
        "client_request": told.client_request,
        "name": name,
        "session": session,
        "request_preview": _preview(told.request_preview, known.request_preview if known else None),
        "response_preview": _preview(told.response_preview, known.response_preview if known else None),
        "finalized": 1,
    }
    return row if known else {**row, "id": told.id, "usage": None, "cost": None}


def _preview(told: str | None, known: str | None) -> str | None:
    return known if told is None else told[:PREVIEW_LETTERS_MAX]


def _same(trace: Trace) -> dict[str, str | int | None]:
    wanted = ("number", "experiment", "start_ms", "duration_ms", "state", "client_request", "name", "session")
    return {name: getattr(trace, name) for name in (*wanted, "request_preview", "response_preview", "finalized")}


def _check(told: Told) -> None:
    """Pass only what a trace can be."""
    if told.state not in STATES:
        raise _bad(told, f"its state is one of {', '.join(STATES)}, not {told.state[:40]!r}")
    if not 0 <= told.start_ms <= TIME_MS_MAX or not 0 <= (told.duration_ms or 0) <= TIME_MS_MAX:
        raise _bad(told, "its times are milliseconds since 1970, its duration is not negative")
    if len(told.tags) + len(told.metadata) > VALUES_MAX:
        raise _bad(told, f"it has at most {VALUES_MAX} tags and pieces of metadata")
    if len(told.client_request or "") > CLIENT_REQUEST_LETTERS_MAX:
        raise _bad(told, f"its client request id has at most {CLIENT_REQUEST_LETTERS_MAX} letters")
    if len(told.metadata.get(SESSION, "")) > SESSION_LETTERS_MAX:
        raise _bad(told, f"its session id has at most {SESSION_LETTERS_MAX} letters")


def _bad(told: Told, why: str) -> Invalid:
    return Invalid("trace-invalid", "A trace cannot be like this.", where=f"trace:{told.id[:80]}", why=why)
