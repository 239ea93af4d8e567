"""What a person decides about live traffic: promote a canary at once, or roll the newest delivery back."""

from __future__ import annotations

from ropewalk.errors import Conflict
from ropewalk.refs import canonical
from ropewalk.releases import rollout, traffic
from ropewalk.releases.champion import hand_back
from ropewalk.releases.release import get
from ropewalk.releases.traffic import Traffic, endpoint_name
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction


def promote(tx: Transaction, site: Site, release: str, *, reason: str = "promoted by hand") -> Traffic:
    """Give all traffic to a release that is on its way as a canary, without waiting for the verdict.

    Raises:
        NotFound: there is no such release.
        Conflict: it is not a canary.
        Refused: a stage has not passed, or approvals are missing.
    """
    found = get(tx, release)
    climbing = rollout.find(tx, release)
    if climbing is None or climbing.ended_us is not None:
        raise Conflict(
            "not-a-canary",
            "Only a canary can be promoted.",
            where=f"release {release}",
            why=f"it is {found.state}",
            fix="ropewalk ship",
        )
    rollout.finish(tx, site, climbing, evidence=_by_hand(tx, site, climbing.endpoint, "promote", reason), reason=reason)
    return _current(tx, endpoint_name(found.name, found.environment))


def rollback(tx: Transaction, site: Site, endpoint: str, *, reason: str = "rolled back by hand") -> Traffic:
    """Undo the newest delivery in one transaction: a canary falls; without one, the champion yields to the one before.

    Configuration comes with the release; SQL that has to go back is marked, and `sqlmigrate.settle` runs it.

    Raises:
        Conflict: there is nothing to go back to.
    """
    for climbing in rollout.active(tx):
        if climbing.endpoint == endpoint:
            rollout.fall(tx, site, climbing, evidence=_by_hand(tx, site, endpoint, "fall_back", reason), reason=reason)
            return _current(tx, endpoint)
    return hand_back(tx, site, endpoint, reason=reason)


def _current(reader: Reader, endpoint: str) -> Traffic:
    now = traffic.current(reader, endpoint)
    assert now is not None, endpoint
    return now


def _by_hand(reader: Reader, site: Site, endpoint: str, decision: str, reason: str) -> str:
    """Keep what the person saw when he decided; return its digest."""
    now = traffic.current(reader, endpoint)
    seen = 0 if now is None else now.generation
    return site.blobs.put(
        canonical({"by": site.actor, "decision": decision, "endpoint": endpoint, "reason": reason, "generation": seen})
    )
