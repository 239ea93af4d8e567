"""Starts that are long over are forgotten; what they were stays in the ledger, which says that their rows are gone."""

from __future__ import annotations

from ropewalk.site import Site
from ropewalk.store.database import Transaction

PRUNED = "schedules.pruned"
DAY_US = 86_400_000_000
# So many go in one transaction; what is left goes with the next.
STARTS_MAX = 1_000


def prune(tx: Transaction, site: Site, keep_days: int) -> int:
    """Forget starts that were due, and have ended, so many days ago; return how many rows went.

    An interval of a backfill stays as long as its backfill, which goes when it ended so long ago: until then the same
    command goes on with it. Runs stay; they are evidence.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        keep_days: for how many days they are kept.
    """
    before_us = site.clock.now_us() - keep_days * DAY_US
    starts = [str(row["id"]) for row in tx.rows("schedules.fires_old", before_us=before_us, count=STARTS_MAX)]
    backfills = [str(row["id"]) for row in tx.rows("schedules.backfills_old", before_us=before_us)]
    if not starts and not backfills:
        return 0
    tx.many("schedules.fire_forget", [{"id": name} for name in starts])
    tx.many("schedules.backfill_forget", [{"id": name} for name in backfills])
    body = {"starts": starts, "backfills": backfills, "keep_days": keep_days}
    site.record(tx, PRUNED, "schedules:all", body)
    return len(starts) + len(backfills)
