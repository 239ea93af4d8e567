"""Blobs in an object store, S3's, Google's or Azure's, by one library, received and read through a local folder."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ropewalk.blobs.aside import ObjectAside
from ropewalk.blobs.bucket import PIECE_BYTES, Held
from ropewalk.blobs.folder import FolderBucket, not_found, shelf_name, verified
from ropewalk.blobs.incoming import STALE_SECONDS, Incoming, not_written
from ropewalk.blobs.reached import BULK, QUICK, ask, reach, told, unreachable, us
from ropewalk.blobs.unfinished import uploads_of
from ropewalk.clock import Clock, SystemClock
from ropewalk.errors import NotFound, RopewalkError, Unavailable
from ropewalk.refs import PREFIX, digest_of, is_digest

if TYPE_CHECKING:
    from obstore import ObjectMeta

log = logging.getLogger(__name__)
WHOLE_BYTES_MAX = 8 << 20
PART_BYTES = 5 << 20
PARTS_MAX = 9_000
PARTS_AT_ONCE = 3
CACHE_BYTES_MAX = 10 << 30
CACHE_SECONDS = 3600
# An object that is put again counts as new once it is older than this; `ropewalk gc` removes none that is younger than
# twice as long.
RENEW_SECONDS = 1800
LINK_SECONDS_MAX = 7 * 86_400


class ObjectBucket:
    """Blobs as objects `ab/cdef...` below an address.

    Credentials, region and endpoint come from the environment, by the names that the store's own tools use.

    Args:
        url: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://ACCOUNT/CONTAINER/PREFIX`.
        local: folder for what is being received and what was fetched; made when it is not there.
        clock: tells how old things are; the machine's when None.

    Raises:
        Invalid: the address is none of these.
        Missing: the library is not installed.
    """

    def __init__(self, url: str, local: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.url = url
        self._local = local
        self._quick = reach(url, QUICK)
        self._bulk = reach(url, BULK)
        self._incoming = Incoming(local / "incoming", self._clock)
        self._cache = FolderBucket(local / "cache", self._clock)
        self._tags = local / "tags"
        self._tags.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def address(self) -> str:
        """The store's address, and the local folder behind a space."""
        return f"{self.url} {self._local.resolve()}"

    def put(self, data: bytes) -> str:
        """Keep the bytes durably; return their digest."""
        if len(data) > WHOLE_BYTES_MAX:
            return self.put_stream(io.BytesIO(data))
        digest = digest_of(data)
        if not self._already(digest, len(data)):
            self._send(digest, data, len(data))
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file durably, read in pieces; return its digest."""
        with path.open("rb") as file:
            return self.put_stream(file)

    def put_stream(self, stream: BinaryIO) -> str:
        """Keep what the stream gives, read in pieces; return its digest."""
        writer = self.writer()
        try:
            while piece := stream.read(PIECE_BYTES):
                writer.write(piece)
            return writer.commit()
        except OSError as error:
            raise not_written(self._incoming.folder, error) from error
        finally:
            writer.abort()

    def writer(self) -> ObjectWriter:
        """Begin a blob that comes in pieces: received on the local disk, sent when its digest is known."""
        return ObjectWriter(self, self._incoming)

    def publish(self, incoming: Path, digest: str, count: int) -> None:
        """Send a received file under its name; for this bucket's writer alone."""
        if not self._already(digest, count):
            self._send(digest, incoming.read_bytes() if count <= WHOLE_BYTES_MAX else incoming, count)

    def _already(self, digest: str, count: int) -> bool:
        """Say whether a whole, young blob is there; a damaged or an old one is written anew."""
        found = self._head(digest)
        if found is None or found["size"] != count or self._is_old(found):
            return False
        try:
            for _ in self._stream(digest, found):
                pass
        except RopewalkError as error:
            if error.kind in {"corrupt", "not-found"}:
                return False
            raise
        return True

    def _is_old(self, found: ObjectMeta) -> bool:
        return us(found) < self._clock.now_us() - RENEW_SECONDS * 1_000_000

    def _send(self, digest: str, data: bytes | Path, count: int) -> None:
        """Write an object: a small one only if nothing came there meanwhile, a large one in parts."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        name = shelf_name(digest)
        if isinstance(data, Path):
            size = max(PART_BYTES, -(-count // PARTS_MAX))
            ask(lambda: obstore.put(self._bulk, name, data, chunk_size=size, max_concurrency=PARTS_AT_ONCE))
            return
        try:
            obstore.put(self._bulk, name, data, mode="create", use_multipart=False)
        except AlreadyExistsError:  # an old or damaged one, or another writer's
            ask(lambda: obstore.put(self._bulk, name, data, use_multipart=False))
        except Exception as error:
            raise unreachable(error) from error

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        return b"".join(self.pieces(digest))

    def pieces(self, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Return the bytes in pieces; a part of a small blob is verified, of a large one it is as the store has it."""
        found = self._head(digest)
        if found is None:
            raise not_found(digest)
        if start == 0 and stop is None:
            return self._stream(digest, found)
        if found["size"] <= WHOLE_BYTES_MAX:
            return iter((b"".join(self._stream(digest, found))[start:stop],))
        return self._span(digest, start, found["size"] if stop is None else min(stop, found["size"]))

    def _stream(self, digest: str, found: ObjectMeta) -> Iterator[bytes]:
        import obstore

        if not found["size"]:
            return verified(digest, iter(()))
        got = ask(lambda: obstore.get(self._bulk, shelf_name(digest)), digest)
        pieces = told(iter(got.stream(min_chunk_size=PIECE_BYTES)))
        return verified(digest, (bytes(piece) for piece in pieces))

    def _span(self, digest: str, start: int, stop: int) -> Iterator[bytes]:
        import obstore

        while start < stop:
            end = min(stop, start + PIECE_BYTES)
            yield bytes(ask(lambda: obstore.get_range(self._bulk, shelf_name(digest), start=start, end=end), digest))  # noqa: B023 - asked at once
            start = end

    def fetch(self, digest: str) -> Path:
        """Return a local, verified file with the bytes as the store has them now; read it, never write it."""
        found = self._head(digest)
        if found is None:
            raise not_found(digest)
        tag = self._tags / digest.removeprefix(PREFIX)
        mark = f"{found['e_tag']} {found['size']} {us(found)}"
        if tag.exists() and tag.read_text(encoding="utf-8") == mark and self._cache.keep(digest):
            return self._cache.fetch(digest)
        writer = self._cache.writer()
        try:
            for piece in self._stream(digest, found):
                writer.write(piece)
            writer.commit()
        finally:
            writer.abort()
        tag.write_text(mark, encoding="utf-8")
        self._make_room()
        return self._cache.path_of(digest)

    def _make_room(self) -> None:
        """Forget what was fetched longest ago while more is kept than is good; what is fresh may be in use."""
        held = sorted(self._cache.held(), key=lambda one: one.kept_us)
        over = sum(one.bytes for one in held) - CACHE_BYTES_MAX
        before_us = self._clock.now_us() - CACHE_SECONDS * 1_000_000
        for one in held:
            if over <= 0:
                break
            if self._cache.remove(one.digest, kept_before_us=before_us):
                over -= one.bytes

    def has(self, digest: str) -> bool:
        """Say whether the blob is there, without reading it."""
        return self._head(digest) is not None

    def keep(self, digest: str) -> bool:
        """Say whether the blob is there, and write it anew when it is old."""
        found = self._head(digest)
        if found is None:
            return False
        if self._is_old(found):
            try:
                path = self.fetch(digest)
            except NotFound:
                return False
            self._send(digest, path if found["size"] > WHOLE_BYTES_MAX else path.read_bytes(), found["size"])
        return True

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        found = self._head(digest)
        if found is None:
            raise not_found(digest)
        return found["size"]

    def _head(self, digest: str) -> ObjectMeta | None:
        import obstore

        name = shelf_name(digest)
        try:
            return ask(lambda: obstore.head(self._quick, name), digest)
        except NotFound:
            return None

    def digests(self) -> Iterator[str]:
        """Yield every digest that is there, in order."""
        for one in self.held():
            yield one.digest

    def held(self) -> Iterator[Held]:
        """Yield every blob that is there with its length and age; stores list names in order."""
        import obstore

        listing: Any = obstore.list(self._quick, chunk_size=1000)  # pyright: ignore[reportUnknownMemberType]
        batches: Iterator[Sequence[ObjectMeta]] = told(iter(listing))
        for batch in batches:
            for found in batch:
                digest = PREFIX + found["path"].replace("/", "")
                if is_digest(digest) and found["path"] == shelf_name(digest):
                    yield Held(digest=digest, bytes=found["size"], kept_us=us(found))

    def remove(self, digest: str, *, kept_before_us: int | None = None) -> bool:
        """Forget a blob; say whether it was there, and old enough where an age is given."""
        import obstore

        found = self._head(digest)
        if found is None or (kept_before_us is not None and us(found) >= kept_before_us):
            return False
        ask(lambda: obstore.delete(self._quick, shelf_name(digest)), digest)
        return True

    def nearby(self, digests: Iterable[str]) -> Path:
        """Fetch the blobs; return the folder that they lie in."""
        for digest in digests:
            self.fetch(digest)
        return self._local / "cache"

    def tidy(self) -> None:
        """Remove what killed writers, and uploads past the server, left more than a day ago."""
        before_us = self._clock.now_us() - STALE_SECONDS * 1_000_000
        self._incoming.tidy()
        self._cache.tidy()
        self.aside().tidy(before_us)
        try:
            if (uploads := uploads_of(self.url)) is not None:
                uploads.tidy(before_us)
        except Unavailable as error:  # to list uploads is a right of its own, which not everybody is given
            log.warning("parts of killed uploads stay at %s: %s", self.url, error.why)

    def aside(self) -> ObjectAside:
        """Return the area of this bucket where others put parts by signed address."""
        return ObjectAside(self._quick, self._bulk)

    def link(self, digest: str, *, seconds: int) -> str | None:
        """Return an address, signed with our credentials, at which anybody can read the blob for so long."""
        import obstore

        assert 0 < seconds <= LINK_SECONDS_MAX, seconds
        store: Any = self._quick
        return ask(lambda: obstore.sign(store, "GET", shelf_name(digest), timedelta(seconds=seconds)))


class ObjectWriter:
    """A blob that comes to an object store in pieces.

    Args:
        bucket: where it goes.
        incoming: where it lies until then.
    """

    def __init__(self, bucket: ObjectBucket, incoming: Incoming) -> None:
        self._bucket = bucket
        self._receipt = incoming.receive()

    @property
    def bytes(self) -> int:
        """How many bytes were written."""
        return self._receipt.bytes

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Add bytes."""
        self._receipt.write(piece)

    def commit(self) -> str:
        """Keep the bytes durably; return their digest."""
        digest = self._receipt.finish()
        try:
            self._bucket.publish(self._receipt.path, digest, self._receipt.bytes)
        finally:
            self._receipt.discard()
        return digest

    def abort(self) -> None:
        """Keep nothing of what was not committed."""
        self._receipt.discard()
