"""Traces and what is thought of them in the words of MLflow's protocol, for servers and folders that take them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import cast

from ropewalk.clock import iso
from ropewalk.exchange.records import Traced
from ropewalk.traces.assessment import Assessment
from ropewalk.traces.values import dumped, from_pairs

Json = dict[str, object]
SOURCE_RUN = "mlflow.sourceRun"


def info_of(one: Traced, experiment: str, runs: Mapping[str, str]) -> Json:
    """Return a trace without its spans.

    Args:
        one: the trace.
        experiment: id of the experiment that it is to lie in.
        runs: ids of runs there, by what they are here.
    """
    told = one.told
    metadata = dict(told.metadata)
    if SOURCE_RUN in metadata:
        metadata[SOURCE_RUN] = runs.get(metadata[SOURCE_RUN], metadata[SOURCE_RUN])
    found: Json = {
        "trace_id": told.id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": iso(told.start_ms * 1000),
        "state": told.state,
        "trace_metadata": metadata,
        "tags": dict(told.tags),
        "assessments": [judgement(told.id, each) for each in told.assessments],
    }
    more = {
        "client_request_id": told.client_request,
        "request_preview": told.request_preview,
        "response_preview": told.response_preview,
        "execution_duration": None if told.duration_ms is None else f"{told.duration_ms / 1000:.3f}s",
    }
    return found | {key: value for key, value in more.items() if value is not None}


def judgement(trace: str, one: Assessment) -> Json:
    """Return a judgement of a trace."""
    found: Json = {
        "assessment_id": one.id,
        "assessment_name": one.name,
        "trace_id": trace,
        "source": {"source_type": one.source_type, "source_id": one.source_id or ""},
        "create_time": iso(one.created_ms * 1000),
        "last_update_time": iso(one.updated_ms * 1000),
        "valid": one.valid,
        one.kind: _said(one),
    }
    more = {"span_id": one.span, "rationale": one.rationale, "metadata": one.metadata, "overrides": one.overrides}
    return found | {key: value for key, value in more.items() if value}


def _said(one: Assessment) -> Json:
    value = cast("object", one.value)
    if one.kind == "issue":
        return {"issue_name": str(value)}
    if one.kind == "feedback":
        error: Json = {"error": one.error} if one.error else {}
        return {"value": value, **error}
    if isinstance(value, list | dict):
        return {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": dumped(cast("object", value))}}
    return {"value": value}


def span_words(span: Mapping[str, object]) -> Json:
    """Return a span as MLflow's client keeps it among a trace's artifacts, from OpenTelemetry's with ids in hex."""
    parent = span.get("parentSpanId")
    return {
        "trace_id": _base64(span["traceId"]),
        "span_id": _base64(span["spanId"]),
        "parent_span_id": _base64(parent) if parent else None,
        "name": span.get("name"),
        "start_time_unix_nano": span.get("startTimeUnixNano"),
        "end_time_unix_nano": span.get("endTimeUnixNano"),
        "status": span.get("status") or {"code": "STATUS_CODE_UNSET", "message": ""},
        "attributes": {key: dumped(value) for key, value in from_pairs(span.get("attributes") or ()).items()},
        "events": [
            {
                "name": one["name"],
                "time_unix_nano": one["timeUnixNano"],
                "attributes": from_pairs(one.get("attributes") or ()),
            }
            for one in cast("list[Json]", span.get("events") or [])
        ],
        "links": [
            {
                "trace_id": f"tr-{one['traceId']}",
                "span_id": one["spanId"],
                "attributes": from_pairs(one.get("attributes") or ()),
            }
            for one in cast("list[Json]", span.get("links") or [])
        ],
    }


def _base64(digits: object) -> str:
    return base64.b64encode(bytes.fromhex(str(digits))).decode()
