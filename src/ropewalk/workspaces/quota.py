"""How much a workspace may hold and ask; 0 is no limit."""

from __future__ import annotations

import re

from ropewalk.errors import Invalid
from ropewalk.records import frozen, values_of

LIMIT_MAX = 1 << 62
_SIZE = re.compile(r"(\d{1,19})\s*(|B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_UNITS = {
    "": 1,
    "B": 1,
    **{f"{letter}B": 1000**step for step, letter in enumerate("KMGT", 1)},
    **{f"{letter}iB": 1024**step for step, letter in enumerate("KMGT", 1)},
}


@frozen
class Quota:
    """The limits of a workspace.

    Attributes:
        bytes_max: of artifacts that are named, of traces and of captured predictions.
        runs_max: runs that are not deleted.
        points_max: points of metrics.
        requests_max: requests a minute; a minute's worth may come at once.
        tokens_max: tokens given for this workspace alone that are still worth something.
    """

    bytes_max: int = 0
    runs_max: int = 0
    points_max: int = 0
    requests_max: int = 0
    tokens_max: int = 0

    def __post_init__(self) -> None:
        for name, value in values_of(self).items():
            if not 0 <= value <= LIMIT_MAX:
                raise Invalid(
                    "quota-invalid",
                    "This cannot be a quota.",
                    where=name,
                    why=f"a quota is a whole number from 0 (none) to {LIMIT_MAX}, found {value}",
                    fix="ropewalk workspace quota team-a --runs 1000",
                )

    @property
    def counts(self) -> bool:
        """Whether anything that is held is limited."""
        return bool(self.bytes_max or self.runs_max or self.points_max)


def bytes_of(text: str) -> int:
    """Return a number of bytes as people write it: `500`, `10GB`, `2 GiB`.

    Raises:
        Invalid: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise Invalid(
            "quota-invalid",
            "This cannot be a quota.",
            where=text[:80],
            why="bytes are a whole number with B, KB, MB, GB, TB, KiB, MiB, GiB or TiB behind it, or nothing",
            fix="ropewalk workspace quota team-a --bytes 10GB",
        )
    return int(found[1]) * _UNITS[found[2]]
