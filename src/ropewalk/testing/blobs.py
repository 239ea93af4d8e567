"""Conformance of a bucket: what every adapter of the blob port must do, as checks that anybody can run."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from ropewalk.blobs.bucket import Bucket
from ropewalk.blobs.folder import FolderBucket
from ropewalk.blobs.place import open_at
from ropewalk.errors import Corrupt, Invalid, NotFound, RopewalkError
from ropewalk.refs import digest_of

WAIT_SECONDS = 30.0
PIECE = b"0123456789abcdef" * (1 << 16)
YEAR_US = 365 * 86_400_000_000


class BucketUnderTest(Protocol):
    """What a check is given; can be pickled."""

    @property
    def scratch(self) -> Path:
        """A folder for the check's own files."""
        ...

    def open(self) -> Bucket:
        """Return the same, at first empty bucket at each call, in this process or in another."""
        ...

    def damage(self, digest: str) -> None:
        """Change one byte of a blob behind the bucket's back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderUnderTest:
    """A local folder of blobs.

    Attributes:
        root: the folder.
        scratch: a folder for the check's own files.
    """

    root: Path
    scratch: Path

    def open(self) -> Bucket:
        """Return the folder as a bucket."""
        return FolderBucket(self.root)

    def damage(self, digest: str) -> None:
        """Flip one bit in the middle of a blob's file."""
        path = FolderBucket(self.root).path_of(digest)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketCheck:
    """One behaviour.

    Attributes:
        name: the behaviour as a sentence.
        run: raises AssertionError when the bucket does not behave so.
    """

    name: str
    run: Callable[[BucketUnderTest], None]


def bucket_checks() -> tuple[BucketCheck, ...]:
    """Return every behaviour; each needs a fresh bucket."""
    return tuple(
        BucketCheck(name=check.__name__.removeprefix("_").replace("_", " "), run=check)
        for check in (
            _gives_back_what_was_put,
            _names_the_same_bytes_the_same_however_they_came,
            _says_what_is_not_there,
            _refuses_what_is_no_digest,
            _refuses_damaged_bytes,
            _mends_a_damaged_blob_when_it_is_put_again,
            _lists_what_is_there_in_order,
            _forgets_what_is_removed,
            _takes_the_same_bytes_from_many_threads,
            _shows_nothing_of_a_stream_that_failed,
            _shows_nothing_of_a_put_that_was_killed,
            _takes_pieces_and_shows_them_when_they_are_committed,
            _gives_back_parts_of_a_blob,
            _holds_the_last_piece_of_a_damaged_blob_back,
            _forgets_by_age_only_what_nobody_kept_since,
            _tells_the_length_and_age_of_what_is_there,
            _is_opened_by_its_address_and_lies_nearby_where_it_is_asked_for,
        )
    )


def _raises(kind: type[RopewalkError], code: str, work: Callable[[], object]) -> None:
    try:
        work()
    except kind as error:
        found = error.code
    else:
        found = "nothing"
    assert found == code, f"{code} was to be raised, found {found}"


def _gives_back_what_was_put(under: BucketUnderTest) -> None:
    for data in (b"", b"a", PIECE * 3 + b"tail"):
        digest = under.open().put(data)
        again = under.open()
        assert digest == digest_of(data)
        assert again.get(digest) == data
        assert again.fetch(digest).read_bytes() == data
        assert again.size(digest) == len(data)
        assert again.has(digest)


def _names_the_same_bytes_the_same_however_they_came(under: BucketUnderTest) -> None:
    bucket = under.open()
    file = under.scratch / "file"
    file.write_bytes(PIECE * 2)
    digests = {bucket.put(PIECE * 2), bucket.put_file(file), bucket.put_stream(io.BytesIO(PIECE * 2))}
    assert digests == {digest_of(PIECE * 2)}
    assert list(bucket.digests()) == sorted(digests)


def _says_what_is_not_there(under: BucketUnderTest) -> None:
    bucket, absent = under.open(), digest_of(b"absent")
    for work in (bucket.get, bucket.fetch, bucket.size):
        _raises(NotFound, "blob-not-found", lambda work=work: work(absent))
    assert not bucket.has(absent)
    assert not bucket.remove(absent)


def _refuses_what_is_no_digest(under: BucketUnderTest) -> None:
    bucket = under.open()
    good = bucket.put(b"x")
    for text in (
        "",
        "../../etc/passwd",
        "sha256:",
        good[:-1],
        good.upper(),
        good + "\n",
        "md5:" + good[7:],
        "sha256:.." + good[9:],
    ):
        for work in (bucket.get, bucket.fetch, bucket.size, bucket.has, bucket.remove):
            _raises(Invalid, "digest-malformed", lambda work=work, text=text: work(text))


def _refuses_damaged_bytes(under: BucketUnderTest) -> None:
    digest = under.open().put(PIECE)
    under.damage(digest)
    bucket = under.open()
    for work in (bucket.get, bucket.fetch):
        _raises(Corrupt, "blob-corrupt", lambda work=work: work(digest))


def _mends_a_damaged_blob_when_it_is_put_again(under: BucketUnderTest) -> None:
    bucket = under.open()
    digest = bucket.put(PIECE)
    under.damage(digest)
    assert bucket.put(PIECE) == digest
    assert under.open().get(digest) == PIECE


def _lists_what_is_there_in_order(under: BucketUnderTest) -> None:
    bucket = under.open()
    assert list(bucket.digests()) == []
    digests = [bucket.put(str(number).encode()) for number in range(40)]
    assert list(under.open().digests()) == sorted(digests)


