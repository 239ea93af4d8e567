"""Traces are deleted for good, with their spans and what was thought of them; the ledger says which."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.errors import Invalid
from ropewalk.refs import PREFIX, canonical, digest_of
from ropewalk.runs.experiments import parse_id
from ropewalk.site import Site
from ropewalk.store.database import Transaction
from ropewalk.traces import compile as composing

WHENEVER = (1 << 63) - 1
NAMED_MAX = 100
IDS_MAX = 10_000


def delete(
    tx: Transaction,
    site: Site,
    experiment: str,
    *,
    ids: Sequence[str] = (),
    max_ms: int | None = None,
    count: int | None = None,
) -> int:
    """Delete traces of an experiment, the oldest first; return how many were there.

    Args:
        tx: the caller's transaction.
        site: the project.
        experiment: id of the experiment.
        ids: these traces; empty for all that fit the rest.
        max_ms: only those that began no later, milliseconds since the epoch.
        count: at most so many.

    Raises:
        Invalid: nothing says which, both ways do, or there are too many ids.
    """
    number = parse_id(experiment)
    _check(ids, max_ms, count)
    latest = WHENEVER if max_ms is None else max(-1, min(max_ms, WHENEVER))
    most = WHENEVER if count is None else min(count, WHENEVER)
    doomed = composing.delete(tx, number, latest, ids=list(dict.fromkeys(ids)), count=most)
    if not doomed:
        return 0
    # Without its prefix: this is no digest of bytes that are kept.
    all_ids = digest_of(canonical(sorted(doomed))).removeprefix(PREFIX)
    body = {"count": len(doomed), "ids": doomed[:NAMED_MAX], "all_ids": all_ids}
    site.record(tx, "traces.deleted", f"experiment:{number}", body)
    return len(doomed)


def _check(ids: Sequence[str], max_ms: int | None, count: int | None) -> None:
    wrong = ""
    if not ids and max_ms is None:
        wrong = "say which: their ids, or how old they are"
    elif ids and (max_ms is not None or count is not None):
        wrong = "say their ids or how old they are, not both"
    elif count is not None and count < 1:
        wrong = "at least one trace is deleted"
    elif len(ids) > IDS_MAX:
        wrong = f"at most {IDS_MAX} ids in one request"
    if wrong:
        raise Invalid(
            "trace-invalid",
            "This does not say which traces to delete.",
            where="delete-traces",
            why=wrong,
            fix='{"experiment_id": "0", "request_ids": ["tr-..."]} or {"max_timestamp_millis": ..., "max_traces": 100}',
        )
