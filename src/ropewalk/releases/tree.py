"""The dev tree and the release tree: the same bundle digest moves, nothing is ever copied or rebuilt."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.errors import Refused
from ropewalk.releases.outcome import STAGES, last_outcome
from ropewalk.releases.release import Release
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

DEV, RELEASE = "dev", "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A bundle in a tree.

    Attributes:
        tree: `dev` or `release`.
        release: the release that brought it.
        bundle: its digest.
        actor: who put it there.
        at_us: when, microseconds since the epoch.
    """

    tree: str
    release: str
    bundle: str
    actor: str
    at_us: int


def leaves(reader: Reader, tree: str) -> list[Leaf]:
    """Return what stands in a tree, newest first."""
    return reader.all(Leaf, "releases.tree", tree=tree)


def leaf(reader: Reader, tree: str, release: str) -> Leaf | None:
    """Return the bundle of a release in a tree, or None."""
    return reader.get(Leaf, "releases.tree_row", tree=tree, release=release)


def plant(tx: Transaction, site: Site, release: Release) -> None:
    """Put a built bundle into the dev tree."""
    _put(tx, site, DEV, release)


def admit(tx: Transaction, site: Site, release: Release) -> None:
    """Move a bundle from the dev tree to the release tree, once every stage before the canary holds.

    Raises:
        Refused: it was never built, or a stage before the canary has not passed.
    """
    planted = leaf(tx, DEV, release.id)
    if planted is None or planted.bundle != release.bundle:
        raise Refused(
            "bundle-not-in-dev",
            "This bundle does not stand in the dev tree.",
            where=f"release {release.id}",
            why="a bundle reaches the release tree only from the dev tree, by the same digest",
            fix="ropewalk ship",
        )
    for stage in STAGES[: STAGES.index("canary")]:
        outcome = last_outcome(tx, release.id, stage)
        if outcome is None or not outcome.holds:
            raise Refused(
                "stage-not-passed",
                f"The stage {stage} has not passed.",
                where=f"release {release.id}",
                why="never reached" if outcome is None else outcome.summary,
                fix="ropewalk ship",
            )
    if leaf(tx, RELEASE, release.id) is None:
        _put(tx, site, RELEASE, release)


def _put(tx: Transaction, site: Site, tree: str, release: Release) -> None:
    tx.run(
        "releases.tree_insert",
        tree=tree,
        release=release.id,
        bundle=release.bundle,
        actor=site.actor,
        at_us=site.clock.now_us(),
    )
    site.record(tx, f"tree.{tree}", release.subject, {"bundle": release.bundle})
