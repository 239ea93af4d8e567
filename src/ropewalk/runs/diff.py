"""What is different between two runs: code, parameters, metrics, environment, data and models."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.data import snapshot
from ropewalk.refs import short
from ropewalk.runs import keep
from ropewalk.runs.artifacts import artifacts, run_models
from ropewalk.runs.run import Run, get
from ropewalk.site import Site
from ropewalk.source.snapshot import read_manifest
from ropewalk.store.database import Reader

TEXT_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs.

    Attributes:
        name: what.
        a: in the first run, None where it has none.
        b: in the second run, None where it has none.
    """

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file of the code that differs.

    Attributes:
        path: relative to the project.
        change: `added`, `removed`, `changed` or `mode`.
        text: unified diff; empty for bytes that are no text, and for files above 1 MiB.
    """

    path: str
    change: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiff:
    """Everything that differs, from the first run to the second.

    Attributes:
        a: the first run.
        b: the second run.
        run: the runs' own facts: pipeline, arguments, commit, branch, author, dirty, state.
        files: the code.
        params: parameters.
        metrics: newest points of metrics.
        environment: interpreter, platform and versions of packages.
        data: digests of frames by step and name.
        models: digests of models' files.
        artifacts: digests of other files.
    """

    a: Run
    b: Run
    run: tuple[Change, ...]
    files: tuple[FileChange, ...]
    params: tuple[Change, ...]
    metrics: tuple[Change, ...]
    environment: tuple[Change, ...]
    data: tuple[Change, ...]
    models: tuple[Change, ...]
    artifacts: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        parts = (self.run, self.files, self.params, self.metrics, self.environment, self.data, self.models)
        return not any((*parts, self.artifacts))


def diff(site: Site, a: str, b: str) -> RunDiff:
    """Return what is different between two runs.

    Args:
        site: the project.
        a: id of the first run.
        b: id of the second run.

    Raises:
        NotFound: there is no such run, or a blob is gone.
        Corrupt: a blob was changed.
    """
    with site.db.read() as reader:
        one, other = get(reader, a), get(reader, b)
        logged = [_logged(reader, site.blobs, run.id) for run in (one, other)]
    return RunDiff(
        a=one,
        b=other,
        run=_changes(*[_own(run) for run in (one, other)]),
        files=_files(site.blobs, one.code, other.code),
        environment=_changes(*[_environment(site.blobs, run.environment) for run in (one, other)]),
        **{part: _changes(logged[0][part], logged[1][part]) for part in logged[0]},
    )


def _changes(a: Mapping[str, str], b: Mapping[str, str]) -> tuple[Change, ...]:
    return tuple(
        Change(name=name, a=a.get(name), b=b.get(name))
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    )


def _own(run: Run) -> dict[str, str]:
    own = {name: str(getattr(run, name)) for name in ("pipeline", "branch", "author", "state")}
    arguments = {f"args.{name}": json.dumps(value, sort_keys=True) for name, value in run.arguments().items()}
    return own | arguments | {"commit": run.commit_sha, "dirty": "yes" if run.dirty else "no"}


def _logged(reader: Reader, blobs: Bucket, run_id: str) -> dict[str, dict[str, str]]:
    return {
        "params": _by_name((fact.key, fact.node, str(fact.content())) for fact in keep.facts(reader, run_id, "param")),
        "metrics": _by_name((point.key, point.node, _number(point.value)) for point in keep.metrics(reader, run_id)),
        "data": _by_name((item.name, item.node, item.digest) for item in snapshot.of_run(reader, run_id)),
        "models": _by_name(
            (f"{model.name}/{name}", model.node, digest)
            for model in run_models(reader, blobs, run_id)
            for name, digest in model.parts
        ),
        "artifacts": _by_name((item.path, item.node, item.digest) for item in artifacts(reader, run_id)),
    }


def _by_name(items: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return values by name; where several steps share a name, the step follows it."""
    listed = list(items)
    names = [name for name, _, _ in listed]
    return {name if names.count(name) == 1 else f"{name} [{node}]": value for name, node, value in listed}


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else str(value)


def _environment(blobs: Bucket, digest: str) -> dict[str, str]:
    if not digest:
        return {}
    found: dict[str, Any] = json.loads(blobs.get(digest))
    packages = {str(name): str(version) for name, version in found.get("packages", [])}
    return packages | {f"({name})": str(found.get(name, "")) for name in ("python", "implementation", "platform")}


def _files(blobs: Bucket, a: str, b: str) -> tuple[FileChange, ...]:
    if a == b:
        return ()
    before, after = (
        {path: (digest, mode) for path, digest, mode in read_manifest(blobs, code)} if code else {} for code in (a, b)
    )
    changes: list[FileChange] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        word = "added" if old is None else "removed" if new is None else "changed" if old[0] != new[0] else "mode"
        text = _unified(blobs, path, old[0] if old else "", new[0] if new else "") if word != "mode" else ""
        changes.append(FileChange(path=path, change=word, text=text))
    return tuple(changes)


def _unified(blobs: Bucket, path: str, old: str, new: str) -> str:
    before, after = _text(blobs, old), _text(blobs, new)
    if before is None or after is None:
        return ""
    a, b = (f"{side}/{path} {short(digest)}" if digest else "/dev/null" for side, digest in (("a", old), ("b", new)))
    lines = difflib.unified_diff(before, after, a, b)
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def _text(blobs: Bucket, digest: str) -> list[str] | None:
    if not digest:
        return []
    if blobs.size(digest) > TEXT_BYTES_MAX:
        return None
    try:
        return blobs.get(digest).decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return None
