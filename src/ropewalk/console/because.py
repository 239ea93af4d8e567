"""Why a step ran or did not: the reasons that were written down, and how its code differs from the time before."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ropewalk.console.patch import between
from ropewalk.console.words import at, span
from ropewalk.errors import RopewalkError
from ropewalk.house import House
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.changes import changes
from ropewalk.pipelines.outcomes import CACHED, Outcome, StepRecord
from ropewalk.pipelines.told import notes_of
from ropewalk.runs import run as runs
from ropewalk.runs.states import Run
from ropewalk.source.snapshot import read_manifest
from ropewalk.store.database import Reader

FILES_SHOWN = 8
TEXT_BYTES_MAX = 1 << 20


def of_step(house: House, rows: Reader, run: Run, record: StepRecord, outcome: Outcome | None) -> dict[str, Any]:
    """Return what a step's page says of why it ran or was answered for.

    Args:
        house: the project.
        rows: a view of the store.
        run: the run.
        record: what it did with the step.
        outcome: what the step gave, None while it has given nothing.
    """
    before = rows.get(
        StepRecord,
        "pipelines.node_before",
        pipeline=record.pipeline,
        node=record.node,
        run_id=run.id,
        at_us=record.started_us,
    )
    parts = outcomes.parts_of(rows, record.code)
    found: dict[str, Any] = {
        "ran": record.state != CACHED,
        "reasons": record.reasons(),
        "notes": notes_of(parts),
        "before": None,
        "source": None,
        "patches": [],
    }
    if record.state == CACHED and outcome is not None:
        found["source"] = _source(rows, outcome)
    if before is not None:
        earlier = runs.get(rows, before.run_id)
        found["before"] = {"id": earlier.id, "name": earlier.name, "at": at(before.started_us), "node": before.node}
        if before.code != record.code:
            unlike = [item.part for item in changes(outcomes.parts_of(rows, before.code), parts)]
            found["patches"] = patches(house, earlier, run, unlike)
    return found


def _source(rows: Reader, outcome: Outcome) -> dict[str, str]:
    """Return which run answered for a step, and how long its code took there."""
    row = rows.row("console.names_of_runs", id=outcome.run_id)
    ran = rows.get(StepRecord, "pipelines.step", run_id=outcome.run_id, node=outcome.node)
    return {
        "id": outcome.run_id if row else "",
        "name": str(row["name"]) if row else "a run that is gone",
        "node": outcome.node,
        "at": at(outcome.at_us),
        "took": span(ran.started_us, ran.ended_us) if ran and ran.state == outcomes.DONE else "",
    }


Patch = tuple[str, list[tuple[str, str]]]


def patches(house: House, earlier: Run, run: Run, parts: Iterable[str]) -> list[Patch]:
    """Return the diff of each file of code that differs between two runs, those that hold the named parts first.

    Those that hold none of them are left out where some do.
    """
    try:
        old, new = (
            {path: digest for path, digest, _ in read_manifest(house.site.blobs, one.code)} if one.code else {}
            for one in (earlier, run)
        )
    except RopewalkError:
        return []
    differing = [path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)]
    differing = [path for path in differing if path.endswith(".py")]
    named = {file for part in parts for file in _files_of(part)}
    wanted = [path for path in differing if path in named or path.removeprefix("src/") in named] or differing
    found: list[Patch] = []
    for path in wanted[:FILES_SHOWN]:
        lines = between(
            text_of(house, old.get(path, "")),
            text_of(house, new.get(path, "")),
            (f"{path} in {earlier.name}", f"{path} in {run.name}"),
        )
        if lines:
            found.append((path, lines))
    return found


def _files_of(part: str) -> list[str]:
    """Return where a part of a code may stand: `features.clean` in `features.py` or in `features/clean.py`."""
    words = part.partition(" (")[0].removeprefix("module ").split(".")
    return [
        name
        for count in range(len(words), 0, -1)
        for name in (f"{'/'.join(words[:count])}.py", f"{'/'.join(words[:count])}/__init__.py")
    ]


def text_of(house: House, digest: str) -> str:
    """Return a file of code; nothing for one that is not there, is too long or is no text."""
    try:
        if not digest or house.site.blobs.size(digest) > TEXT_BYTES_MAX:
            return ""
        return house.site.blobs.get(digest).decode(errors="replace")
    except RopewalkError:
        return ""


def code_of(house: House, rows: Reader, run: Run, record: StepRecord, where: str) -> dict[str, Any]:
    """Return the code that counted for a step: its own lines, and every part by name with what it was.

    Args:
        house: the project.
        rows: a view of the store.
        run: the run.
        record: what it did with the step.
        where: `file:line` of the function; empty where the run did not keep it.
    """
    try:
        held = {path: digest for path, digest, _ in read_manifest(house.site.blobs, run.code)} if run.code else {}
    except RopewalkError:
        held = {}
    path, _, line = where.rpartition(":")
    parts = outcomes.parts_of(rows, record.code)
    listed = [(name, value) for name, value in parts.items() if not name.startswith("not seen: ")]
    return {
        "where": where,
        "file": path if path in held else "",
        "lines": _function(text_of(house, held.get(path, "")), int(line) if line.isdigit() else 0),
        "parts": [(name, value, _file(name, held)) for name, value in sorted(listed)],
        "digest": record.code,
        "facts": _facts(record),
    }


def _file(part: str, held: Mapping[str, str]) -> str:
    found = (name for file in _files_of(part) for name in (file, f"src/{file}") if name in held)
    return next(found, "")


def _function(text: str, line: int) -> str:
    """Return the lines of the function that begins at a line, decorators included; nothing where none does."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if line in (first, node.lineno):
                return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return ""


def _facts(record: StepRecord) -> dict[str, dict[str, str]]:
    """Return what else the key was made of: files that it reads and libraries, by name."""
    if not record.inputs:
        return {}
    found: dict[str, dict[str, str]] = json.loads(record.inputs)
    return {kind: found[kind] for kind in ("reads", "libraries") if found.get(kind)}
