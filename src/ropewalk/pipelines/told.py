"""What people are told of a function: its digest, with constants and names that tell it from an older one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ropewalk.refs import short

if TYPE_CHECKING:  # who looks outcomes up reads no code
    from ropewalk.pipelines.bytecode import Scan

LETTERS_MAX = 400
# Begins the name of a part that says what the fingerprint does not see; it is a note and no difference.
NOT_SEEN = "not seen: "
_TOLD = re.compile(r"([0-9a-f]{12})(?: (\[.*\]))?", re.DOTALL)


def told(token: str, found: Scan) -> str:
    """Return a function's part: the beginning of its digest, then its constants and names where they are few."""
    names = sorted(".".join(chain) for chain in found.chains)
    more = json.dumps([list(found.consts), names], ensure_ascii=False)
    return f"{short(token)} {more}" if len(more) <= LETTERS_MAX and (found.consts or names) else short(token)


def notes_of(parts: Iterable[str]) -> tuple[str, ...]:
    """Return, in sentences, what the fingerprint cannot see of a code, by the names of its parts."""
    return tuple(name for name in parts if name.startswith(NOT_SEEN))


def differing(before: str, after: str) -> tuple[str, str] | None:
    """Return what only the older and what only the newer one of two parts of a function holds.

    None where they are not of functions; two empty texts where they differ in nothing that has a name.
    """
    older, newer = _TOLD.fullmatch(before), _TOLD.fullmatch(after)
    if older is None or newer is None:
        return None
    if not (older[2] and newer[2]):
        return "", ""
    gone: list[str] = []
    come: list[str] = []
    for earlier, later in zip(json.loads(older[2]), json.loads(newer[2]), strict=True):
        gone += [item for item in earlier if item not in later]
        come += [item for item in later if item not in earlier]
    return ", ".join(gone), ", ".join(come)
