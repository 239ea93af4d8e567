"""A site with a release that the stand-in worker answers for, and batches of it."""

from __future__ import annotations

from typing import Any

from ropewalk.batches import batch as batches
from ropewalk.batches.batch import Batch
from ropewalk.batches.folder import targets_of
from ropewalk.batches.work import work
from ropewalk.releases import release
from ropewalk.site import Site


def begun(site: Site, place: dict[str, Any], target: str = "out.parquet", *, policy: str = "stop") -> Batch:
    """Begin a batch of `flights/1`, or return the newest of the same key that is not over."""
    with site.db.read() as rows:
        found = release.get(rows, "flights/1")
        known = batches.newest_of(rows, batches.key_of(place, found.id, found.bundle, target))
    if known is not None and known.state in (batches.WAITING, batches.RUNNING, batches.FAILED):
        return known
    return site.db.write(
        lambda tx: batches.begin(
            tx,
            site,
            key=batches.key_of(place, found.id, found.bundle, target),
            release=found.id,
            bundle=found.bundle,
            environment="production",
            source=place,
            target=target,
            policy=policy,
        )
    )


def score(site: Site, place: dict[str, Any], target: str = "out.parquet", *, policy: str = "stop") -> Batch:
    """Do a batch to its end."""
    return work(site, begun(site, place, target, policy=policy), policy=policy)


def lines_aside(site: Site, found: Batch) -> list[str]:
    """Return the lines of the rows that were set aside."""
    return targets_of(site, found).aside.read_text().splitlines()
