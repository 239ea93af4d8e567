"""A local folder of blobs: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ropewalk.errors import Corrupt, Invalid, NotFound, Unavailable
from ropewalk.refs import PREFIX, digest_of, digest_of_file, is_digest

PIECE_BYTES = 1 << 20


class FolderBucket:
    """Blobs as files `ab/cdef...` below a folder of mode 0700.

    Args:
        root: the folder; made when it is not there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path_of(self, digest: str) -> Path:
        """Return where the blob lies or would lie; the bytes are not looked at.

        Raises:
            Invalid: the text is not a sha256 digest.
        """
        if not is_digest(digest):
            raise Invalid("digest-malformed", "This is not a sha256 digest.", why=f"found {digest[:80]!r}")
        name = digest.removeprefix(PREFIX)
        return self._root / name[:2] / name[2:]

    def put(self, data: bytes) -> str:
        """Keep the bytes durably; return their digest."""
        digest = digest_of(data)
        if not self._already(digest):
            self.put_stream(io.BytesIO(data))
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file durably, read in pieces; return its digest."""
        with path.open("rb") as file:
            return self.put_stream(file)

    def put_stream(self, stream: BinaryIO) -> str:
        """Keep what the stream gives, read in pieces; return its digest."""
        handle, name = tempfile.mkstemp(dir=self._incoming)
        incoming = Path(name)
        try:
            hasher = hashlib.sha256()
            with os.fdopen(handle, "wb") as file:
                while piece := stream.read(PIECE_BYTES):
                    hasher.update(piece)
                    file.write(piece)
                file.flush()
                os.fchmod(file.fileno(), 0o400)
                os.fsync(file.fileno())
            digest = PREFIX + hasher.hexdigest()
            self._publish(incoming, self.path_of(digest))
        except OSError as error:
            raise Unavailable(
                "blob-not-written",
                "The blob could not be written.",
                where=str(self._root.name),
                why=str(error.strerror),
                fix="free space or mend the disk, then run the same command again",
            ) from error
        finally:
            incoming.unlink(missing_ok=True)
        return digest

    def _already(self, digest: str) -> bool:
        """Say whether a whole blob is there; a damaged one is written anew."""
        path = self.path_of(digest)
        return path.exists() and digest_of_file(path) == digest

    def _publish(self, incoming: Path, path: Path) -> None:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._root)
        incoming.replace(path)
        _sync_folder(path.parent)

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        path = self.path_of(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise _not_found(digest) from None
        if digest_of(data) != digest:
            raise _corrupt(digest)
        return data

    def fetch(self, digest: str) -> Path:
        """Return a local, verified file with the bytes; read it, never write it."""
        path = self.path_of(digest)
        if not path.exists():
            raise _not_found(digest)
        if digest_of_file(path) != digest:
            raise _corrupt(digest)
        return path

    def has(self, digest: str) -> bool:
        """Say whether the blob is there, without reading it."""
        return self.path_of(digest).exists()

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        try:
            return self.path_of(digest).stat().st_size
        except FileNotFoundError:
            raise _not_found(digest) from None

    def digests(self) -> Iterator[str]:
        """Yield every digest that is there, in order."""
        for folder in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(folder.iterdir()):
                yield PREFIX + folder.name + file.name

    def remove(self, digest: str) -> bool:
        """Forget a blob; say whether it was there."""
        path = self.path_of(digest)
        if not path.exists():
            return False
        path.unlink()
        return True


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _not_found(digest: str) -> NotFound:
    return NotFound("blob-not-found", "There is no such blob.", where=digest, fix="ropewalk verify")


def _corrupt(digest: str) -> Corrupt:
    return Corrupt(
        "blob-corrupt",
        "A blob no longer holds the bytes that were recorded.",
        where=digest,
        why="its sha256 is another one",
        fix="ropewalk verify",
    )
