"""Traces and what is thought of them in the words of MLflow's protocol, both ways."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from ropewalk.api.mlflow.message import Message
from ropewalk.clock import from_iso, iso
from ropewalk.errors import Invalid
from ropewalk.traces.assessment import Assessment
from ropewalk.traces.start import Told
from ropewalk.traces.trace import Info
from ropewalk.traces.values import dumped

JSON_FORMAT = "JSON_FORMAT"
_DURATION = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))?s")


class ExperimentLocation(Message, frozen=True, kw_only=True):
    """The experiment that a trace lies in."""

    experiment_id: str = ""


class Location(Message, frozen=True, kw_only=True):
    """Where a trace lies."""

    type: str = ""
    mlflow_experiment: ExperimentLocation | None = None


class Source(Message, frozen=True, kw_only=True):
    """Who judged."""

    source_type: str = "SOURCE_TYPE_UNSPECIFIED"
    source_id: str | None = None


class AssessmentError(Message, frozen=True, kw_only=True):
    """Why there is no value."""

    error_code: str | None = None
    error_message: str | None = None
    stack_trace: str | None = None


class Feedback(Message, frozen=True, kw_only=True):
    """What somebody thinks: a number, a text, true or false, a list or a mapping."""

    value: Any = msgspec.UNSET
    error: AssessmentError | None = None


class Serialized(Message, frozen=True, kw_only=True):
    """A value as a text of JSON."""

    serialization_format: str = ""
    value: str = "null"


class Expectation(Message, frozen=True, kw_only=True):
    """What should have come out."""

    value: Any = msgspec.UNSET
    serialized_value: Serialized | None = None


class IssueReference(Message, frozen=True, kw_only=True):
    """An issue that a trace shows."""

    issue_name: str = ""


class AssessmentForm(Message, frozen=True, kw_only=True):
    """One judgement."""

    assessment_id: str | None = None
    assessment_name: str = ""
    trace_id: str | None = None
    span_id: str | None = None
    source: Source | None = None
    create_time: str | None = None
    last_update_time: str | None = None
    feedback: Feedback | None = None
    expectation: Expectation | None = None
    issue: IssueReference | None = None
    rationale: str | None = None
    metadata: dict[str, str] = {}
    overrides: str | None = None
    valid: bool | None = None


class TraceInfo(Message, frozen=True, kw_only=True):
    """What is known of a trace without its spans."""

    trace_id: str = ""
    client_request_id: str | None = None
    trace_location: Location | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str | None = None
    execution_duration: str | None = None
    state: str = "STATE_UNSPECIFIED"
    trace_metadata: dict[str, str] = {}
    assessments: list[AssessmentForm] = []
    tags: dict[str, str] = {}


class TraceForm(Message, frozen=True, kw_only=True):
    """A trace, with spans where they were asked for."""

    trace_info: TraceInfo | None = None
    spans: list[dict[str, Any]] = []


def told_of(form: TraceInfo) -> Told:
    """Return a trace as its client tells it.

    Raises:
        Invalid: it says not where it lies, or a time is none.
    """
    place = form.trace_location.mlflow_experiment if form.trace_location else None
    if place is None or not form.request_time:
        missing = "trace_location.mlflow_experiment" if place is None else "request_time"
        raise _missing(f"trace.trace_info.{missing}")
    return Told(
        id=form.trace_id,
        experiment=place.experiment_id,
        start_ms=millis(form.request_time, "request_time"),
        duration_ms=_duration(form.execution_duration),
        state=form.state,
        client_request=form.client_request_id,
        request_preview=form.request_preview,
        response_preview=form.response_preview,
        tags=form.tags,
        metadata=form.trace_metadata,
        assessments=tuple(assessment_of(one) for one in form.assessments),
    )


def form_of(info: Info) -> TraceInfo:
    """Return a trace for its client."""
    trace = info.trace
    return TraceInfo(
        trace_id=trace.id,
        client_request_id=trace.client_request,
        trace_location=Location(
            type="MLFLOW_EXPERIMENT", mlflow_experiment=ExperimentLocation(experiment_id=str(trace.experiment))
        ),
        request_preview=trace.request_preview,
        response_preview=trace.response_preview,
        request_time=iso(trace.start_ms * 1000),
        execution_duration=None if trace.duration_ms is None else seconds(trace.duration_ms),
        state=trace.state,
        trace_metadata=info.metadata,
        assessments=[judgement(trace.id, one) for one in info.assessments],
        tags=info.tags,
    )


def assessment_of(form: AssessmentForm) -> Assessment:
    """Return a judgement as its client tells it.

    Raises:
        Invalid: it is neither feedback nor an expectation nor an issue, or says so in a way that is not read.
    """
    given = [form.feedback is not None, form.expectation is not None, form.issue is not None]
    if sum(given) != 1:
        raise _bad_assessment("it is one of feedback, expectation and issue")
    source = form.source or Source()
    value, error = value_of(form)
    created = millis(form.create_time, "create_time") if form.create_time else 0
    return Assessment(
        id=form.assessment_id or "",
        kind="feedback" if form.feedback else "expectation" if form.expectation else "issue",
        name=form.assessment_name,
        value=value,
        error=error,
        rationale=form.rationale or None,
        span=form.span_id or None,
        source_type=source.source_type,
        source_id=source.source_id or None,
        overrides=form.overrides or None,
        valid=form.valid is not False,
        metadata=form.metadata or None,
        created_ms=created,
        updated_ms=millis(form.last_update_time, "last_update_time") if form.last_update_time else created,
    )


def value_of(form: AssessmentForm) -> tuple[Any, dict[str, str] | None]:
    """Return what a judgement says, and why it says nothing.

    Raises:
        Invalid: the value is written in a way that is not read.
    """
    if form.feedback is not None:
        value = None if form.feedback.value is msgspec.UNSET else form.feedback.value
        error = form.feedback.error
        return value, None if error is None else msgspec.to_builtins(error)
    if form.issue is not None:
        return form.issue.issue_name, None
    wanted = form.expectation or Expectation()
    if wanted.serialized_value is None:
        return None if wanted.value is msgspec.UNSET else wanted.value, None
    if wanted.serialized_value.serialization_format != JSON_FORMAT:
        raise _bad_assessment(f"values are written as {JSON_FORMAT}")
    try:
        return msgspec.json.decode(wanted.serialized_value.value), None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad_assessment("serialized_value.value is no JSON") from error


def judgement(trace: str, one: Assessment) -> AssessmentForm:
    """Return a judgement for its client."""
    return AssessmentForm(
        assessment_id=one.id,
        assessment_name=one.name,
        trace_id=trace,
        span_id=one.span,
        source=Source(source_type=one.source_type, source_id=one.source_id),
        create_time=iso(one.created_ms * 1000),
        last_update_time=iso(one.updated_ms * 1000),
        feedback=_feedback(one) if one.kind == "feedback" else None,
        expectation=_expectation(one.value) if one.kind == "expectation" else None,
        issue=IssueReference(issue_name=str(one.value)) if one.kind == "issue" else None,
        rationale=one.rationale,
        metadata=one.metadata or {},
        overrides=one.overrides,
        valid=one.valid,
    )


def _feedback(one: Assessment) -> Feedback:
    return Feedback(value=one.value, error=None if one.error is None else AssessmentError(**one.error))


def _expectation(value: object) -> Expectation:
    if isinstance(value, list | dict):
        text = dumped(cast("object", value))
        return Expectation(serialized_value=Serialized(serialization_format=JSON_FORMAT, value=text))
    return Expectation(value=value)


def millis(text: str, name: str) -> int:
    """Return milliseconds since the epoch of a time as protocol buffers write it.

    Raises:
        Invalid: it is none.
    """
    try:
        return from_iso(text) // 1000
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "request-malformed",
            f"{name!r} must be a time.",
            where=name,
            why=f"found {text[:40]!r}",
            fix=f'"{name}": "2026-01-31T12:00:00.123Z"',
        ) from error


def seconds(duration_ms: int) -> str:
    """Return a duration as protocol buffers write it: `1.500s`."""
    whole, rest = divmod(duration_ms, 1000)
    return f"{whole}.{rest:03d}s" if rest else f"{whole}s"


def _duration(text: str | None) -> int | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Invalid(
            "request-malformed",
            "'execution_duration' must be a duration.",
            where="execution_duration",
            why=f"found {text[:40]!r}",
            fix='"execution_duration": "1.5s"',
        )
    return int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0")[:3])


def _missing(name: str) -> Invalid:
    return Invalid("request-malformed", f"Missing value for required parameter {name!r}.", where=name)


def _bad_assessment(why: str) -> Invalid:
    return Invalid("assessment-invalid", "An assessment cannot be like this.", where="assessment", why=why)
