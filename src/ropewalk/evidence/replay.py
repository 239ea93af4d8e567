"""A past prediction made again with the same bundle: the same bits, or a difference that is named."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.errors import Refused
from ropewalk.evidence.trace import captured
from ropewalk.releases import release
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

Score = Callable[[str, "pl.DataFrame"], "pl.DataFrame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What was answered then and what is answered now.

    Attributes:
        id: the prediction.
        release: what answered.
        bundle: its digest.
        then: outputs as captured.
        now: outputs as computed again.
        differs: names of outputs whose bits differ.
    """

    id: str
    release: str
    bundle: str
    then: Mapping[str, Any]
    now: Mapping[str, Any]
    differs: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every bit is the same."""
        return not self.differs


def replay(site: Site, prediction: str, score: Score) -> Replay:
    """Answer a captured prediction again.

    Args:
        site: the project.
        prediction: its id.
        score: takes a bundle's digest and a frame of inputs, gives the frame of outputs, from a sandboxed worker.

    Raises:
        NotFound: nobody answered under this id.
        Refused: it was answered with an error, so there is nothing to make again.
        Corrupt: the bundle is not what was recorded.
    """
    return replay_many(site, [captured(site, prediction)], score)[0]


def replay_many(site: Site, rows: list[dict[str, Any]], score: Score) -> list[Replay]:
    """Answer captured rows of one release again, in one batch.

    Args:
        site: the project.
        rows: captured rows, as `captured` gives them, all of one release.
        score: as for `replay`.

    Raises:
        Refused: a row was answered with an error.
    """
    import polars as pl

    failed = next((row for row in rows if row["status"] != "ok"), None)
    if failed is not None:
        raise Refused(
            "replay-of-error",
            "This prediction was answered with an error.",
            where=str(failed["id"]),
            why=f"status {failed['status']}: {failed['error']}",
            fix=f"ropewalk trace {failed['id']}",
        )
    with site.db.read() as reader:
        found = release.get(reader, str(rows[0]["release"]))
    inputs = sorted({name for row in rows for name in row if name.startswith("in.")})
    frame = pl.DataFrame(
        [pl.Series(name.removeprefix("in."), [row.get(name) for row in rows], strict=False) for name in inputs]
    )
    now = score(found.bundle, frame)
    return [_compare(row, found, now.row(at, named=True)) for at, row in enumerate(rows)]


def _compare(row: Mapping[str, Any], found: release.Release, now: Mapping[str, Any]) -> Replay:
    then = {name.removeprefix("out."): value for name, value in row.items() if name.startswith("out.")}
    names = sorted({*then, *now})
    differs = tuple(name for name in names if not same_bits(then.get(name), now.get(name)))
    return Replay(id=str(row["id"]), release=found.id, bundle=found.bundle, then=then, now=dict(now), differs=differs)


def same_bits(one: object, other: object) -> bool:
    """Say whether two outputs are the same to the last bit; `0.0` and `-0.0` are not."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    return type(one) is type(other) and one == other
