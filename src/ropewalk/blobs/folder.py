"""A local folder of blobs: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ropewalk.blobs.bucket import PIECE_BYTES, Held
from ropewalk.blobs.incoming import Incoming, not_written
from ropewalk.clock import Clock, SystemClock
from ropewalk.errors import Corrupt, Invalid, NotFound
from ropewalk.refs import PREFIX, digest_of, digest_of_file, is_digest

_SEEN_MAX = 4096


class FolderBucket:
    """Blobs as files `ab/cdef...` below a folder of mode 0700.

    Args:
        root: the folder; made when it is not there.
        clock: tells how old the leavings of killed writers are; the machine's when None.
    """

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root
        self._incoming = Incoming(root / "incoming", clock or SystemClock())
        self._seen: dict[str, tuple[int, int, int]] = {}

    @property
    def address(self) -> str:
        """The folder's path."""
        return str(self._root.resolve())

    def path_of(self, digest: str) -> Path:
        """Return where the blob lies or would lie; the bytes are not looked at.

        Raises:
            Invalid: the text is not a sha256 digest.
        """
        name = shelf_name(digest)
        return self._root / name

    def put(self, data: bytes) -> str:
        """Keep the bytes durably; return their digest."""
        digest = digest_of(data)
        if not (self._already(digest) and self.keep(digest)):
            self.put_stream(io.BytesIO(data))
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

    def writer(self) -> FolderWriter:
        """Begin a blob that comes in pieces."""
        return FolderWriter(self, self._incoming)

    def _already(self, digest: str) -> bool:
        """Say whether a whole blob is there; a damaged one is written anew."""
        try:
            return digest_of_file(self.path_of(digest)) == digest
        except FileNotFoundError:
            return False

    def publish(self, incoming: Path, digest: str) -> None:
        """Give a received and synced file its name; for this bucket's writer alone.

        Raises:
            Unavailable: the disk refuses.
        """
        path = self.path_of(digest)
        try:
            with self._lock(fcntl.LOCK_SH):
                if not path.parent.exists():
                    path.parent.mkdir(mode=0o700, exist_ok=True)
                    _sync_folder(self._root)
                os.utime(incoming)
                incoming.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise not_written(self._incoming.folder, error) from error

    @contextmanager
    def _lock(self, kind: int) -> Generator[None]:
        """Hold all names together: who removes by age must not take a blob that is put at this moment."""
        handle = os.open(self._incoming.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, kind)
            yield
        finally:
            os.close(handle)

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        path = self.path_of(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise not_found(digest) from None
        if digest_of(data) != digest:
            raise corrupt(digest)
        return data

    def pieces(self, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Return the bytes in pieces; a part of them only of a blob that was verified as it lies there now."""
        try:
            file = self.path_of(digest).open("rb")
        except FileNotFoundError:
            raise not_found(digest) from None
        if start == 0 and stop is None:
            return verified(digest, _read(file, None))
        return self._part(digest, file, start, stop)

    def _part(self, digest: str, file: io.BufferedReader, start: int, stop: int | None) -> Iterator[bytes]:
        with file:
            found = os.fstat(file.fileno())
            now = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._seen.get(digest) != now:
                if PREFIX + hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise corrupt(digest)
                if len(self._seen) >= _SEEN_MAX:
                    self._seen.clear()
                self._seen[digest] = now
            file.seek(start)
            yield from _read(file, None if stop is None else stop - start)

    def fetch(self, digest: str) -> Path:
        """Return a local, verified file with the bytes; read it, never write it."""
        path = self.path_of(digest)
        try:
            whole = digest_of_file(path) == digest
        except FileNotFoundError:
            raise not_found(digest) from None
        if not whole:
            raise corrupt(digest)
        return path

    def has(self, digest: str) -> bool:
        """Say whether the blob is there, without reading it."""
        return self.path_of(digest).exists()

    def keep(self, digest: str) -> bool:
        """Say whether the blob is there, and let it count as put now."""
        path = self.path_of(digest)
        with self._lock(fcntl.LOCK_SH):
            try:
                os.utime(path)
            except FileNotFoundError:
                return False
        return True

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        try:
            return self.path_of(digest).stat().st_size
        except FileNotFoundError:
            raise not_found(digest) from None

    def digests(self) -> Iterator[str]:
        """Yield every digest that is there, in order."""
        for folder in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(folder.iterdir()):
                yield PREFIX + folder.name + file.name

    def held(self) -> Iterator[Held]:
        """Yield every blob that is there with its length and age."""
        for digest in self.digests():
            if is_digest(digest):
                try:
                    found = self.path_of(digest).stat()
                except FileNotFoundError:  # removed meanwhile
                    continue
                yield Held(digest=digest, bytes=found.st_size, kept_us=found.st_mtime_ns // 1000)

    def remove(self, digest: str, *, kept_before_us: int | None = None) -> bool:
        """Forget a blob; say whether it was there, and old enough where an age is given."""
        path = self.path_of(digest)
        with self._lock(fcntl.LOCK_EX):
            try:
                if kept_before_us is not None and path.stat().st_mtime_ns // 1000 >= kept_before_us:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def nearby(self, digests: Iterable[str]) -> Path:
        """Return the folder itself."""
        del digests
        return self._root

    def tidy(self) -> None:
        """Remove what killed writers left more than a day ago."""
        self._incoming.tidy()

    def link(self, digest: str, *, seconds: int) -> str | None:
        """Return None: a folder has no address of its own."""
        del seconds
        self.path_of(digest)

    def aside(self) -> None:
        """Return None, as for links."""


class FolderWriter:
    """A blob that comes to a folder in pieces.

    Args:
        bucket: where it goes.
        incoming: where it lies until then.
    """

    def __init__(self, bucket: FolderBucket, incoming: Incoming) -> None:
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
        self._bucket.publish(self._receipt.path, digest)
        return digest

    def abort(self) -> None:
        """Keep nothing of what was not committed."""
        self._receipt.discard()


def verified(digest: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces; the last one only when all of them together have the digest.

    Raises:
        Corrupt: they have another.
    """
    hasher = hashlib.sha256()
    held = b""
    for piece in pieces:
        hasher.update(piece)
        if held:
            yield held
        held = piece
    if PREFIX + hasher.hexdigest() != digest:
        raise corrupt(digest)
    if held:
        yield held


def _read(file: BinaryIO, count: int | None) -> Iterator[bytes]:
    """Yield so many bytes of a file from where it stands, all that follow for None, and close it."""
    with file:
        while piece := file.read(PIECE_BYTES if count is None else min(PIECE_BYTES, count)):
            if count is not None:
                count -= len(piece)
            yield piece


def shelf_name(digest: str) -> str:
    """Return `ab/cdef...`, under which a bucket keeps a blob.

    Raises:
        Invalid: the text is not a sha256 digest.
    """
    if not is_digest(digest):
        raise Invalid("digest-malformed", "This is not a sha256 digest.", why=f"found {digest[:80]!r}")
    name = digest.removeprefix(PREFIX)
    return f"{name[:2]}/{name[2:]}"


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def not_found(digest: str) -> NotFound:
    """Return the error for a blob that is not there."""
    return NotFound("blob-not-found", "There is no such blob.", where=digest, fix="ropewalk verify")


def corrupt(digest: str) -> Corrupt:
    """Return the error for a blob whose bytes were changed."""
    return Corrupt(
        "blob-corrupt",
        "A blob no longer holds the bytes that were recorded.",
        where=digest,
        why="its sha256 is another one",
        fix="ropewalk verify",
    )
