"""Cancelling a run from anywhere: its holder stops within a second, and everything that it started is ended."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from ropewalk import leases
from ropewalk.compute import family
from ropewalk.errors import Conflict
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

# What the holder gets to end its workers itself; it looks every second.
GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """A run that was cancelled.

    Attributes:
        run: as it is now.
        ended: how many processes had to be killed because their holder did not end them.
    """

    run: Run
    ended: int


def cancel(site: Site, run_id: str) -> Cancelled:
    """Cancel a run that runs, waits or was interrupted; returns when its workers on this host are gone.

    Raises:
        NotFound: there is no such run.
        Conflict: it is over, or a client of another program drives it.
    """

    def work(tx: Transaction) -> Run:
        run = runs.get(tx, run_id)
        if run.kind == runs.REMOTE or run.over:
            why = f"it is {run.state}" if run.over else "the program that logs it drives it"
            raise Conflict(
                "run-not-cancellable",
                "The run cannot be cancelled.",
                where=run.subject,
                why=why,
                fix=f"ropewalk runs {run.name}",
            )
        tx.run("pipelines.end_left", run_id=run_id)
        return runs.move(tx, site, run_id, runs.CANCELLED, fence=run.fence, error=f"cancelled by {site.actor}")

    with site.db.read() as reader:
        lease = runs.get(reader, run_id).lease
    done = site.db.write(work)
    here = lease.host == socket.gethostname() and lease.boot == leases.boot_id() and lease.pid != os.getpid()
    return Cancelled(run=done, ended=_end(lease.pid, f"{lease.pid}.{lease.born}.") if here else 0)


def _end(holder: int, prefix: str) -> int:
    """Wait until the holder has ended its workers; kill them where it cannot, for it is stopped or gone.

    A holder that lives ends them itself: what still runs then belongs to another run of the same process.
    """
    until = monotonic() + GRACE_SECONDS
    for pid, _ in list(family.marked(prefix)):
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                select.select([handle], [], [], max(0.0, until - monotonic()))
            finally:
                os.close(handle)
    return 0 if _runs(holder) else family.end(prefix)


def _runs(pid: int) -> bool:
    """Say whether a process can do anything now: it is there, and neither stopped nor dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TtZX"
    except OSError:
        return False
