"""The head written down: where the chain had got to, so that a tail cut off later is noticed."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from ropewalk.errors import Corrupt
from ropewalk.ledger.sign import Checker, Signer, seal, unseal
from ropewalk.refs import canonical
from ropewalk.store.database import Database

FILE = "ledger.head"
KIND = "application/vnd.ropewalk.head+json"


def write_head(db: Database, signer: Signer, folder: Path) -> None:
    """Write the newest entry's number and hash, signed, beside the database; copy it elsewhere to be surer.

    A head that somebody has changed, or that the chain no longer reaches, is left for `ropewalk verify` to name.
    """
    try:
        with db.read() as rows:
            last = rows.row("ledger.last")
    except Corrupt:  # a damaged database is `ropewalk verify`'s to name; leaving must not hide what it says
        return
    if last is None:
        return
    path = folder / FILE
    known = _number(path)
    if known is not None and (known >= int(str(last["seq"])) or not _holds(path, signer)):
        return
    incoming = folder / f"{FILE}.{os.getpid()}"
    with incoming.open("wb") as file:
        file.write(seal(signer, KIND, {"seq": last["seq"], "hash": last["hash"]}))
        file.flush()
        os.fsync(file.fileno())
    incoming.replace(path)


def _number(path: Path) -> int | None:
    """Return what the file claims, unchecked, -1 when it is no head, None when it is not there."""
    try:
        return int(json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))["seq"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return -1


def _holds(path: Path, signer: Signer) -> bool:
    """Say whether the file is as it was signed; asked only when it is about to be written anew."""
    try:
        read_head(path.parent, Checker(signer.public))
    except Corrupt:
        return False
    return True


def read_head(folder: Path, checker: Checker) -> tuple[int, str] | None:
    """Return number and hash of the head that was written down, or None when there is no such file.

    Raises:
        Corrupt: the file was changed after it was signed.
    """
    path = folder / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    kind, head = unseal(checker, data)
    try:
        if kind == KIND and data == canonical(json.loads(data)):
            return int(head["seq"]), str(head["hash"])
        why = f"it is a {kind}" if kind != KIND else "its spelling was changed"
    except (KeyError, TypeError, ValueError) as error:
        why = f"it has no {error}"
    raise Corrupt(
        "head-malformed",
        "The ledger's head is something else.",
        where=FILE,
        why=why,
        fix=f"find out who changed it, then: rm .ropewalk/{FILE}",
    )
