"""A process whose forked children look at a canary once, each killing itself before or after a statement of its choice.

Reads lines `FOLDER MICROSECONDS STEP` (0: do not kill) and prints the child's exit status and, unless it was killed,
what stands at each of its steps: names of statements, `put` of a blob, `commit`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.loops.climb import Climb
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock


class Steps:
    """Counts the places before and after everything that is written, and ends the process at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.names: list[str] = []

    def step(self, name: str) -> None:
        """Count one, and die if it is the one."""
        self.names.append(name)
        if len(self.names) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any], name: str = "") -> Callable[..., Any]:
        """Return the function with a step before it and one after it; without a name its first argument is the name."""

        def stepped(*values: Any, **named: Any) -> Any:
            told = name or str(values[0])
            self.step(told)
            found = work(*values, **named)
            self.step(told)
            return found

        return stepped


class Around:
    """Something of whose methods some are changed."""

    def __init__(self, inner: Any, **changed: Callable[..., Any]) -> None:
        self._inner, self._changed = inner, changed

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name) or getattr(self._inner, name)


def open_site(root: Path, at_us: int) -> Site:
    """Open the project that lies in a folder, at a time."""
    hidden, clock = root / HIDDEN, SetClock(at_us)
    return Site(
        root=root,
        db=SqliteDatabase(hidden / "ropewalk.db", clock),
        blobs=FolderBucket(hidden / "blobs"),
        clock=clock,
        signer=Signer.create(hidden / "keys"),
        actor="climber",
    )


def look(root: Path, at_us: int, at: int) -> list[str]:
    """Look at every canary once with steps around what is written; return what stood at each step."""
    site, steps = open_site(root, at_us), Steps(at)

    def write(work: Callable[[Any], Any], **named: Any) -> Any:
        def inside(tx: Any) -> Any:
            return work(Around(tx, run=steps.around(tx.run), many=steps.around(tx.many), pour=steps.around(tx.pour)))

        return steps.around(site.db.write, "commit")(inside, **named)

    stepped = Site(
        root=site.root,
        db=Around(site.db, write=write),
        blobs=Around(site.blobs, put=steps.around(site.blobs.put, "put")),
        clock=site.clock,
        signer=site.signer,
        actor=site.actor,
    )
    Climb(stepped).turn()
    site.db.close()
    return steps.names


def main() -> None:
    """Fork one child per line; the imports are paid once."""
    for line in sys.stdin:
        folder, at_us, at = line.rsplit(" ", 2)
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.close(ours)
            os.write(theirs, " ".join(look(Path(folder), int(at_us), int(at))).encode())
            os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as said:
            names = said.read()
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), names, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
