"""What a run says of itself, from its row, its tags and the blobs that they name: code, environment, data, kin."""

from __future__ import annotations

import json
from typing import Any

from ropewalk.console.patch import lines_of
from ropewalk.errors import RopewalkError
from ropewalk.house import House
from ropewalk.runs.states import REMOTE, Run
from ropewalk.source.snapshot import read_manifest
from ropewalk.store.database import Reader

CHILDREN_SHOWN = 50
PATCH_BYTES_MAX = 2 << 20
# Tags in which MLflow's clients say what is shown in a place of its own.
OWN_TAGS = frozenset(
    {
        "mlflow.note.content",
        "mlflow.runName",
        "mlflow.user",
        "mlflow.source.name",
        "mlflow.source.type",
        "mlflow.source.git.commit",
        "mlflow.source.git.branch",
        "mlflow.source.git.repoURL",
        "mlflow.source.git.dirty",
        "mlflow.source.git.diff",
        "mlflow.parentRunId",
        "mlflow.log-model.history",
    }
)


def code(house: House, run: Run, tags: dict[str, str]) -> dict[str, Any]:
    """Return commit, branch, changes and files of the code that ran, from our snapshot or from the client's tags."""
    dirty = bool(run.dirty) or tags.get("mlflow.source.git.dirty", "").lower() == "true"
    said = (
        ("command", run.pipeline if run.kind != REMOTE else ""),
        ("source", (tags.get("mlflow.source.name", "") or run.source_name) if run.kind == REMOTE else ""),
        ("commit", run.commit_sha or tags.get("mlflow.source.git.commit", "")),
        ("branch", run.branch or tags.get("mlflow.source.git.branch", "")),
        ("repository", tags.get("mlflow.source.git.repoURL", "")),
        ("author", run.author),
        ("changes", "there were some that no commit holds" if dirty else ""),
        ("snapshot", run.code),
    )
    patch, files = _kept(house, run.code)
    return {
        "facts": [(word, value) for word, value in said if value],
        "patch": lines_of(patch or tags.get("mlflow.source.git.diff", "")),
        "files": files,
    }


def _kept(house: House, digest: str) -> tuple[str, list[tuple[str, str]]]:
    if not digest:
        return "", []
    try:
        files = [(path, found) for path, found, _ in read_manifest(house.site.blobs, digest)]
        commit = json.loads(house.site.blobs.get(digest)).get("commit", {})
        diff = str(commit.get("diff", ""))
        if not diff or house.site.blobs.size(diff) > PATCH_BYTES_MAX:
            return "", files
        return house.site.blobs.get(diff).decode(errors="replace"), files
    except (RopewalkError, ValueError, AttributeError):
        return "", []


def environment(house: House, run: Run) -> dict[str, str] | None:
    """Return the interpreter and the packages that a run of ours had, or None."""
    if not run.environment:
        return None
    try:
        found: dict[str, Any] = json.loads(house.site.blobs.get(run.environment))
        packages = "\n".join(f"{name}=={version}" for name, version in found.get("packages", []))
    except (RopewalkError, ValueError, AttributeError):
        return None
    words = ((f"Python {found['python']}" if found.get("python") else ""), str(found.get("platform", "")))
    told = ", ".join(word for word in words if word)
    return {"told": told, "packages": packages}


def named(rows: Reader, query: str, run: Run) -> dict[str, str]:
    """Return parameters or tags by name; a name that several steps used is followed by ` [STEP]`.

    Args:
        rows: a view of the store.
        query: `runs.params` or `runs.tags`.
        run: the run.
    """
    found: dict[str, dict[str, str]] = {}
    for row in rows.rows(query, run_id=run.id):
        found.setdefault(str(row["key"]), {})[str(row["node"])] = str(row["value"])
    said: dict[str, str] = {}
    for key, by_step in found.items():
        steps = {node: value for node, value in by_step.items() if node}
        if len(steps) > 1:
            said |= {f"{key} [{node}]": value for node, value in steps.items()}
        else:
            said[key] = by_step.get("", next(iter(by_step.values())))
    return said


def parent(rows: Reader, run: Run, tags: dict[str, str]) -> dict[str, str] | None:
    """Return id and name of the run that started this one, or None."""
    wanted = run.parent or tags.get("mlflow.parentRunId", "")
    row = rows.row("console.names_of_runs", id=wanted) if wanted else None
    return None if row is None else {"id": str(row["id"]), "name": str(row["name"])}


def children(rows: Reader, run: Run) -> list[dict[str, Any]]:
    """Return id, name and state of the runs that this one started, one more than is shown."""
    values = {"experiment": run.experiment, "parent": run.id, "count": CHILDREN_SHOWN + 1}
    found = rows.rows("console.children", **values)
    if run.kind != REMOTE:
        found = [*found, *rows.rows("console.native_children", **values, from_us=run.started_us)]
    return [dict(row) for row in found]
