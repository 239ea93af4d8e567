"""The head written down: where the chain had got to, so that a tail cut off later is noticed."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from ropewalk.errors import Corrupt
from ropewalk.ledger.sign import Checker, Signer, seal, unseal
from ropewalk.store.database import Database

FILE = "ledger.head"
KIND = "application/vnd.ropewalk.head+json"


def write_head(db: Database, signer: Signer, folder: Path) -> None:
    """Write the newest entry's number and hash, signed, beside the database; copy it elsewhere to be surer."""
    with db.read() as rows:
        last = rows.row("ledger.last")
    if last is None:
        return
    path = folder / FILE
    known = _number(path)
    if known is not None and known >= int(str(last["seq"])):
        return
    incoming = folder / f"{FILE}.{os.getpid()}"
    with incoming.open("wb") as file:
        file.write(seal(signer, KIND, {"seq": last["seq"], "hash": last["hash"]}))
        file.flush()
        os.fsync(file.fileno())
    incoming.replace(path)


def _number(path: Path) -> int | None:
    """Return what the file claims, unchecked: only to save writing it again."""
    try:
        return int(json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))["seq"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def read_head(folder: Path, checker: Checker) -> tuple[int, str] | None:
    """Return number and hash of the head that was written down, or None when there is no such file.

    Raises:
        Corrupt: the file was changed after it was signed.
    """
    path = folder / FILE
    if not path.exists():
        return None
    kind, head = unseal(checker, path.read_bytes())
    if kind != KIND:
        raise Corrupt("head-malformed", "The ledger's head is something else.", where=FILE, why=f"it is a {kind}")
    return int(head["seq"]), str(head["hash"])
