"""One trace as it is kept, with its tags, metadata and assessments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ropewalk.errors import Invalid, NotFound
from ropewalk.store.database import Reader, Row
from ropewalk.traces import compile as composing
from ropewalk.traces.assessment import Assessment

TAG, METADATA = "tag", "metadata"
IN_PROGRESS, OK, ERROR, UNSPECIFIED = "IN_PROGRESS", "OK", "ERROR", "STATE_UNSPECIFIED"
STATES = (IN_PROGRESS, OK, ERROR, UNSPECIFIED)
NAME = "mlflow.traceName"
SESSION = "mlflow.trace.session"
USAGE = "mlflow.trace.tokenUsage"
COST = "mlflow.trace.cost"
USER = "mlflow.trace.user"
SOURCE_RUN = "mlflow.sourceRun"
FINALIZED = "mlflow.trace.infoFinalized"
SPANS_LOCATION = "mlflow.trace.spansLocation"
ARTIFACTS = "mlflow.artifactLocation"
SIZE_STATS = "mlflow.trace.sizeStats"
TRACKING_STORE = "TRACKING_STORE"
ID_LETTERS_MAX = 100
PAGE_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one request did, without its spans.

    Attributes:
        number: the row's.
        id: `tr-` and 32 hex digits, or what an older client called it.
        experiment: id of the experiment.
        start_ms: milliseconds since the epoch.
        duration_ms: None while it runs.
        state: `IN_PROGRESS`, `OK`, `ERROR` or `STATE_UNSPECIFIED`.
        client_request: by what the application calls the request, or None.
        name: of the trace, or None.
        session: of the conversation that it is a part of, or None.
        request_preview: the beginning of what was asked, or None.
        response_preview: the beginning of what was answered, or None.
        finalized: 1 once the client has told the whole; spans then change no times.
        usage: tokens as JSON text, or None.
        cost: dollars as JSON text, or None.
    """

    number: int
    id: str
    experiment: int
    start_ms: int
    duration_ms: int | None
    state: str
    client_request: str | None
    name: str | None
    session: str | None
    request_preview: str | None
    response_preview: str | None
    finalized: int
    usage: str | None
    cost: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """A trace with what hangs on it.

    Attributes:
        trace: its own row.
        tags: by name.
        metadata: by name.
        assessments: oldest first.
    """

    trace: Trace
    tags: dict[str, str]
    metadata: dict[str, str]
    assessments: tuple[Assessment, ...] = ()


def require_id(text: str) -> str:
    """Return an id that a trace may have.

    Raises:
        Invalid: it has other characters than letters, digits, `-`, `_`, `.` and `:`, or more than 100.
    """
    plain = text.isascii() and all(letter.isalnum() or letter in "-_.:" for letter in text)
    if not text or len(text) > ID_LETTERS_MAX or not plain:
        raise Invalid(
            "trace-invalid",
            "A trace cannot have this id.",
            where=text[:80],
            why=f"an id has 1 to {ID_LETTERS_MAX} letters, digits, '-', '_', '.' or ':'",
            fix="let MLflow's client make it",
        )
    return text


def get(reader: Reader, trace: str) -> Trace:
    """Return a trace by its id.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(Trace, "traces.get", id=trace)
    if found is None:
        raise NotFound(
            "trace-not-found",
            f"Trace with ID {trace[:ID_LETTERS_MAX]!r} not found.",
            where=f"trace:{trace[:ID_LETTERS_MAX]}",
            why="it was never kept here, or was deleted",
            fix="mlflow.search_traces() lists what there is",
        )
    return found


def info(reader: Reader, trace: str) -> Info:
    """Return a trace by its id, with what hangs on it.

    Raises:
        NotFound: there is none.
    """
    return infos(reader, [get(reader, trace)])[0]


def infos(reader: Reader, traces: Sequence[Trace]) -> list[Info]:
    """Return traces with what hangs on them, in the order given, by two statements for all."""
    found = {one.number: _bare(one) for one in traces}
    for row in composing.values_of(reader, list(found)):
        one = found[int(str(row["trace"]))]
        (one.tags if row["kind"] == TAG else one.metadata)[str(row["key"])] = str(row["value"])
    said: dict[int, list[Assessment]] = {}
    for row in composing.assessments_of(reader, list(found)):
        said.setdefault(int(str(row["trace"])), []).append(Assessment.from_row(_without_trace(row)))
    return [
        Info(
            trace=one,
            tags=found[one.number].tags,
            metadata=found[one.number].metadata,
            assessments=tuple(said.get(one.number, ())),
        )
        for one in traces
    ]


def _without_trace(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "trace"}


def _bare(one: Trace) -> Info:
    """Return what the trace's own columns say in MLflow's words."""
    made = Info(trace=one, tags={}, metadata={})
    if one.name is not None:
        made.tags[NAME] = one.name
    for key, value in ((SESSION, one.session), (USAGE, one.usage), (COST, one.cost)):
        if value is not None:
            made.metadata[key] = value
    if one.finalized:
        made.metadata[FINALIZED] = "true"
    return made


def by_ids(reader: Reader, ids: Iterable[str], experiments_only: Sequence[str] | None = None) -> list[Trace]:
    """Return traces in the order of their ids; what is not there is left out, as what lies in other experiments.

    Raises:
        Invalid: there are more than 500 ids.
    """
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > PAGE_MAX:
        raise Invalid(
            "trace-invalid",
            "These are too many traces for one request.",
            why=f"found {len(wanted)}, at most {PAGE_MAX}",
            fix="ask for them in pieces",
        )
    found = {one.id: one for one in composing.traces_of(reader, Trace, wanted)}
    allowed = None if experiments_only is None else {str(one) for one in experiments_only}
    return [found[one] for one in wanted if one in found and (allowed is None or str(found[one].experiment) in allowed)]


def trace_of(row: Row) -> Trace:
    """Return the record of a row that has more columns."""
    return Trace(**{name: row[name] for name in _FIELDS})  # type: ignore[arg-type]


_FIELDS = tuple(composing.COLUMNS.split(", "))
