"""What somebody thinks of a trace: feedback, an expectation, or an issue that it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Row, Transaction
from ropewalk.traces.values import dumped, loaded

Kind = Literal["feedback", "expectation", "issue"]
SOURCES = ("HUMAN", "LLM_JUDGE", "CODE", "SOURCE_TYPE_UNSPECIFIED")
OLD_JUDGE = "AI_JUDGE"
SESSION = "mlflow.trace.session"
NAME_LETTERS_MAX = 250
TEXT_LETTERS_MAX = 100_000
METADATA_MAX = 100
PER_TRACE_MAX = 1000
_YES = {"yes": 1.0, "no": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One judgement.

    Attributes:
        id: `a-` and 32 hex digits.
        kind: `feedback`, `expectation` or `issue`.
        name: of what is judged; of an issue its id.
        value: any JSON value; of an issue its name.
        error: why there is no value: `error_code`, `error_message`, `stack_trace`; or None.
        rationale: why this value, or None.
        span: id of the span that is judged, or None for the whole trace.
        source_type: `HUMAN`, `LLM_JUDGE`, `CODE` or `SOURCE_TYPE_UNSPECIFIED`.
        source_id: who judged, or None.
        overrides: id of the judgement that this one corrects, or None.
        valid: False once another one corrects it.
        metadata: texts by name.
        created_ms: milliseconds since the epoch.
        updated_ms: the same.
    """

    id: str = ""
    kind: Kind
    name: str
    value: Any = None
    error: dict[str, str] | None = None
    rationale: str | None = None
    span: str | None = None
    source_type: str = "CODE"
    source_id: str | None = None
    overrides: str | None = None
    valid: bool = True
    metadata: dict[str, str] | None = None
    created_ms: int = 0
    updated_ms: int = 0

    @classmethod
    def from_row(cls, row: Row) -> Assessment:
        """Return the record of a row."""
        texts = {name: loaded(str(row[name])) if row[name] is not None else None for name in _JSON}
        return cls(**{**row, **texts, "valid": bool(row["valid"])})  # type: ignore[arg-type]


_JSON = ("value", "error", "metadata")


def get(reader: Reader, number: int, trace: str, assessment: str) -> Assessment:
    """Return a judgement of a trace.

    Args:
        reader: where the rows are.
        number: the trace's row.
        trace: the trace's id, for the error.
        assessment: its id.

    Raises:
        NotFound: the trace has none of this id.
    """
    found = reader.get(Assessment, "assessments.get", trace=number, id=assessment)
    if found is None:
        raise NotFound(
            "assessment-not-found",
            f"Assessment with ID {assessment[:80]!r} not found for trace {trace[:80]!r}.",
            where=f"trace:{trace[:80]}",
            why="it was never given, or was taken back",
            fix="mlflow.get_trace(...).info.assessments lists them",
        )
    return found


def add(tx: Transaction, site: Site, number: int, trace: str, told: Assessment) -> Assessment:
    """Keep a judgement; the one that it corrects is no longer valid.

    Args:
        tx: the caller's transaction.
        site: the project.
        number: the trace's row.
        trace: the trace's id, for errors.
        told: what was said; id and times are given here where they are missing.

    Raises:
        Invalid: it is not what a judgement can be.
        NotFound: the one that it corrects is not this trace's.
        Conflict: its id is another one's.
    """
    now = site.clock.now_us()
    made = replace(
        checked(told),
        id=told.id or f"a-{uuid7(now).replace('-', '')}",
        created_ms=told.created_ms or now // 1000,
        updated_ms=told.updated_ms or told.created_ms or now // 1000,
    )
    if int(str(tx.value("assessments.count", trace=number))) >= PER_TRACE_MAX:
        raise _bad(f"a trace has at most {PER_TRACE_MAX} assessments", trace, "delete some that are not needed")
    if made.overrides:
        get(tx, number, trace, made.overrides)
        tx.run("assessments.judge", trace=number, id=made.overrides, valid=0)
    if not tx.run("assessments.insert", trace=number, **_row(made)):
        raise Conflict(
            "assessment-exists",
            "An assessment of this id exists already.",
            where=made.id,
            fix="leave the id out: one is made",
        )
    return made


