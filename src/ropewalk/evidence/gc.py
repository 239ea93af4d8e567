"""Finds the blobs that nothing needs any more, and removes them when that is said; what is young always stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from ropewalk.artifacts import upload
from ropewalk.blobs.bucket import Held
from ropewalk.errors import Invalid
from ropewalk.evidence.finding import OnProgress
from ropewalk.evidence.purge import Doomed, doomed, purge
from ropewalk.evidence.references import referenced
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

GRACE_SECONDS = 24 * 3600
GRACE_SECONDS_MIN = 3600
DELETED_SECONDS = 30 * 24 * 3600
SWEPT_SECONDS = 7 * 24 * 3600
# A batch's blobs are removed within one transaction, so that no upload names one of them meanwhile.
BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What goes, or went.

    Attributes:
        removed: whether it went; else it would.
        purged: runs and experiments that were deleted long enough ago.
        kept: those of them that stay, each with its reason.
        uploads: uploads in parts that began more than a day ago and were not finished or are long over.
        blobs: how many blobs.
        bytes: their length together.
        young: blobs that nothing needs and that are too young to go.
        needed: blobs that something needs.
    """

    removed: bool
    purged: tuple[Doomed, ...]
    kept: tuple[Doomed, ...]
    uploads: int
    blobs: int
    bytes: int
    young: int
    needed: int


def collect(
    site: Site,
    *,
    remove: bool,
    grace_seconds: int = GRACE_SECONDS,
    older_seconds: int = DELETED_SECONDS,
    on_progress: OnProgress = lambda _what, _done, _of: None,
) -> Collected:
    """Remove what nothing needs, or say what would go.

    A blob goes when no row, no ledger entry and no file of ours names it, and it was put before the grace period and
    before every pipeline and release that is running now. Uploads may go on: a blob that is put again counts as young,
    and a file becomes visible only in a transaction that sees what a removal took.

    Args:
        site: the project.
        remove: do it; else only look.
        grace_seconds: how young a blob always stays, 3,600 at least.
        older_seconds: how long ago runs and experiments must have been deleted to be removed for good.
        on_progress: told what is done and how much of it.

    Raises:
        Invalid: the grace period is too short.
        Refused: a file that names others is damaged or gone; nothing was removed.
    """
    if grace_seconds < GRACE_SECONDS_MIN or older_seconds < 0:
        raise Invalid(
            "gc-too-eager",
            "So young a blob may still be on its way to being named.",
            where="--grace",
            why=f"found {grace_seconds} seconds, wanted {GRACE_SECONDS_MIN} at least",
            fix="ropewalk gc --grace 24h",
        )
    look = _look(site, grace_seconds, older_seconds)
    going, uploads, needed = look.going, look.uploads, look.needed
    if remove:
        going = tuple(one for one in going if site.db.write(partial(_purge, site, one, look.deleted_us)))
        uploads = site.db.write(lambda tx: upload.forget_old(tx, site))
        site.blobs.tidy()
        with site.db.read() as rows:
            needed = referenced(rows, site.blobs)
    unused = [held for held in site.blobs.held() if held.digest not in needed]
    old = [held for held in unused if held.kept_us < look.before_us]
    gone = _sweep(site, old, look.before_us, on_progress) if remove else old
    size, young = sum(held.bytes for held in gone), len(unused) - len(gone)
    counts = {"uploads": uploads, "blobs": len(gone), "bytes": size, "young": young, "needed": len(needed)}
    return Collected(removed=remove, purged=going, kept=look.staying, **counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What was found before anything goes: where it is uncertain what is needed, nothing does."""

    going: tuple[Doomed, ...]
    staying: tuple[Doomed, ...]
    uploads: int
    needed: set[str]
    deleted_us: int
    before_us: int


def _look(site: Site, grace_seconds: int, older_seconds: int) -> _Look:
    now_us = site.clock.now_us()
    deleted_us, parts_us = now_us - older_seconds * 1_000_000, now_us - upload.KEPT_US
    with site.db.read() as rows:
        found = doomed(rows, deleted_us)
        going = tuple(one for one in found if not one.kept)
        folders = frozenset(one.folder for one in going if one.folder)
        return _Look(
            going=going,
            staying=tuple(one for one in found if one.kept),
            uploads=int(str(rows.value("gc.old_uploads", before_us=parts_us))),
            needed=referenced(rows, site.blobs, folders=folders, since_us=parts_us),
            deleted_us=deleted_us,
            before_us=_before(rows, now_us - grace_seconds * 1_000_000),
        )


def drop(site: Site, digests: Iterable[str]) -> int:
    """Remove those of some blobs that nothing needs and that are old, as `collect` does; return how many went.

    Raises:
        Refused: a file that names others is damaged or gone; nothing was removed.
    """
    wanted = set(digests)
    if not wanted:
        return 0
    with site.db.read() as rows:
        needed = referenced(rows, site.blobs)
        before_us = _before(rows, site.clock.now_us() - GRACE_SECONDS * 1_000_000)
    old = [
        held
        for held in site.blobs.held()
        if held.digest in wanted and held.digest not in needed and held.kept_us < before_us
    ]
    return len(_sweep(site, old, before_us, lambda _what, _done, _of: None))


def _purge(site: Site, one: Doomed, before_us: int, tx: Transaction) -> bool:
    return purge(tx, site, one, before_us)


def _before(rows: Reader, before_us: int) -> int:
    """Return the time before which a blob is old: before every run and release that is on its way, too."""
    for query in ("gc.begun", "gc.walking"):
        begun = rows.value(query)
        if begun is not None:
            before_us = min(before_us, int(str(begun)))
    return before_us


def _sweep(site: Site, old: Sequence[Held], before_us: int, on_progress: OnProgress) -> list[Held]:
    """Remove blobs batch by batch; return those that went."""
    gone: list[Held] = []
    for at in range(0, len(old), BATCH):
        on_progress("blobs", at, len(old))
        batch = old[at : at + BATCH]
        # Noted first, in a commit of its own: whoever put one of these before looks whether it is still there, even
        # when this process is killed in the middle of the next transaction.
        site.db.write(partial(_announce, site, batch))
        gone += site.db.write(partial(_remove, site, batch, before_us))
    site.db.write(
        lambda tx: tx.run("artifacts.sweep_forget", before_us=site.clock.now_us() - SWEPT_SECONDS * 1_000_000)
    )
    return gone


def _announce(site: Site, batch: Sequence[Held], tx: Transaction) -> None:
    for held in batch:
        tx.run("artifacts.sweep", digest=held.digest, at_us=site.clock.now_us())


def _remove(site: Site, batch: Sequence[Held], before_us: int, tx: Transaction) -> list[Held]:
    gone: list[Held] = []
    for held in batch:
        named = tx.value("artifacts.of_digest", digest=held.digest) is not None
        if not named and site.blobs.remove(held.digest, kept_before_us=before_us):
            tx.run("artifacts.sweep_done", digest=held.digest, at_us=site.clock.now_us())
            gone.append(held)
        else:
            tx.run("artifacts.sweep_drop", digest=held.digest)
    return gone
