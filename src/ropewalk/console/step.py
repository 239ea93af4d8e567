"""The page of one step of a run: state, reasons, what it was given and gave, attempts, needs, log and code."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ropewalk.console import because, steplog, steps, values, walks
from ropewalk.console.files import RAW_HEADERS
from ropewalk.console.steps import OVER, Step, Walked
from ropewalk.console.values import Preview
from ropewalk.console.words import at, size, span
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.house import House
from ropewalk.pipelines import failures, kept, outcomes
from ropewalk.pipelines.graph import Node, refs, resolve
from ropewalk.pipelines.maps import MapRow
from ropewalk.pipelines.outcomes import Outcome
from ropewalk.refs import is_digest
from ropewalk.runs import run as runs
from ropewalk.runs.states import Run
from ropewalk.store.database import Reader

LINES_SHOWN = 20
ATTEMPTS_SHOWN = 20
VALUE_BYTES_MAX = 32 << 20
CELLS = 100
BITS_MAX = 1_000_000


def one(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a step's page shows.

    Raises:
        NotFound: there is no such run, or it has no such step.
    """
    run = runs.find(rows, request.path_params["run"])
    walked = walks.require(house, rows, run)
    step = steplog.require(walked, request.path_params["node"])
    record = step.record
    outcome = (
        outcomes.find(rows, record.key) if record and record.key and step.state in (steps.RAN, steps.HIT) else None
    )
    return {
        "run": {"id": run.id, "name": run.name},
        "step": _head(walked, step),
        "before": [_near(walked, name) for name in step.needs],
        "after": [_near(walked, other.node) for other in walked.steps if step.node in other.needs],
        "because": because.of_step(house, rows, run, record, outcome) if record else None,
        "inputs": _inputs(house, rows, walked, step),
        "output": _output(house, outcome),
        "attempts": _attempts(rows, run, step),
        "map": _map(rows, run, step),
        "needs": _needs(step.call) if step.call else [],
        "log": {
            "address": step.address(run.id, "logs"),
            "lines": steplog.last_lines(house, rows, run, step, LINES_SHOWN),
        },
        "code": because.code_of(house, rows, run, record, step.call.where if step.call else "") if record else None,
    }


def _head(walked: Walked, step: Step) -> dict[str, Any]:
    record = step.record
    waited = span(step.ready_us, record.started_us) if record and step.ready_us and step.started_us else ""
    said = (
        f"took {step.took(walked.now_us)}" if step.took(walked.now_us) else "",
        f"began {at(record.started_us)}" if record and step.started_us else "",
        f"was queued {waited}" if waited else "",
        f"attempt {record.attempt}" if record and record.attempt > 1 else "",
        f"{step.items[0]:,} of {step.items[1]:,} items" if step.items else "",
    )
    return {
        "node": step.node,
        "state": step.state,
        "sign": step.sign,
        "css": step.css,
        "over": step.state in OVER and walked.run.state not in walks.WATCHED,
        "told": [word for word in said if word],
        "function": record.step if record else step.call.step if step.call else "",
        "key": record.key if record else "",
        "address": step.address(walked.run.id),
    }


def _near(walked: Walked, name: str) -> dict[str, str]:
    step = walked.step(name)
    assert step is not None, "a graph knows its own nodes"
    return {
        "node": name,
        "state": step.state,
        "sign": step.sign,
        "css": step.css,
        "address": step.address(walked.run.id),
    }


def _inputs(house: House, rows: Reader, walked: Walked, step: Step) -> list[dict[str, Any]]:
    """Return each parameter with where it came from and what it was."""
    record, told = step.record, dict[str, str]()
    if record and record.inputs:
        told = json.loads(record.inputs).get("inputs", {})
    if step.call is None:
        return [
            {"name": name, "sources": [], "shown": [], "told": value, "over": False} for name, value in told.items()
        ]
    found: list[dict[str, Any]] = []
    trees: dict[str, Any] = {}
    for name, tree in step.call.inputs.items():
        sources = list(dict.fromkeys(path[0] for path in refs(tree)))
        shown: list[Preview] = []
        try:
            for source in sources:
                if source not in trees:
                    trees[source] = _value(house, _outcome_of(rows, walked, source))
            if all(trees[source] is not None for source in sources):
                shown = values.previews(house.site.blobs, resolve(tree, {key: trees[key][0] for key in sources}))
        except (RopewalkError, LookupError):
            shown = []
        near = [_near(walked, source) for source in sources]
        over = name == step.call.over
        found.append({"name": name, "sources": near, "shown": shown, "told": told.get(name, ""), "over": over})
    return found


def _outcome_of(rows: Reader, walked: Walked, node: str) -> Outcome | None:
    step = walked.step(node)
    known = step is not None and step.record is not None and step.record.key and step.state in (steps.RAN, steps.HIT)
    return outcomes.find(rows, step.record.key) if known and step and step.record else None


