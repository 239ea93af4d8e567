"""A file that comes in parts: begun, its parts put in any order, then put together or given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ropewalk.artifacts import artifact
from ropewalk.artifacts.artifact import Artifact
from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

PARTS_MAX = 10_000
KEPT_US = 24 * 3600 * 1_000_000
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that comes in parts.

    Attributes:
        id: by which its parts are put.
        path: where it will lie.
        parts: how many there are, numbered from 1.
        digest: of the whole, once it was put together; empty before.
        at_us: when it was begun.
    """

    id: str
    path: str
    parts: int
    digest: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part that has come.

    Attributes:
        part: its number, from 1.
        digest: of its bytes, which lie in the bucket.
        bytes: its length.
    """

    part: int
    digest: str
    bytes: int


def begin(tx: Transaction, site: Site, path: str, parts: int) -> Upload:
    """Begin a file.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        path: a path that was checked.
        parts: how many will come.

    Raises:
        Invalid: the number of parts is none.
        Conflict: no file can lie at the path.
    """
    if not 0 < parts <= PARTS_MAX:
        raise Invalid(
            "upload-parts-invalid",
            "A file cannot come in so many parts.",
            where="num_parts",
            why=f"found {parts}, wanted 1 to {PARTS_MAX}",
            fix="send larger parts",
        )
    artifact.require_place(tx, path)
    made = Upload(
        id=uuid7(site.clock.now_us()).replace("-", ""), path=path, parts=parts, digest="", at_us=site.clock.now_us()
    )
    tx.run("artifacts.upload_insert", id=made.id, path=path, parts=parts, at_us=made.at_us)
    return made


def get(reader: Reader, upload_id: str) -> Upload:
    """Return a file that comes in parts.

    Raises:
        NotFound: there is none of that id, or it was given up.
    """
    found = reader.get(Upload, "artifacts.upload", id=upload_id)
    if found is None:
        raise NotFound(
            "upload-not-found",
            "There is no such upload.",
            where=upload_id[:80],
            why="it was given up, or a day has passed",
            fix="begin again",
        )
    return found


def open_for(reader: Reader, upload_id: str, number: int) -> Upload:
    """Return a file that still takes a part of this number.

    Raises:
        NotFound: there is none of that id, or it was given up.
        Invalid: it has no such part.
        Conflict: it was put together already.
    """
    found = get(reader, upload_id)
    if not 0 < number <= found.parts:
        raise Invalid(
            "upload-part-unknown",
            "The upload has no such part.",
            where=found.path[:200],
            why=f"found part {number}, it has 1 to {found.parts}",
        )
    if found.digest:
        raise Conflict("upload-over", "The upload is over.", where=found.path[:200], fix="begin again")
    return found


def put_part(  # noqa: PLR0917 - a part is what it is
    tx: Transaction, site: Site, upload_id: str, number: int, digest: str, count: int, *, begun_us: int
) -> None:
    """Note a part whose bytes are in the bucket; one of the same number is replaced.

    Raises:
        NotFound: the upload was given up meanwhile.
        Conflict: it was put together meanwhile.
        Unavailable: the bytes were removed since the caller put them; put them again.
    """
    open_for(tx, upload_id, number)
    artifact.require_kept(tx, site, digest, begun_us)
    tx.run("artifacts.part_put", upload=upload_id, part=number, digest=digest, bytes=count)


def parts(reader: Reader, upload: Upload) -> tuple[Part, ...]:
    """Return the parts that have come through this server's door, in order."""
    return tuple(reader.all(Part, "artifacts.parts", upload=upload.id))


def require_all(upload: Upload, have: Mapping[int, str], told: Mapping[int, str]) -> None:
    """Pass only where all parts have come and are those that the client means.

    Args:
        upload: the file.
        have: what the parts that have come are called, by number: their digest, or the tag that an object store gave.
        told: what the client was given for its parts, by number.

    Raises:
        Invalid: a part is missing, or is another one.
    """
    numbers = range(1, upload.parts + 1)
    wrong = [number for number in numbers if number not in have or told.get(number) != have[number]]
    if wrong or len(told) != upload.parts:
        first = f"part {wrong[0]} " if wrong else ""
        raise Invalid(
            "upload-incomplete",
            "The parts of the upload are not those that were named.",
            where=upload.path[:200],
            why=f"{first}{'is another one' if wrong and wrong[0] in have else 'has not come'}"
            if wrong
            else f"found {len(told)} parts, it has {upload.parts}",
            fix="send what is missing, then complete it again",
        )


def complete(  # noqa: PLR0917 - a file is what it is
    tx: Transaction, site: Site, upload: Upload, digest: str, count: int, media: str, *, begun_us: int
) -> Artifact:
    """Make the whole visible; its parts are no longer named. The same again changes nothing.

    Raises:
        NotFound: the upload was given up meanwhile.
        Conflict: no file can lie at the path any more.
        Unavailable: the bytes were removed since the caller put them; put them again.
    """
    now = get(tx, upload.id)
    if now.digest:
        known = artifact.find(tx, now.path)
        if known is not None and known.digest == now.digest:
            return known
    made = artifact.put(tx, site, upload.path, digest, count, media, begun_us=begun_us)
    tx.run("artifacts.upload_done", id=upload.id, digest=digest)
    tx.run("artifacts.parts_drop", upload=upload.id)
    return made


def give_up(tx: Transaction, upload_id: str) -> bool:
    """Forget an upload and its parts; one that is over stays. Say whether there was one to forget."""
    found = tx.get(Upload, "artifacts.upload", id=upload_id)
    if found is None or found.digest:
        return False
    _drop(tx, upload_id)
    return True


def old_parts(reader: Reader, site: Site) -> tuple[tuple[str, ...], bool]:
    """Return the digests of the parts that `forget_old` would drop, and whether it would forget any upload."""
    before_us = site.clock.now_us() - KEPT_US
    rows = reader.rows("artifacts.parts_before", before_us=before_us)
    any_old = reader.rows("artifacts.uploads_before", before_us=before_us, count=1)
    return tuple(str(row["digest"]) for row in rows), bool(any_old)


def forget_old(tx: Transaction, site: Site) -> int:
    """Forget every upload that began more than a day ago; return how many there were."""
    before_us = site.clock.now_us() - KEPT_US
    gone = 0
    while old := tx.all(Upload, "artifacts.uploads_before", before_us=before_us, count=_BATCH):
        for one in old:
            _drop(tx, one.id)
        gone += len(old)
    return gone


def _drop(tx: Transaction, upload_id: str) -> None:
    tx.run("artifacts.parts_drop", upload=upload_id)
    tx.run("artifacts.upload_drop", id=upload_id)
