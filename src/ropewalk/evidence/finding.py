"""One thing that does not hold, and how what was kept is asked to say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not hold.

    Attributes:
        what: the entry, blob, bundle, segment or row.
        why: what is wrong with it.
    """

    what: str
    why: str