def _forgets_what_is_removed(under: BucketUnderTest) -> None:
    bucket = under.open()
    digest, other = bucket.put(b"one"), bucket.put(b"other")
    assert bucket.remove(digest)
    assert not bucket.has(digest)
    assert list(bucket.digests()) == [other]


def _takes_the_same_bytes_from_many_threads(under: BucketUnderTest) -> None:
    kinds = (b"a", b"b", b"c", b"d")
    with ThreadPoolExecutor(16) as pool:
        bucket = under.open()
        digests = set(pool.map(bucket.put, [PIECE + kind for kind in kinds * 8]))
    assert sorted(digests) == list(bucket.digests())
    assert len(digests) == len(kinds)
    assert all(digest_of(bucket.get(digest)) == digest for digest in digests)


class _FailingStream(io.BytesIO):
    """Gives one piece, then fails."""

    def __init__(self) -> None:
        super().__init__(PIECE)

    def read(self, size: int | None = -1) -> bytes:
        """Return the piece, then raise."""
        data = super().read(size)
        if not data:
            raise OSError(5, "planned")
        return data


def _shows_nothing_of_a_stream_that_failed(under: BucketUnderTest) -> None:
    bucket = under.open()
    try:
        bucket.put_stream(_FailingStream())
    except (OSError, RopewalkError):
        pass
    else:
        raise AssertionError("a stream that failed was kept")
    assert list(bucket.digests()) == []


class _HangingStream(io.BytesIO):
    """Gives two pieces, says so, and then nothing for ever."""

    def __init__(self, way: Connection) -> None:
        super().__init__(PIECE * 2)
        self._way = way

    def read(self, size: int | None = -1) -> bytes:
        """Return the next piece, or hang."""
        data = super().read(size)
        if not data:
            self._way.send("in the middle")
            threading.Event().wait()
        return data


def _hanging_child(under: BucketUnderTest, way: Connection) -> None:
    under.open().put_stream(_HangingStream(way))


def _shows_nothing_of_a_put_that_was_killed(under: BucketUnderTest) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_hanging_child, args=(under, theirs))
    child.start()
    try:
        assert ours.poll(WAIT_SECONDS), "the other process never came to the middle"
    finally:
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join(WAIT_SECONDS)
    bucket = under.open()
    assert not bucket.has(digest_of(PIECE * 2))
    assert list(bucket.digests()) == []
    assert bucket.get(bucket.put(PIECE * 2)) == PIECE * 2


def _takes_pieces_and_shows_them_when_they_are_committed(under: BucketUnderTest) -> None:
    bucket = under.open()
    writer, given_up = bucket.writer(), bucket.writer()
    for piece in (PIECE, b"", memoryview(PIECE)[7:], b"tail"):
        writer.write(piece)
        given_up.write(piece)
    whole = PIECE + PIECE[7:] + b"tail"
    assert writer.bytes == len(whole)
    assert list(bucket.digests()) == []
    assert writer.commit() == digest_of(whole)
    given_up.abort()
    given_up.abort()
    writer.abort()
    assert under.open().get(digest_of(whole)) == whole
    assert list(bucket.digests()) == [digest_of(whole)]


def _gives_back_parts_of_a_blob(under: BucketUnderTest) -> None:
    data = bytes(range(256)) * 12_000
    digest, empty = under.open().put(data), under.open().put(b"")
    bucket = under.open()
    spans = ((0, None), (0, 1), (0, len(data)), (5, 9), (1_500_000, None), (len(data) - 1, None), (9, 9))
    for start, stop in spans:
        assert b"".join(bucket.pieces(digest, start, stop)) == data[start:stop], (start, stop)
    assert b"".join(bucket.pieces(empty)) == b""
    _raises(NotFound, "blob-not-found", lambda: bucket.pieces(digest_of(b"absent")))


def _holds_the_last_piece_of_a_damaged_blob_back(under: BucketUnderTest) -> None:
    data = PIECE * 2 + b"tail"
    digest = under.open().put(data)
    under.damage(digest)
    got: list[bytes] = []
    _raises(Corrupt, "blob-corrupt", lambda: got.extend(under.open().pieces(digest)))
    assert sum(map(len, got)) < len(data)
    _raises(Corrupt, "blob-corrupt", lambda: list(under.open().pieces(digest, 1, 3)))


def _forgets_by_age_only_what_nobody_kept_since(under: BucketUnderTest) -> None:
    bucket = under.open()
    digest = bucket.put(b"one")
    put_us = next(held.kept_us for held in bucket.held())
    assert not bucket.remove(digest, kept_before_us=put_us)
    assert bucket.keep(digest)
    assert bucket.remove(digest, kept_before_us=put_us + YEAR_US)
    assert not bucket.remove(digest, kept_before_us=put_us + YEAR_US)
    assert not bucket.keep(digest)


def _tells_the_length_and_age_of_what_is_there(under: BucketUnderTest) -> None:
    bucket = under.open()
    digests = [bucket.put(b"x" * count) for count in (1, 20, 300)]
    held = list(under.open().held())
    assert [one.digest for one in held] == sorted(digests)
    assert sorted(one.bytes for one in held) == [1, 20, 300]
    assert all(one.kept_us > YEAR_US for one in held)


def _is_opened_by_its_address_and_lies_nearby_where_it_is_asked_for(under: BucketUnderTest) -> None:
    bucket = under.open()
    digests = [bucket.put(PIECE), bucket.put(b"x")]
    again = open_at(bucket.address)
    assert again.get(digests[0]) == PIECE
    beside = FolderBucket(again.nearby(digests))
    assert [beside.get(digest) for digest in digests] == [PIECE, b"x"]
    assert list(again.digests()) == sorted(digests)
