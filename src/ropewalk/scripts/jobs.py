"""The jobs of a multirun of Hydra's: each is a run below the script's own, with its configuration and its folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ropewalk import leases
from ropewalk.errors import RopewalkError
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.keys import PARAM_LETTERS_MAX, is_key
from ropewalk.runs.log import LogEntry, check_path
from ropewalk.runs.run import Run
from ropewalk.scripts.record import OURS, Told
from ropewalk.scripts.seen import Job, outputs
from ropewalk.site import Site
from ropewalk.source.snapshot import CodeSnapshot
from ropewalk.store.database import Transaction

VALUE = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A job with what is logged of it, its files kept already.

    Attributes:
        job: the job.
        entries: parameters, what it returned, and the files of its folder.
    """

    job: Job
    entries: tuple[LogEntry, ...]


def logged(site: Site, told: Told) -> list[Logged]:
    """Return the jobs of a multirun; none for a script that has a single one, whose run is the script's own."""
    return [Logged(job=job, entries=tuple(_entries(site, told, job))) for job in told.seen.jobs if job.several]


def _entries(site: Site, told: Told, job: Job) -> list[LogEntry]:
    now_us = site.clock.now_us()
    given = told.secrets.parameters(job.config)
    found = [
        LogEntry(kind="param", key=key, value=value[:PARAM_LETTERS_MAX], at_us=now_us)
        for key, value in given.items()
        if is_key(key)
    ]
    numbers = {"seconds": job.seconds} if job.value is None else {"seconds": job.seconds, VALUE: job.value}
    found += [LogEntry(kind="metric", key=key, value=value, at_us=now_us) for key, value in numbers.items()]
    files = {f"{OURS}/config.yaml": site.blobs.put(told.secrets.clean(job.yaml).encode())}
    for file in outputs(told.seen, site.root, Path.cwd()):
        if file.place.is_relative_to(job.folder):
            with suppress(OSError, RopewalkError):  # gone meanwhile, or a name that no artifact can have
                files[check_path(file.place.relative_to(job.folder).as_posix())] = site.blobs.put_file(file.place)
    for name, digest in files.items():
        value = {"digest": digest, "bytes": site.blobs.size(digest)}
        found.append(LogEntry(kind="artifact", key=name, value=value, at_us=now_us))
    return found


def record(tx: Transaction, site: Site, parent: Run, jobs: Sequence[Logged], *, code: CodeSnapshot, told: Told) -> None:
    """Write each job down as a run of its own, in the transaction that ends the script's."""
    for number, one in enumerate(jobs):
        run = runs.start(
            tx,
            site,
            kind="script",
            pipeline=told.program.name,
            args={"command": [*told.secrets.words[: _own(told)], *map(told.secrets.clean, one.job.overrides)]},
            code=code.digest,
            commit=code.commit,
            environment=parent.environment,
            lease=leases.take(site.clock.now_us(), 1),
            name=f"{parent.name}-{number}",
            parent=parent.id,
        )
        keep.apply(tx, run.id, one.entries, at_us=site.clock.now_us())
        state = runs.FAILED if one.job.error else runs.FINISHED
        runs.move(tx, site, run.id, state, fence=run.fence, error=told.secrets.clean(one.job.error))


def _own(told: Told) -> int:
    """Return how many of the words that were typed start the script, without what it was given."""
    return len(told.secrets.words) - len(told.program.given)
