"""What the console shows of traces: a list that is filtered by the server, and one trace with its spans in time."""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import quote, urlencode

from starlette.requests import Request

from ropewalk.console.waterfall import Bar, short_took, waterfall
from ropewalk.console.words import at
from ropewalk.errors import Invalid
from ropewalk.house import House
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader
from ropewalk.traces import search, trace
from ropewalk.traces.trace import SOURCE_RUN, Info

ROWS_SHOWN = 50
SPANS_SHOWN = 500
TEXT_LETTERS = 100_000
LETTERS_SHOWN = 200
DEPTH_MAX = 100
INPUTS, OUTPUTS = "mlflow.spanInputs", "mlflow.spanOutputs"
OWN = frozenset({INPUTS, OUTPUTS, "mlflow.traceRequestId"})


def list_traces(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of traces shows."""
    query = request.query_params
    text, token = query.get("filter", "").strip(), query.get("after", "")
    problem, found, after = None, (), ""
    try:
        chosen = query.getlist("experiment") or [str(row["id"]) for row in rows.rows("console.with_traces")]
        page = search.search(rows, chosen, where=text, count=ROWS_SHOWN, token=token)
        found, after = page.traces, page.token
    except Invalid as error:
        problem = error
    said = [*(("experiment", item) for item in query.getlist("experiment")), *([("filter", text)] if text else [])]
    server = str(request.base_url).rstrip("/")
    return {
        "text": text,
        "problem": problem,
        "traces": [_row(one) for one in found],
        "next": f"/traces?{urlencode([*said, ('after', after)])}" if after else "",
        "first": f"/traces?{urlencode(said)}" if token else "",
        "snippet": f"export MLFLOW_TRACKING_URI={server}\n\nimport mlflow\n\n@mlflow.trace\ndef answer(question):\n"
        '    return f"I do not know {question}."\n\nanswer("why")',
    }


def _row(info: Info) -> dict[str, Any]:
    one = info.trace
    return {
        **_head(info),
        "address": f"/traces/{quote(one.id)}",
        "short": one.id[:15],
        "request": (one.request_preview or "")[:LETTERS_SHOWN],
        "response": (one.response_preview or "")[:LETTERS_SHOWN],
    }


def _head(info: Info) -> dict[str, Any]:
    one = info.trace
    return {
        "id": one.id,
        "name": one.name or "",
        "state": {"OK": "ok", "ERROR": "error", "IN_PROGRESS": "in progress"}.get(one.state, "unknown"),
        "took": "" if one.duration_ms is None else short_took(one.duration_ms * 1_000_000),
        "began": at(one.start_ms * 1000),
    }


def show_trace(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a trace's page shows.

    Raises:
        NotFound: there is no such trace.
    """
    info = trace.info(rows, request.path_params["trace"])
    spans = ordered([_kept(row["content"]) for row in rows.rows("traces.contents", trace=info.trace.number)])
    first = min((int(one["start_time_unix_nano"]) for one, _ in spans), default=0)
    run = info.metadata.get(SOURCE_RUN, "")
    known = bool(run) and rows.row("console.names_of_runs", id=run) is not None
    return {
        "trace": {
            **_head(info),
            "name": info.trace.name or (spans[0][0]["name"] if spans else info.trace.id),
            "home": f"/traces/{quote(info.trace.id, safe='')}",
            "request": info.trace.request_preview,
            "response": info.trace.response_preview,
            "run_address": f"/runs/{run}" if known else "",
        },
        "waterfall": waterfall([_bar(one, depth, first) for one, depth in spans]),
        "spans": [_span(one) for one, _ in spans[:SPANS_SHOWN]],
        "tags": sorted(info.tags.items()),
        "metadata": sorted(info.metadata.items()),
        "assessments": [
            {
                "id": one.id,
                "name": one.name,
                "value": json.dumps(one.error or one.value, ensure_ascii=False)[:LETTERS_SHOWN],
                "who": " ".join(part for part in (one.source_type.lower(), one.source_id) if part),
                "why": one.rationale or "",
            }
            for one in info.assessments
            if one.valid
        ],
    }


def _kept(content: object) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(str(content)))


def ordered(spans: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Return spans with how deep they stand, each followed by those that it called; circles and orphans come last.

    Args:
        spans: as they are kept, in order of their start.
    """
    below: dict[str, list[dict[str, Any]]] = {}
    ids = {str(one["span_id"]) for one in spans}
    roots: list[dict[str, Any]] = []
    for one in spans:
        parent = one.get("parent_span_id")
        if parent in ids:
            below.setdefault(str(parent), []).append(one)
        else:
            roots.append(one)
    found: list[tuple[dict[str, Any], int]] = []
    waiting = [(one, 0) for one in reversed(roots)]
    while waiting:
        one, depth = waiting.pop()
        found.append((one, depth))
        children = below.pop(str(one["span_id"]), [])
        waiting += [(child, min(depth + 1, DEPTH_MAX)) for child in reversed(children)]
    seen = {str(one["span_id"]) for one, _ in found}
    return [*found, *((one, 0) for one in spans if str(one["span_id"]) not in seen)]


def _state(one: dict[str, Any]) -> str:
    return {"STATUS_CODE_OK": "ok", "STATUS_CODE_ERROR": "error"}.get(one["status"]["code"], "unset")


def _ends(one: dict[str, Any]) -> tuple[int, int]:
    start = int(one["start_time_unix_nano"])
    return start, int(one.get("end_time_unix_nano") or start)


def _bar(one: dict[str, Any], depth: int, first: int) -> Bar:
    start, end = _ends(one)
    return Bar(id=_id(one), name=one["name"], depth=depth, from_ns=start - first, to_ns=end - first, state=_state(one))


def _id(one: dict[str, Any]) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in str(one["span_id"]))


def _span(one: dict[str, Any]) -> dict[str, Any]:
    start, end = _ends(one)
    attributes = cast(dict[str, str], one["attributes"])
    others = {key: text for key, text in attributes.items() if key not in OWN}
    parts = (
        ("error", str(one["status"].get("message") or "")),
        ("inputs", _pretty(attributes.get(INPUTS, ""))),
        ("outputs", _pretty(attributes.get(OUTPUTS, ""))),
        ("attributes", "\n".join(f"{key}: {text}" for key, text in sorted(others.items()))),
        ("events", "\n".join(f"{event['name']} {event['attributes']}" for event in one["events"])),
    )
    return {
        "id": _id(one),
        "name": one["name"],
        "took": short_took(end - start),
        "state": _state(one),
        "parts": [(word, text[:TEXT_LETTERS]) for word, text in parts if text],
    }


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def of_run(rows: Reader, run: Run) -> dict[str, str] | None:
    """Return where the traces of a run are listed, or None where there are none."""
    where = f"attributes.run_id = '{run.id}'"
    if not search.search(rows, [str(run.experiment)], where=where, count=1).traces:
        return None
    address = urlencode([("experiment", str(run.experiment)), ("filter", where)])
    return {"address": f"/traces?{address}", "told": "those that it made"}
