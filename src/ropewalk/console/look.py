"""How curves are looked at, read from the address and written into addresses again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from ropewalk.console.plots import SMOOTH_MAX, Axis, Look

AXES: tuple[Axis, ...] = ("step", "time", "clock")
LETTERS_MAX = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which curves, and how.

    Attributes:
        look: axis, scale and smoothing.
        only: what the metrics' names contain; empty for all.
    """

    look: Look
    only: str

    @classmethod
    def read(cls, query: QueryParams) -> Wanted:
        """Return what an address asks; what cannot be understood counts as not said."""
        axis = query.get("axis", "step")
        look = Look(
            axis=axis if axis in AXES else "step",
            log=query.get("log") == "1",
            smooth=_weight(query.get("smooth", "")),
        )
        return cls(look=look, only=query.get("only", "").strip()[:LETTERS_MAX])

    @property
    def words(self) -> str:
        """The look as it stands in an address."""
        return urlencode(self.pairs)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The look as names and values, defaults left out."""
        said = (
            ("axis", "" if self.look.axis == "step" else self.look.axis),
            ("log", "1" if self.look.log else ""),
            ("smooth", f"{self.look.smooth:g}" if self.look.smooth else ""),
            ("only", self.only),
        )
        return [(name, value) for name, value in said if value]

    @property
    def shown(self) -> dict[str, object]:
        """The look as the form shows it."""
        return {"axis": self.look.axis, "log": self.look.log, "smooth": self.look.smooth, "only": self.only}


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return min(max(weight, 0.0), SMOOTH_MAX) if math.isfinite(weight) else 0.0