def merge(tx: Transaction, site: Site, number: int, trace: str, told: Assessment) -> None:
    """Keep a judgement that came with its trace; one that is kept already is brought up to date."""
    if told.id and tx.row("assessments.get", trace=number, id=told.id) is not None:
        made = replace(checked(told), updated_ms=told.updated_ms or site.clock.now_us() // 1000)
        _update(tx, number, made)
        return
    add(tx, site, number, trace, told)


def update(
    tx: Transaction,
    site: Site,
    number: int,
    trace: str,
    assessment: str,
    *,
    name: str | None = None,
    said: Assessment | None = None,
    rationale: str | None = None,
    metadata: Mapping[str, str] | None = None,
    valid: bool | None = None,
) -> Assessment:
    """Change parts of a judgement: what is None stays; metadata is added to what there is.

    Raises:
        NotFound: the trace has none of this id.
        Invalid: feedback is to become an expectation or the other way, or a part is not what it can be.
    """
    known = get(tx, number, trace, assessment)
    if said is not None and said.kind != known.kind:
        raise _bad(f"it is {known.kind} and stays {known.kind}", assessment, "log another one")
    changed = replace(
        known,
        name=known.name if name is None else name,
        value=known.value if said is None else said.value,
        error=known.error if said is None else said.error,
        rationale=known.rationale if rationale is None else rationale,
        metadata={**(known.metadata or {}), **(metadata or {})} or None,
        valid=known.valid if valid is None else valid,
        updated_ms=site.clock.now_us() // 1000,
    )
    made = checked(changed)
    _update(tx, number, made)
    return made


def delete(tx: Transaction, number: int, assessment: str) -> None:
    """Take a judgement back, if it is there; the one that it corrected is valid again."""
    known = tx.get(Assessment, "assessments.get", trace=number, id=assessment)
    if known is None:
        return
    if known.overrides:
        tx.run("assessments.judge", trace=number, id=known.overrides, valid=1)
    tx.run("assessments.delete", trace=number, id=assessment)


def checked(told: Assessment) -> Assessment:
    """Return a judgement in our words.

    Raises:
        Invalid: a part is missing, unknown or too long.
    """
    source = told.source_type.upper()
    source = "LLM_JUDGE" if source == OLD_JUDGE else source
    if source not in SOURCES:
        raise _bad(f"its source is one of {', '.join(SOURCES)}", told.source_type, 'source_type="HUMAN"')
    if not told.name or len(told.name) > NAME_LETTERS_MAX:
        raise _bad(f"its name has 1 to {NAME_LETTERS_MAX} letters", told.name, "shorten the name")
    if told.kind != "feedback" and told.value is None:
        raise _bad(f"an {told.kind} has a value", told.name, "give a value")
    texts = (dumped(told.value), told.rationale or "", dumped(told.error), dumped(told.metadata))
    ids = (told.id, told.span or "", told.overrides or "", told.source_id or "")
    if any(len(text) > TEXT_LETTERS_MAX for text in texts) or any(len(one) > NAME_LETTERS_MAX for one in ids):
        raise _bad(f"each part has at most {TEXT_LETTERS_MAX} letters, each id {NAME_LETTERS_MAX}", told.name, "")
    if len(told.metadata or {}) > METADATA_MAX:
        raise _bad(f"its metadata has at most {METADATA_MAX} entries", told.name, "")
    if any(not name or len(name) > NAME_LETTERS_MAX for name in told.metadata or {}):
        raise _bad(f"names of metadata have 1 to {NAME_LETTERS_MAX} letters", told.name, "")
    return replace(told, source_type=source)


def _update(tx: Transaction, number: int, made: Assessment) -> None:
    row = _row(made)
    wanted = ("id", "name", "value", "error", "rationale", "valid", "metadata", "session_scoped", "aggregate")
    tx.run(
        "assessments.update",
        trace=number,
        **{name: row[name] for name in (*wanted, "is_numeric", "updated_ms")},
    )


def _row(made: Assessment) -> dict[str, Any]:
    number = aggregate(made.value)
    return {
        **{name: getattr(made, name) for name in ("id", "kind", "name", "rationale", "span")},
        **{name: getattr(made, name) for name in ("source_type", "source_id", "overrides", "created_ms", "updated_ms")},
        **{
            name: None if getattr(made, name) is None else dumped(getattr(made, name)) for name in ("error", "metadata")
        },
        "value": dumped(made.value),
        "valid": int(made.valid),
        "session_scoped": int(SESSION in (made.metadata or {})),
        "aggregate": number,
        "is_numeric": int(number is not None and not isinstance(made.value, bool | str)),
    }


def aggregate(value: object) -> float | None:
    """Return a value as a number that can be summed: true and yes are 1, false and no are 0; None for others."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return _YES.get(value.strip().lower()) if isinstance(value, str) else None


def _bad(why: str, where: str, fix: str) -> Invalid:
    return Invalid(
        "assessment-invalid", "An assessment cannot be like this.", where=where[:80], why=why, fix=fix or "shorten it"
    )
