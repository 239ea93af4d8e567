"""A process that ships a copy of a project in forked children and lets each kill itself at a chosen step.

Reads lines `FOLDER STEP` (0: do not kill) and prints the child's exit status and, unless it was killed, how many of the
nine stages were stored at each of its steps.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from releases.small_line import Small, settings_of
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.ledger.sign import Signer
from ropewalk.releases import outcome, release, rollout, sqlmigrate
from ropewalk.releases.line import ship
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase

SETTINGS = settings_of(
    environments={"production": {"database": "app.db"}},
    canary={"weights": [10.0, 50.0]},
    qa={"load_seconds": 0.01, "load_connections": 1, "p50_ms": 5000, "p99_ms": 9000},
)


class Steps:
    """Counts what is made durable, and ends the process at one of these places as a power cut would."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.stored = 0
        self.stored_at: list[int] = []

    def step(self) -> None:
        """Count one, and die if it is the one."""
        self.stored_at.append(self.stored)
        if len(self.stored_at) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a step before it and one after it."""

        def stepped(*values: Any, **named: Any) -> Any:
            self.step()
            found = work(*values, **named)
            self.step()
            return found

        return stepped


class Around:
    """Something whose methods of some names have steps around them."""

    def __init__(self, inner: Any, steps: Steps, **changed: Callable[..., Any]) -> None:
        self._inner, self._steps, self._changed = inner, steps, changed

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name) or getattr(self._inner, name)


def open_site(root: Path) -> Site:
    """Open the project that lies in a folder."""
    hidden, clock = root / HIDDEN, SystemClock()
    return Site(
        root=root,
        db=SqliteDatabase(hidden / "ropewalk.db", clock),
        blobs=FolderBucket(hidden / "blobs"),
        clock=clock,
        signer=Signer.create(hidden / "keys"),
        actor="ann@example.org",
    )


def command(site: Site) -> None:
    """Ship the newest version, and climb until it is live: what a user types, and the loop beside it."""
    found = ship(site, SETTINGS, doors=Small(site=site).doors(), wait=False)
    evidence = site.blobs.put(b'{"looked":"at"}')
    while found.state == release.CANARY:
        with site.db.read() as reader:
            one = rollout.find(reader, found.id)
        assert one is not None
        site.db.write(lambda tx, one=one: rollout.rise(tx, site, one, evidence=evidence, reason="no worse"))
        with site.db.read() as reader:
            found = release.get(reader, found.id)


def run(root: Path, at: int) -> list[int]:
    """Run the command with steps around everything durable; return the number of stages stored at each of them."""
    site, steps = open_site(root), Steps(at)

    def write(work: Callable[[Any], Any], **named: Any) -> Any:
        def inside(tx: Any) -> Any:
            found = work(tx)
            steps.step()
            return found

        begun, before = len(steps.stored_at), steps.stored
        found = steps.around(site.db.write)(inside, **named)
        with site.db.read() as reader:
            steps.stored = len(outcome.stages(reader, "flights/2"))
        if steps.stored == before + 2:  # what ends the canary makes it live, in one transaction
            steps.stored_at[begun:] = [before + 1] * (len(steps.stored_at) - begun)
        return found

    sqlmigrate.SqliteFile.change = steps.around(sqlmigrate.SqliteFile.change)
    stepped = Site(
        root=site.root,
        db=Around(site.db, steps, write=write),
        blobs=Around(site.blobs, steps, put=steps.around(site.blobs.put)),
        clock=site.clock,
        signer=site.signer,
        actor=site.actor,
    )
    command(stepped)
    site.db.close()
    return steps.stored_at


def main() -> None:
    """Fork one child per line; the imports are paid once."""
    for line in sys.stdin:
        folder, at = line.rsplit(" ", 1)
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.close(ours)
            os.write(theirs, " ".join(map(str, run(Path(folder), int(at)))).encode())
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as said:
            stored_at = said.read()
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), stored_at, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
