"""What was seen of a script in all of its processes, put together: inputs, outputs, arguments and its model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.refs import digest_of_file

# A file whose bytes are more than this, or come after so many bytes, is told by its length alone.
HASHED_BYTES_MAX = 4 << 30
HASHED_BYTES_TOTAL = 16 << 30
OUTPUT_BYTES_MAX = 256 << 20
OUTPUTS_BYTES_MAX = 1 << 30
_NOT_OUTPUTS = frozenset({".ropewalk", ".git", "__pycache__"})
BLIND = (
    "Seen are files that Python opens. Not seen are those that C code opens by itself (readers of polars, pyarrow and "
    "DuckDB, memory maps, databases), those of other programs that the script starts, and those of an interpreter "
    "started with -I, -E or -S."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that a script has read or written.

    Attributes:
        path: relative to the project where it lies below it, else absolute.
        place: where it is.
        bytes: its length, as it was when it was opened for reading.
        digest: sha256; empty where it is too long, or gone.
        changed: whether it has been changed since it was opened.
    """

    path: str
    place: Path
    bytes: int
    digest: str
    changed: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the file as JSON says it."""
        return {"path": self.path, "bytes": self.bytes, "digest": self.digest, "changed": self.changed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of a script of Hydra's.

    Attributes:
        config: the composed configuration's values by their dotted names.
        yaml: the configuration as Hydra writes it.
        overrides: as they were typed.
        folder: where it worked.
        several: whether it is one of a multirun.
        error: what it raised, in one line; empty for nothing.
        seconds: how long it took.
        value: the number that it returned; None for none.
    """

    config: dict[str, str]
    yaml: str
    overrides: tuple[str, ...]
    folder: Path
    several: bool
    error: str
    seconds: float
    value: float | None

    @classmethod
    def from_plain(cls, facts: dict[str, Any]) -> Job:
        """Return the job that a witness has noted."""
        values: dict[str, Any] = {**facts, "overrides": tuple(facts["overrides"]), "folder": Path(facts["folder"])}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen.

    Attributes:
        watched: whether any process of the script was watched at all.
        arguments: what the script's argparse made of its command line, or what Hydra composed of it.
        read: files that were there before the script.
        written: files that it wrote and left.
        programs: other programs that it started.
        hosts: `host:port` of what it spoke to over the network.
        left_out: how many files were too many to be named.
        error: the exception that ended it, in one line; empty for none.
        model: what it left as its model; empty for none.
        saved: models that it wrote to files, as function, path and class.
        path: the first folder of its module path.
        python: interpreter and version.
        troubles: what could not be watched, and why.
        jobs: what Hydra composed for each job, in the order in which they ended.
    """

    watched: bool
    arguments: dict[str, str]
    read: tuple[File, ...]
    written: tuple[File, ...]
    programs: tuple[str, ...]
    hosts: tuple[str, ...]
    left_out: int
    error: str
    model: dict[str, Any]
    saved: tuple[tuple[str, str, str], ...]
    path: str
    python: tuple[str, ...]
    troubles: tuple[str, ...]
    jobs: tuple[Job, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return everything as JSON says it."""
        return {
            "watched": self.watched,
            "arguments": self.arguments,
            "read": [file.plain() for file in self.read],
            "written": [file.plain() for file in self.written],
            "programs": list(self.programs),
            "hosts": list(self.hosts),
            "left_out": self.left_out,
            "model": self.model,
            "saved": [list(one) for one in self.saved],
            "python": list(self.python),
            "troubles": list(self.troubles),
            "not_seen": BLIND if self.watched else "Nothing: no Python process of it was watched.",
        }


def read_notes(folder: Path, root: Path) -> Seen:
    """Return what the notes in a folder come to.

    Args:
        folder: where the witnesses wrote.
        root: the project's folder.
    """
    notes = list(_notes(folder))
    mains = [one for one in notes if not one.get("worker")]
    files = [one.get("files", {}) for one in notes]
    written = list(dict.fromkeys(path for one in files for path in one.get("written", ())))
    read = {path: facts for one in files for path, *facts in one.get("read", ()) if path not in written}
    budget = [HASHED_BYTES_TOTAL]
    models: list[dict[str, Any]] = [one["model"] for one in mains if one.get("model")]
    none: dict[str, Any] = {}
    jobs = tuple(Job.from_plain(facts) for one in notes for facts in one.get("jobs", ()))
    return Seen(
        watched=bool(notes),
        arguments=_arguments(mains, jobs),
        read=tuple(_file(path, root, budget, facts) for path, facts in read.items()),
        written=tuple(_file(path, root, budget) for path in written if _is_output(path)),
        programs=_all(files, "programs"),
        hosts=_all(files, "hosts"),
        left_out=sum(int(one.get("left_out", 0)) for one in files),
        error=next((one["error"] for one in reversed(mains) if one.get("error")), ""),
        model=next((one for one in reversed(models) if "why" not in one), models[-1] if models else none),
        saved=tuple((form, _shown(path, root), kind) for one in mains for form, path, kind in one.get("saved", ())),
        path=next((one["path"] for one in mains if one.get("path")), ""),
        python=tuple(next((one["python"] for one in mains), ())),
        troubles=tuple(dict.fromkeys(said for one in notes for said in one.get("troubles", ()))),
        jobs=jobs,
    )


def _arguments(mains: Sequence[dict[str, Any]], jobs: Sequence[Job]) -> dict[str, str]:
    """Return what argparse made of the command line; of Hydra's, what its only job was configured with."""
    none: dict[str, str] = {}
    if jobs:
        return none if jobs[0].several else jobs[0].config
    return next((one["arguments"] for one in mains if one.get("arguments")), none)


def _notes(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the notes in the order in which the processes ended."""
    for path in sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime_ns):
        if path.stem.isdigit():
            found = json.loads(path.read_bytes())
            if "pid" in found:
                yield found


def _all(files: Sequence[dict[str, Any]], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(value) for one in files for value in one.get(name, ())))


def _is_output(path: str) -> bool:
    """Say whether a written path is a file that the script left, and not a log of ours or a pipe."""
    return Path(path).is_file() and not _NOT_OUTPUTS & set(Path(path).parts)


def _shown(path: str, root: Path) -> str:
    place = Path(path)
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else path


def _file(path: str, root: Path, budget: list[int], facts: Sequence[int] = ()) -> File:
    place, digest = Path(path), ""
    try:
        now = place.stat()
        size, since = (facts[0], facts[1]) if facts else (now.st_size, now.st_mtime_ns)
        changed = (size, since) != (now.st_size, now.st_mtime_ns)
        if now.st_size <= min(HASHED_BYTES_MAX, budget[0]) and not changed:
            budget[0] -= now.st_size
            digest = digest_of_file(place)
    except OSError:
        size, changed = (facts[0] if facts else 0), True
    return File(path=_shown(path, root), place=place, bytes=size, digest=digest, changed=changed)


def outputs(seen: Seen, *folders: Path) -> Iterator[File]:
    """Yield the written files that are kept: below one of these folders, and not too long, alone and together."""
    total = 0
    for file in seen.written:
        near = any(file.place.is_relative_to(folder) for folder in folders)
        if near and file.digest and file.bytes <= OUTPUT_BYTES_MAX and total + file.bytes <= OUTPUTS_BYTES_MAX:
            total += file.bytes
            yield file
