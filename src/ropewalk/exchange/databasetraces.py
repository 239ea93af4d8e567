"""Traces, data for evaluation and webhooks in a SQLite file as MLflow's server writes it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import cast

from ropewalk.clock import iso
from ropewalk.exchange.places import Places, files_below
from ropewalk.exchange.records import Elsewhere, EvaluationData, Experiment, Hook, Traced
from ropewalk.exchange.traced import Json, damaged, evaluation_data, spans_of_contents, traced
from ropewalk.store.database import Row
from ropewalk.traces.trace import NAME, SESSION

Rows = Callable[..., list[Row]]
PAGE_ROWS = 1000
_LOCATION = "mlflow.artifactLocation"


def traces(rows: Rows, places: Places, experiment: Experiment) -> Iterator[Traced]:
    """Yield the traces of an experiment, in pages.

    Args:
        rows: returns the rows of a table that fit a clause; none of a table that is not there.
        places: where artifacts may lie.
        experiment: whose.
    """
    start = 0
    while True:
        place = f"where experiment_id = {int(experiment.id)} order by timestamp_ms, request_id"
        page = rows("trace_info", f"{place} limit {PAGE_ROWS} offset {start}")
        inside = f"(select request_id from trace_info {place} limit {PAGE_ROWS} offset {start})"  # noqa: S608 - numbers
        tags = _texts(rows("trace_tags", f"where request_id in {inside}"))
        metadata = _texts(rows("trace_request_metadata", f"where request_id in {inside}"))
        spans = _lists(rows("spans", f"where trace_id in {inside} order by start_time_unix_nano, span_id"))
        judged = _lists(rows("assessments", f"where trace_id in {inside} order by created_timestamp, assessment_id"))
        runs = _runs(rows, inside)
        for row in page:
            number = str(row["request_id"])
            held = [_read(one["content"], number) for one in spans[number]]
            yield traced(
                _info(row),
                spans=spans_of_contents(held or _in_file(places, tags[number], number), number),
                tags=_named(tags[number], NAME, row.get("trace_name")),
                metadata=_named(metadata[number], SESSION, row.get("session_id")),
                assessments=[_assessment(one) for one in judged[number]],
                runs=tuple(runs[number]),
            )
        if len(page) < PAGE_ROWS:
            return
        start += PAGE_ROWS


def _named(texts: dict[str, str], key: str, column: object) -> dict[str, str]:
    """Return texts with one that later servers keep in a column of its own."""
    return {key: str(column), **texts} if column is not None else texts


def _info(row: Row) -> Json:
    return {
        "trace_id": row["request_id"],
        "request_time": int(str(row["timestamp_ms"])),
        "execution_duration_ms": row["execution_time_ms"],
        "state": row["status"],
        "client_request_id": row.get("client_request_id"),
        "request_preview": row.get("request_preview"),
        "response_preview": row.get("response_preview"),
    }


def _in_file(places: Places, tags: dict[str, str], number: str) -> list[Json]:
    """Return the spans that lie among the trace's artifacts, where servers before MLflow 3.6 put them."""
    try:
        for file in files_below(places.folder(tags.get(_LOCATION, ""))):
            if file.path == "traces.json":
                with file.open() as stream:
                    return cast("list[Json]", _read(stream.read(), number).get("spans") or [])
    except Elsewhere:
        return []
    return []


def _assessment(row: Row) -> Json:
    kind = str(row["assessment_type"])
    value = json.loads(str(row["value"])) if row["value"] is not None else None
    said: dict[str, object] = {"issue_name": value} if kind == "issue" else {"value": value}
    if row["error"] is not None:
        said["error"] = json.loads(str(row["error"]))
    metadata = row["assessment_metadata"]
    return {
        "assessment_id": row["assessment_id"],
        "assessment_name": row["name"],
        kind: said,
        "source": {"source_type": row["source_type"], "source_id": row["source_id"]},
        "create_time": iso(int(str(row["created_timestamp"])) * 1000),
        "last_update_time": iso(int(str(row["last_updated_timestamp"])) * 1000),
        "span_id": row["span_id"],
        "rationale": row["rationale"],
        "overrides": row["overrides"],
        "valid": bool(row["valid"]),
        "metadata": json.loads(str(metadata)) if metadata else {},
    }


def _runs(rows: Rows, inside: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    clause = f"where source_type = 'trace' and destination_type = 'run' and source_id in {inside}"
    for row in rows("entity_associations", clause):
        found[str(row["source_id"])].append(str(row["destination_id"]))
    return found


def evaluation_sets(rows: Rows, experiments: set[str]) -> Iterator[EvaluationData]:
    """Yield the datasets for evaluation, with those of their experiments that are known."""
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows("evaluation_dataset_tags"):
        tags[str(row["dataset_id"])][str(row["key"])] = str(row["value"] or "")
    places: dict[str, list[str]] = defaultdict(list)
    clause = "where source_type = 'evaluation_dataset' and destination_type = 'experiment'"
    for row in rows("entity_associations", clause):
        if str(row["destination_id"]) in experiments:
            places[str(row["source_id"])].append(str(row["destination_id"]))
    kept: dict[str, list[Row]] = defaultdict(list)
    for row in rows("evaluation_dataset_records", "order by created_time, dataset_record_id"):
        kept[str(row["dataset_id"])].append(row)
    for row in rows("evaluation_datasets", "order by created_time, dataset_id"):
        number = str(row["dataset_id"])
        records = [_record(one, number) for one in kept[number]]
        yield evaluation_data({**row, "tags": tags[number]}, records, places[number])


def _record(row: Row, where: str) -> Json:
    found: dict[str, object] = {"dataset_record_id": row["dataset_record_id"]}
    for name in ("inputs", "outputs", "expectations", "tags", "source"):
        if row.get(name) is not None:
            found[name] = _read(row[name], where)
    outputs = found.get("outputs")
    if isinstance(outputs, dict) and set(cast("Json", outputs)) == {"mlflow_wrapped"}:
        # How MLflow keeps what is no object, and nothing at all.
        inner = cast("Json", outputs)["mlflow_wrapped"]
        found["outputs"] = inner
        if inner == {}:
            del found["outputs"]
    return found


def hooks(rows: Rows) -> Iterator[Hook]:
    """Yield the webhooks that are not deleted."""
    events: dict[str, list[str]] = defaultdict(list)
    for row in rows("webhook_events", "order by entity, action"):
        events[str(row["webhook_id"])].append(f"{row['entity']}.{row['action']}")
    for row in rows("webhooks", "where deleted_timestamp is null order by creation_timestamp, webhook_id"):
        number = str(row["webhook_id"])
        yield Hook(
            id=number,
            name=str(row["name"]),
            url=str(row["url"]),
            description=str(row["description"] or ""),
            events=tuple(events[number]),
            signed=row["secret"] is not None,
        )


def _texts(found: list[Row]) -> dict[str, dict[str, str]]:
    grouped: dict[str, dict[str, str]] = defaultdict(dict)
    for row in found:
        grouped[str(row["request_id"])][str(row["key"])] = str(row["value"] or "")
    return grouped


def _lists(found: list[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        grouped[str(row["trace_id"])].append(row)
    return grouped


def _read(text: object, where: str) -> Json:
    try:
        return cast("Json", json.loads(text if isinstance(text, bytes) else str(text)))
    except ValueError as error:
        raise damaged(where, error) from error