def _value(house: House, outcome: Outcome | None) -> tuple[Any] | None:
    """Return an outcome's tree; None where there is none, or one that is too long to be looked at."""
    if outcome is None:
        return None
    blobs = house.site.blobs
    if is_digest(outcome.value) and blobs.size(outcome.value) > VALUE_BYTES_MAX:
        return None
    return (outcomes.unpacked(blobs, outcome.value, outcome.digest),)


def _output(house: House, outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    why = ""
    shown: list[Preview] = []
    try:
        tree = _value(house, outcome)
        shown = values.previews(house.site.blobs, tree[0]) if tree is not None else []
        why = f"more than {size(VALUE_BYTES_MAX)}, too much to be shown here" if tree is None else ""
    except RopewalkError as error:
        why = f"{error.what} {error.fix}"
    return {"shown": shown, "digest": outcome.digest, "why": why, "logged": outcome.entries != "[]"}


def _attempts(rows: Reader, run: Run, step: Step) -> list[dict[str, Any]]:
    """Return attempts, newest first, with what went wrong and where."""
    found: list[dict[str, Any]] = []
    record = step.record
    if record and record.attempt and step.state not in (steps.HIT, steps.SKIPPED, steps.AGAIN):
        ended_us = record.ended_us
        found.append(_attempt(record.attempt, step.state, record.started_us, ended_us, record.failure()))
    tried = kept.tried(rows, run.id, step.node, ATTEMPTS_SHOWN)
    return [*found, *(_attempt(one.attempt, "failed", one.started_us, one.ended_us, one.failure()) for one in tried)]


def _attempt(
    number: int, state: str, started_us: int, ended_us: int | None, failure: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "number": number,
        "state": state,
        "sign": steps.SIGNS[state],
        "css": state.replace(" ", "-"),
        "began": at(started_us),
        "took": span(started_us, ended_us),
        "error": failures.headline(failure) if failure else "",
        "place": failures.place(failure) if failure else "",
        "frames": failures.lines(failure) if failure else "",
        "tail": str(failure.get("tail", "")) if failure else "",
    }


def _map(rows: Reader, run: Run, step: Step) -> dict[str, Any] | None:
    """Return the bitmap of a map in a hundred cells, each with the share of its items that have a result."""
    row = rows.get(MapRow, "pipelines.map_of_step", run_id=run.id, node=step.node) if step.items else None
    if row is None or not row.total:
        return None
    bits, cells = int(row.done or "0", 16), min(CELLS, row.total)
    text = f"{bits:b}"[::-1].ljust(row.total, "0")[: min(row.total, BITS_MAX)]
    shares: list[tuple[int, str]] = []
    for cell in range(cells):
        first, last = cell * row.total // cells, (cell + 1) * row.total // cells
        done = text.count("1", first, last)
        shares.append((round(10 * done / (last - first)), f"items {first:,} to {last - 1:,}: {done:,} done"))
    return {"done": row.places(), "total": row.total, "cells": shares}


def _needs(call: Node) -> list[tuple[str, str]]:
    said = (
        ("processors", f"{call.cpu:g}"),
        ("memory", size(call.memory_bytes) if call.memory_bytes else ""),
        ("graphics cards", str(call.gpu) if call.gpu else ""),
        ("priority", str(call.priority) if call.priority else ""),
        ("retries", f"{call.retries}, the first after {call.backoff_seconds:g} s" if call.retries else ""),
        ("longest", f"{call.timeout_seconds:g} s" if call.timeout_seconds else ""),
        ("secrets", ", ".join(call.secrets)),
        ("cache", "" if call.cache else "off: it runs in each new run"),
        ("called for each of", call.over),
    )
    return [(word, value) for word, value in said if value]


def output(house: House, rows: Reader, request: Request) -> Response:
    """Return the bytes of a blob that a step's result names, as a file to keep.

    Raises:
        NotFound: there is no such run or step, or its result names no such blob.
    """
    run = runs.find(rows, request.path_params["run"])
    step = steplog.step_of(house, rows, run, request.path_params["node"])
    digest = request.path_params["digest"]
    outcome = outcomes.find(rows, step.record.key) if step.record and step.record.key else None
    tree = _value(house, outcome)
    if tree is None or digest not in set(outcomes.blobs_of(tree[0])):
        raise NotFound(
            "blob-not-found", "The step's result has no such part.", where=digest[:80], fix="ropewalk verify"
        )
    endings = {"$frame": "parquet", "$series": "parquet", "$npy_blob": "npy", "$skops": "skops", "$pickle": "pickle"}
    tag = next((tag for leaf in values.leaves(tree[0]) for tag in endings if leaf.get(tag) == digest), "")
    name = f"{step.node}.{endings.get(tag, 'bin')}".replace("/", "-")
    return FileResponse(
        house.site.blobs.fetch(digest), media_type="application/octet-stream", filename=name, headers=RAW_HEADERS
    )
