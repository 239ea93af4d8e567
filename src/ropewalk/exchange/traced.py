"""Traces, what is thought of them and data for evaluation, from the words in which MLflow keeps and tells them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from ropewalk.clock import from_iso
from ropewalk.errors import Corrupt
from ropewalk.exchange.records import EvaluationData, Traced, texts
from ropewalk.traces.assessment import Assessment, Kind
from ropewalk.traces.start import Told
from ropewalk.traces.values import loaded, to_pairs

Json = Mapping[str, object]
_HEX = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}")
# Where the bytes lay, and what a server says of its own storage.
NOT_TAKEN = frozenset(("mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation"))
_CAMEL = {
    "start_time_unix_nano": "startTimeUnixNano",
    "end_time_unix_nano": "endTimeUnixNano",
    "name": "name",
    "status": "status",
}


def traced(
    info: Json,
    *,
    spans: Iterable[Json] = (),
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    assessments: Sequence[Json] | None = None,
    runs: tuple[str, ...] = (),
) -> Traced:
    """Return a trace from its description as MLflow's protocol and its folders have it.

    Args:
        info: `trace_id`, `request_time`, `execution_duration` (`1.5s`) or `execution_duration_ms`, `state` and more.
        spans: OpenTelemetry's spans, with ids in hex.
        tags: those of the description when None.
        metadata: the same.
        assessments: the same.
        runs: ids of runs that it is linked to.

    Raises:
        Corrupt: it is no such description.
    """
    number = str(info.get("trace_id") or info.get("request_id") or "")
    try:
        duration = info.get("execution_duration_ms", info.get("execution_duration"))
        said = assessments if assessments is not None else cast("list[Json]", info.get("assessments") or [])
        told = Told(
            id=number,
            experiment="0",
            start_ms=_millis(info.get("request_time")),
            duration_ms=None if duration is None else _duration(duration),
            state=str(info.get("state") or "STATE_UNSPECIFIED"),
            client_request=_text(info.get("client_request_id")),
            request_preview=_text(info.get("request_preview")),
            response_preview=_text(info.get("response_preview")),
            tags=kept(tags if tags is not None else dict(texts(info.get("tags")))),
            metadata=kept(metadata if metadata is not None else dict(texts(info.get("trace_metadata")))),
            assessments=tuple(assessment(one) for one in said),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(f"trace {number[:60]}", error) from error
    return Traced(told=told, spans=tuple(spans), runs=runs)


def assessment(form: Json) -> Assessment:
    """Return a judgement from the protocol's words."""
    kinds: tuple[Kind, ...] = ("feedback", "expectation", "issue")
    kind: Kind = next(one for one in kinds if isinstance(form.get(one), dict))
    said = cast("Json", form[kind])
    source = cast("Json", form.get("source") or {})
    value: object = said.get("value")
    if kind == "issue":
        value = said.get("issue_name")
    elif isinstance(said.get("serialized_value"), dict):
        value = json.loads(str(cast("Json", said["serialized_value"])["value"]))
    created = _millis(form.get("create_time"))
    updated = form.get("last_update_time")
    return Assessment(
        id=str(form.get("assessment_id") or ""),
        kind=kind,
        name=str(form.get("assessment_name") or ""),
        value=value,
        error=dict(texts(said.get("error"))) or None,
        rationale=_text(form.get("rationale")),
        span=_text(form.get("span_id")),
        source_type=str(source.get("source_type") or "SOURCE_TYPE_UNSPECIFIED"),
        source_id=_text(source.get("source_id")),
        overrides=_text(form.get("overrides")),
        valid=form.get("valid") is not False,
        metadata=dict(texts(form.get("metadata"))) or None,
        created_ms=created,
        updated_ms=_millis(updated) if updated else created,
    )


def spans_of_contents(contents: Iterable[Json], where: str) -> list[Json]:
    """Return OpenTelemetry's spans from those that MLflow keeps: ids in base64, attributes as texts of JSON.

    Raises:
        Corrupt: one is none.
    """
    try:
        return [_span(one, _pairs_of_texts) for one in contents]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(where, error) from error


def spans_of_answer(spans: Iterable[Json], where: str) -> list[Json]:
    """Return OpenTelemetry's spans from those that a server answers: ids in base64, attributes as pairs.

    Raises:
        Corrupt: one is none.
    """
    try:
        return [_span(one, _pairs_as_they_are) for one in spans]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(where, error) from error


def _span(one: Json, read: Callable[[object], object]) -> Json:
    found: dict[str, object] = {_CAMEL[key]: value for key, value in one.items() if key in _CAMEL and value is not None}
    found |= {"traceId": _hex(one["trace_id"]), "spanId": _hex(one["span_id"]), "attributes": read(one["attributes"])}
    if one.get("parent_span_id"):
        found["parentSpanId"] = _hex(one["parent_span_id"])
    found["events"] = [
        {"name": each["name"], "timeUnixNano": each["time_unix_nano"], "attributes": read(each.get("attributes"))}
        for each in cast("list[Json]", one.get("events") or [])
    ]
    found["links"] = [
        {"traceId": _hex(each["trace_id"]), "spanId": _hex(each["span_id"]), "attributes": read(each.get("attributes"))}
        for each in cast("list[Json]", one.get("links") or [])
    ]
    return found


def _pairs_of_texts(told: object) -> object:
    """Return pairs of attributes, whose values are texts of JSON; those of events are one such text, or plain."""
    if isinstance(told, str):
        told = loaded(told)
    plain = cast("Json", told or {})
    return to_pairs({key: _plain(value) for key, value in plain.items()})


def _plain(value: object) -> object:
    try:
        return loaded(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _pairs_as_they_are(told: object) -> object:
    return told or []


def _hex(value: object) -> str:
    """Return an id in hex, from base64, from hex, or from hex behind `tr-`."""
    text = str(value)
    if text.startswith("tr-"):
        return text.removeprefix("tr-")
    if _HEX.fullmatch(text):  # as links have it; no id has so many letters in base64
        return text
    return base64.b64decode(text, validate=True).hex()


def evaluation_data(one: Json, records: Iterable[Json], experiments: Sequence[str]) -> EvaluationData:
    """Return a dataset for evaluation from the protocol's words."""
    tags = one.get("tags")
    return EvaluationData(
        id=str(one["dataset_id"]),
        name=str(one.get("name") or ""),
        created_ms=int(str(one.get("created_time") or 0)),
        updated_ms=int(str(one.get("last_update_time") or 0)),
        created_by=_text(one.get("created_by")),
        tags=dict(texts(json.loads(tags) if isinstance(tags, str) else tags)),
        experiments=tuple(experiments),
        records=tuple(dict(record) for record in records),
    )


def damaged(where: str, why: Exception) -> Corrupt:
    """Return the error for a record of the source that is not what it should be."""
    return Corrupt(
        "exchange-damaged",
        "A record of the source cannot be read.",
        where=where,
        why=str(why)[:200] or type(why).__name__,
        fix="mend or remove it, then import again: what is there already is not imported twice",
    )


def kept(told: Mapping[str, str]) -> dict[str, str]:
    """Return tags or metadata without what says where bytes lay."""
    return {key: value for key, value in told.items() if key not in NOT_TAKEN}


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _millis(value: object) -> int:
    if not value:
        return 0
    return value if isinstance(value, int) else from_iso(str(value)) // 1000


def _duration(value: object) -> int:
    return value if isinstance(value, int) else round(float(str(value).removesuffix("s")) * 1000)
