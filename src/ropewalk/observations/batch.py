"""What is told of predictions later, in batches: what of a batch is new, and the one ledger entry of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ropewalk.refs import canonical, digest_of
from ropewalk.site import Site
from ropewalk.store.database import Transaction

T = TypeVar("T")
# A value, and when it was known; a row of the store, endpoint first.
Known = tuple[object, int]
Told = tuple[Any, ...]
BATCH_MAX = 100_000
FOREVER_US = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of a batch.

    Attributes:
        new: what was told of predictions of which nothing of this was known.
        revised: what replaces another value that was known before.
        repeated: what is known, or has been replaced since; it changes nothing.
        batch: the ledger entry of the batch; 0 when nothing changed.
    """

    new: int
    revised: int
    repeated: int
    batch: int


def sift(
    told: Iterable[T],
    place: Callable[[T], Hashable],
    stands: Callable[[T], Known],
    last: Callable[[T], Known | None],
) -> tuple[list[T], int, int]:
    """Return what of a batch changes something, and of how many places that is the first word, and of how many another.

    A later time wins; of two with the same one the last told wins.

    Args:
        told: the batch, in its order.
        place: whom it is told of.
        stands: value and time that are told, in microseconds since the epoch.
        last: value and time that are known of its place before the batch; None for nothing.
    """
    kept: dict[Hashable, T] = {}
    new = revised = 0
    for one in told:
        where, (value, at_us) = place(one), stands(one)
        before = kept.get(where)
        known = last(one) if before is None else stands(before)
        if known is not None and (known[0] == value or known[1] > at_us):
            continue
        if before is None:
            new, revised = (new + 1, revised) if known is None else (new, revised + 1)
        kept[where] = one
    return list(kept.values()), new, revised


def seal(tx: Transaction, site: Site, kind: str, endpoint: str, *, rows: Sequence[Told], done: Added) -> Added:
    """Write the ledger entry of a batch, with the digest of what changed; return what became of it with its number.

    Args:
        tx: the transaction.
        site: the project.
        kind: of the entry.
        endpoint: of whose predictions was told.
        rows: what changed.
        done: what became of the batch.
    """
    body = {"new": done.new, "revised": done.revised, "repeated": done.repeated, "digest": batch_digest(rows)}
    return replace(done, batch=site.record(tx, kind, f"endpoint:{endpoint}", body).seq)


def batch_digest(rows: Iterable[Told]) -> str:
    """Return the digest that the ledger holds of a batch's rows, endpoint first, as `labels` or `reports` have them."""
    return digest_of(canonical(sorted(list(row) for row in rows)))
