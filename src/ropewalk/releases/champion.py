"""The champion of an endpoint: how a release becomes it and how it hands back to the one before."""

from __future__ import annotations

from ropewalk.errors import Conflict
from ropewalk.releases import approval, outcome, traffic, tree
from ropewalk.releases.release import LIVE, RETIRED, ROLLED_BACK, Release, find, get, move, owe_schema
from ropewalk.releases.traffic import Traffic, endpoint_name
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction


def crown(tx: Transaction, site: Site, release: Release, *, evidence: str, reason: str) -> Traffic:
    """Give a release all traffic; the champion before stays warm for a rollback. One transaction.

    Args:
        tx: the transaction.
        site: the project.
        release: in state `walking` (first of its endpoint) or `canary`.
        evidence: digest of why it may.
        reason: the same in one line.

    Raises:
        Refused: a stage has not passed, or approvals are missing.
    """
    tree.admit(tx, site, release)
    approval.require(tx, site, release)
    endpoint = endpoint_name(release.name, release.environment)
    now = traffic.current(tx, endpoint)
    before = "" if now is None else now.champion
    if before and before != release.id:
        move(tx, site, get(tx, before), RETIRED)
    live = move(tx, site, release, LIVE)
    changed = traffic.change(
        tx,
        site,
        endpoint,
        seen=0 if now is None else now.generation,
        champion=release.id,
        previous=before,
        reason=reason,
    )
    outcome.store_outcome(
        tx,
        site,
        live,
        stage="live",
        state=outcome.PASSED,
        summary=f"all traffic of {endpoint}" + (f", {before} stays warm" if before else ""),
        evidence=evidence,
        started_us=site.clock.now_us(),
    )
    return changed


def hand_back(tx: Transaction, site: Site, endpoint: str, *, reason: str) -> Traffic:
    """Give all traffic back to the release before; one transaction. SQL that has to go back is marked so.

    Raises:
        Conflict: there is no release before.
    """
    now = traffic.current(tx, endpoint)
    before = None if now is None else _before(tx, now)
    if now is None or before is None:
        raise Conflict(
            "nothing-to-roll-back",
            "There is no release to go back to.",
            where=f"endpoint {endpoint}",
            why="nothing is live" if now is None else f"{now.champion} is the first that is still good",
            fix="ropewalk status",
        )
    fallen = get(tx, now.champion)
    move(tx, site, fallen, ROLLED_BACK, error=reason)
    owe_schema(tx, fallen)
    back = move(tx, site, before, LIVE)
    older = _before(tx, now, than=back.number)
    return traffic.change(
        tx,
        site,
        endpoint,
        seen=now.generation,
        champion=back.id,
        previous="" if older is None else older.id,
        reason=reason,
    )


def _before(reader: Reader, now: Traffic, than: int | None = None) -> Release | None:
    """Return the newest earlier champion that was retired in good standing, older than a number if one is given."""
    for generation in traffic.history(reader, now.endpoint, 1000):
        found = find(reader, generation.champion)
        if found is None or found.id == now.champion or found.state != RETIRED:
            continue
        if than is None or found.number < than:
            return found
    return None
