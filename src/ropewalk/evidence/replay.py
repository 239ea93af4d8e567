"""A past prediction made again with the same bundle: the same bits, or a difference that is named."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.batches import batch as batches
from ropewalk.endpoints.unreleased import is_unreleased
from ropewalk.errors import Refused
from ropewalk.evidence.trace import captured
from ropewalk.models.manifest import read_manifest
from ropewalk.releases import release
from ropewalk.releases.bundle import read_bundle
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
        Refused: it was answered with an error, so there is nothing to make again; or a batch made it.
        Corrupt: the bundle is not what was recorded.
    """
    with site.db.read() as rows:
        made = batches.of_prediction(rows, prediction)
    if made is not None:
        raise Refused(
            "replay-of-batch",
            "A batch made this prediction; its rows are scored again together.",
            where=made[0].subject,
            why=f"row {made[1] + 1:,} of {made[0].rows:,}",
            fix="ropewalk batch FILE --into AGAIN.parquet --release RELEASE",
        )
    return replay_many(site, [captured(site, prediction)], score)[0]


def replay_many(site: Site, rows: list[dict[str, Any]], score: Score) -> list[Replay]:
    """Answer captured rows again, in one batch for each release; return what came out in the order of the rows.

    Args:
        site: the project.
        rows: captured rows, as `captured` gives them.
        score: as for `replay`.

    Raises:
        Refused: a row was answered with an error; nothing was asked.
        Corrupt: a bundle is not what was recorded.
    """
    failed = next((row for row in rows if row["status"] != "ok"), None)
    if failed is not None:
        raise Refused(
            "replay-of-error",
            "This prediction was answered with an error.",
            where=str(failed["id"]),
            why=f"status {failed['status']}: {failed['error']}",
            fix=f"ropewalk trace {failed['id']}",
        )
    early = next((row for row in rows if is_unreleased(str(row["release"]))), None)
    if early is not None:
        raise Refused(
            "replay-unreleased",
            "There is no bundle that this prediction could be made again with.",
            where=str(early["id"]),
            why=f"{early['release']} answered before it was released",
            fix=f"ropewalk trace {early['id']}",
        )
    by_release: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_release[str(row["release"])].append(row)
    found: dict[str, Replay] = {}
    for name, batch in by_release.items():
        with site.db.read() as reader:
            answered_by = release.get(reader, name)
        now = score(answered_by.bundle, _inputs(site, answered_by.bundle, batch))
        for at, row in enumerate(batch):
            found[str(row["id"])] = _compare(row, answered_by, now.row(at, named=True))
    return [found[str(row["id"])] for row in rows]


def _inputs(site: Site, bundle: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return the columns of the bundle's model; a value that was not given is null, as it was then."""
    import polars as pl

    fields = read_manifest(site.blobs, read_bundle(site.blobs, bundle).manifest).signature.inputs
    return pl.DataFrame(
        [pl.Series(field.name, [row.get(f"in.{field.name}") for row in rows], strict=False) for field in fields]
    )


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
