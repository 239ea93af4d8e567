"""What the ledger keeps of a run's log: a digest over parameters, newest metrics and counts of points."""

from __future__ import annotations

from ropewalk.refs import PREFIX, canonical, digest_of
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

QUIET_US = 10_000_000
AT_ONCE = 50


def logged(reader: Reader, number: int) -> str:
    """Return a digest of what a run has logged, as 64 hex digits.

    Who edits a parameter or a metric afterwards, or takes points away, changes it. Tags do not count: people write
    notes on runs long after their end.

    Args:
        reader: where the rows are.
        number: the run's.
    """
    params = [[row["key"], row["node"], row["value"]] for row in reader.rows("runs.record_params", run=number)]
    latest = [
        [row["key"], row["node"], row["step"], row["at_ms"], float(str(row["value"])).hex(), row["is_nan"]]
        for row in reader.rows("runs.record_latest", run=number)
    ]
    counts = [[row["key"], row["node"], row["points"]] for row in reader.rows("runs.record_counts", run=number)]
    return digest_of(canonical([params, latest, counts])).removeprefix(PREFIX)


def note_late(tx: Transaction, site: Site) -> int:
    """Note anew what was logged after a run's end, some seconds after it began; return for how many runs.

    MLflow lets clients log to a run that is over. The first such call tells the ledger that the digest holds no more;
    from then on it would cost too much to tell each one.
    """
    before_us = site.clock.now_us() - QUIET_US
    late = tx.rows("runs.reopened", before_us=before_us, count=AT_ONCE)
    for row in late:
        number = int(str(row["number"]))
        tx.run("runs.noted", number=number)
        site.record(tx, "run.noted", f"run:{row['id']}", {"logged": logged(tx, number)})
    return len(late)
