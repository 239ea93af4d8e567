"""What the console shows of batches: how far each is, who scores, and the files that came out."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ropewalk.api import batches as doors
from ropewalk.batches import batch as batches
from ropewalk.batches import folder as folders
from ropewalk.batches.batch import Batch
from ropewalk.console.words import at
from ropewalk.house import House
from ropewalk.store.database import Reader

ROWS_SHOWN = 50
ASIDE_SHOWN = 10
LETTERS_SHOWN = 300


def list_batches(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather a page of batches, newest first."""
    after = request.query_params.get("after", "")
    found = batches.page(rows, ROWS_SHOWN + 1, after or batches.LAST)
    shown, more = found[:ROWS_SHOWN], len(found) > ROWS_SHOWN
    return {
        "batches": [_row(one) for one in shown],
        "after": after,
        "next": f"/batches?after={shown[-1].id}" if more else "",
        "open": any(one.state in (batches.WAITING, batches.RUNNING) for one in shown),
    }


def show_batch(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one batch's page.

    Raises:
        NotFound: there is no such batch.
    """
    found = batches.get(rows, request.path_params["batch"])
    done = found.state == batches.DONE
    here = done and not found.target
    targets = folders.targets_of(house.site, found) if done else None
    facts = [
        ("release", found.release),
        ("bundle", found.bundle),
        ("environment", found.environment),
        *((name, str(value)) for name, value in found.place().items()),
        ("into", found.target or "the server's own folder"),
        ("rows without an answer", "are set aside" if found.policy == batches.ASIDE else "stop it"),
    ]
    if found.output:
        facts.append(("output", found.output))
    return {
        "batch": _row(found),
        "facts": facts,
        "output": here and targets is not None and targets.output.is_file(),
        "aside": _first(targets.aside) if targets is not None and found.aside else [],
        "aside_file": here and targets is not None and targets.aside.is_file(),
        "cancellable": batches.CANCELLED in batches.MOVES[found.state],
    }


def output(house: House, rows: Reader, request: Request) -> Response:
    """Answer the rows with their answers, as Parquet."""
    found = batches.get(rows, request.path_params["batch"])
    return doors.file_of(house.site, found, folders.OUTPUT, doors.PARQUET)


def set_aside(house: House, rows: Reader, request: Request) -> Response:
    """Answer the rows that were set aside, a line of JSON each."""
    found = batches.get(rows, request.path_params["batch"])
    return doors.file_of(house.site, found, folders.SET_ASIDE, doors.NDJSON)


def _row(found: Batch) -> dict[str, Any]:
    return {
        "id": found.id,
        "state": found.state,
        "open": found.state in (batches.WAITING, batches.RUNNING),
        "release": found.release,
        "source": " ".join(f"{name} {value}" for name, value in found.place().items())[:LETTERS_SHOWN],
        "rows": found.rows,
        "scored": found.scored,
        "aside": found.aside,
        "note": found.note,
        "ending": bool(found.cancel) and found.state == batches.RUNNING,
        "actor": found.actor,
        "begun": at(found.begun_us),
        "changed": at(found.at_us),
    }


def _first(path: Path) -> list[dict[str, str]]:
    """Return the first rows that were set aside, each with its reason."""
    if not path.is_file():
        return []
    with path.open("rb") as lines:
        found: list[dict[str, Any]] = [json.loads(line) for line in islice(lines, ASIDE_SHOWN)]
    return [
        {
            "row": f"{one['row']:,}",
            "code": one["code"],
            "field": one["field"],
            "message": one["message"],
            "record": json.dumps(one["record"], ensure_ascii=False)[:LETTERS_SHOWN],
        }
        for one in found
    ]
