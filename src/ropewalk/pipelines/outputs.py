"""Files that a command or a notebook writes: kept by digest, put back as they were, cleared before it runs again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid
from ropewalk.refs import digest_of_file
from ropewalk.runs.log import log_artifact
from ropewalk.site import HIDDEN

# What a step gives: the digest of each file, and whether it may be executed, by its path relative to the project.
Files = dict[str, list[str]]
_EXECUTABLE = 0o100


def require_inside(paths: Iterable[str]) -> tuple[str, ...]:
    """Return declared outputs when they lie in the project, each by a plain relative path.

    Raises:
        Invalid: one leads out of the project, is the project itself, or is a pattern.
    """
    found: list[str] = []
    for path in paths:
        parts = PurePosixPath(path).parts
        bad = not parts or parts[0] == "/" or ".." in parts or parts[0] == HIDDEN or any(mark in path for mark in "*?[")
        if bad:
            raise Invalid(
                "writes-outside",
                "A step may declare files and folders of the project as its outputs, by name.",
                where=path,
                why="what is written is removed before the step runs and put back from the cache",
                fix='write it like writes=["clean.parquet", "plots"]',
            )
        found.append(PurePosixPath(*parts).as_posix())
    return tuple(found)


def clear(root: Path, writes: Iterable[str]) -> None:
    """Remove declared outputs, so that nothing of an earlier time is taken for what is written now."""
    for name in writes:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)


def keep(root: Path, blobs: Bucket | None, writes: Iterable[str], where: str) -> Files:
    """Keep declared outputs and log each as an artifact of the run; return what they are.

    Args:
        root: the project's folder.
        blobs: where bytes go; None outside of a run, where they are only looked at.
        writes: files and folders.
        where: what has written them, for errors.

    Raises:
        Invalid: one of them was not written.
    """
    found: Files = {}
    for name in writes:
        if not (root / name).exists():
            raise Invalid(
                "writes-missing",
                "A step did not write what it declares.",
                where=where,
                why=f"{name} is not there after it has ended well",
                fix="let it write that file, or take it out of writes=",
            )
        for file in _files(root, name):
            path = root / file
            digest = digest_of_file(path) if blobs is None else blobs.put_file(path)
            log_artifact(path, f"outputs/{file}")
            found[file] = [digest, "x" if path.stat().st_mode & _EXECUTABLE else ""]
    return found


def put_back(root: Path, blobs: Bucket | None, files: Mapping[str, list[str]], writes: Iterable[str]) -> None:
    """Make declared outputs what they were when they were kept; what is so already is left alone.

    Raises:
        NotFound: their bytes are not kept any more.
        Corrupt: their bytes were changed.
    """
    for name in writes:
        for file in _files(root, name):
            if file not in files:
                (root / file).unlink()
    for file, (digest, mode) in files.items():
        path = root / file
        if blobs is None or (path.is_file() and digest_of_file(path) == digest):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            incoming.write_bytes(blobs.get(digest))
            incoming.chmod(0o755 if mode else 0o644)
            incoming.replace(path)
        finally:
            incoming.unlink(missing_ok=True)


def _files(root: Path, name: str) -> Iterator[str]:
    path = root / name
    if path.is_dir():
        yield from (one.relative_to(root).as_posix() for one in sorted(path.rglob("*")) if one.is_file())
    elif path.is_file():
        yield name
