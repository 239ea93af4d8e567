"""Everything of a run, written out again from its digests: code, environment, data, models and files."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.data import snapshot
from ropewalk.errors import Conflict
from ropewalk.records import values_of
from ropewalk.refs import digest_of_file, short
from ropewalk.runs.artifacts import artifacts, run_models
from ropewalk.runs.log import check_path
from ropewalk.runs.run import Run, get
from ropewalk.site import Site
from ropewalk.source.snapshot import materialize
from ropewalk.store.database import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredFile:
    """One file that was written.

    Attributes:
        path: relative to the folder.
        digest: sha256 of its bytes, as they were recorded and as they were read again.
    """

    path: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was written: `code/`, `data/`, `models/`, `artifacts/`, `requirements.txt`, `run.json`.

    Attributes:
        run: which run.
        folder: where.
        files: every file of data, models and artifacts, by path; the code's are those of its snapshot.
    """

    run: Run
    folder: Path
    files: tuple[RestoredFile, ...]


def restore(site: Site, run_id: str, into: Path) -> Restored:
    """Write everything of a run into a new folder; it is there whole or not at all.

    Args:
        site: the project.
        run_id: which run.
        into: a folder that is not there yet, or is empty.

    Raises:
        NotFound: there is no such run, or a blob is gone.
        Corrupt: a blob was changed.
        Conflict: the folder holds something.
    """
    with site.db.read() as reader:
        run = get(reader, run_id)
        wanted = _wanted(reader, site.blobs, run.id)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise Conflict(
            "folder-not-empty",
            "The folder to restore into is not empty.",
            where=into.name,
            fix=f"ropewalk restore {run.id} --into ANOTHER_FOLDER",
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=into.parent, prefix=".restore-"))
    try:
        for path, digest in wanted.items():
            _write(site.blobs, digest, part / path)
        if run.code:
            materialize(site.blobs, run.code, part / "code")
        _write_environment(site.blobs, run, part)
        part.chmod(0o755)
        part.rename(into)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    files = tuple(RestoredFile(path=path, digest=digest) for path, digest in sorted(wanted.items()))
    return Restored(run=run, folder=into, files=files)


def _wanted(reader: Reader, blobs: Bucket, run_id: str) -> dict[str, str]:
    """Return path -> digest of every file; where two have one path, the later carries its digest in the name."""
    wanted: dict[str, str] = {}

    def want(path: str, digest: str) -> None:
        if wanted.setdefault(path, digest) != digest:
            stem, dot, ending = path.rpartition(".")
            wanted[f"{stem}-{short(digest)}.{ending}" if dot and "/" not in ending else f"{path}-{short(digest)}"] = (
                digest
            )

    for item in snapshot.of_run(reader, run_id):
        want(f"data/{_plain(item.node)}/{_plain(item.name)}.parquet", item.digest)
    for model in run_models(reader, blobs, run_id):
        for name, digest in model.parts:
            want(f"models/{_plain(model.name)}/{check_path(name)}", digest)
    for file in artifacts(reader, run_id):
        want(f"artifacts/{check_path(file.path)}", file.digest)
    return wanted


def _plain(name: str) -> str:
    """Return a name as one that a file may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".") or "script"


def _write(blobs: Bucket, digest: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(blobs.fetch(digest), target)
    assert digest_of_file(target) == digest, "a copy of a verified blob has its digest"


def _write_environment(blobs: Bucket, run: Run, part: Path) -> None:
    facts: dict[str, Any] = values_of(run)
    facts["args"] = run.arguments()
    if run.environment:
        environment: dict[str, Any] = json.loads(blobs.get(run.environment))
        facts["environment_facts"] = {name: value for name, value in environment.items() if name != "packages"}
        pins = [f"{name}=={version}\n" for name, version in environment.get("packages", [])]
        (part / "requirements.txt").write_text("".join(pins), encoding="utf-8")
    (part / "run.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
