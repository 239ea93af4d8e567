"""The folder that one project works in, with the floor that every room stands on."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.clock import Clock
from ropewalk.ledger import chain
from ropewalk.ledger.sign import Signer
from ropewalk.records import frozen
from ropewalk.refs import canonical
from ropewalk.store.database import Database, Transaction

HIDDEN = ".ropewalk"


@frozen
class Site:
    """A project's folder and floor; made by the house alone, handed down as a parameter.

    Attributes:
        root: the user's project folder; everything of ours lies in `.ropewalk` below it.
        db: rows.
        blobs: bytes by digest.
        clock: the time.
        signer: the project's key.
        actor: who works here now.
    """

    root: Path
    db: Database
    blobs: Bucket
    clock: Clock
    signer: Signer
    actor: str

    @property
    def hidden(self) -> Path:
        """The folder with everything of ours."""
        return self.root / HIDDEN

    def record(self, tx: Transaction, kind: str, subject: str, body: object) -> chain.Entry:
        """Write a fact into the ledger, in the transaction of the change."""
        return chain.append(
            tx, self.signer, at_us=self.clock.now_us(), actor=self.actor, kind=kind, subject=subject, body=body
        )

    def announce(self, tx: Transaction, kind: str, subject: str, body: object) -> None:
        """Write an event that a loop waits for, in the transaction of the change."""
        tx.run(
            "events.insert",
            at_us=self.clock.now_us(),
            kind=kind,
            subject=subject,
            body=canonical(body).decode(),
        )


def who(root: Path) -> str:
    """Return who works here, never asking: `ROPEWALK_ACTOR`, git's e-mail, the user's name, the uid."""
    given = os.environ.get("ROPEWALK_ACTOR", "")
    if given:
        return given
    try:
        found = subprocess.run(
            ["git", "config", "user.email"],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=2,
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        found = ""
    if found:
        return found
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid:{os.getuid()}"
