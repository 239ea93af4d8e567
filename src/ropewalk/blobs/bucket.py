"""The port: a bucket keeps bytes under their sha256 and gives back only bytes that still match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from ropewalk.records import frozen

PIECE_BYTES = 1 << 20


@frozen
class Held:
    """A blob that is there.

    Attributes:
        digest: its name.
        bytes: its length.
        kept_us: when it was last put or kept, in microseconds since the epoch, by the storage's own clock.
    """

    digest: str
    bytes: int
    kept_us: int


class Writer(Protocol):
    """Takes bytes piece by piece; nothing of them can be seen before `commit`, or ever after `abort`."""

    @property
    def bytes(self) -> int:
        """How many bytes were written."""
        ...

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Add bytes.

        Raises:
            Unavailable: there is no room, or no connection; nothing is kept.
        """
        ...

    def commit(self) -> str:
        """Keep the bytes durably; return their digest.

        Raises:
            Unavailable: there is no room, or no connection; nothing is kept.
        """
        ...

    def abort(self) -> None:
        """Keep nothing; harmless after `commit`, after an error and when called again."""
        ...


@frozen
class Laid:
    """A part that somebody has put into the area beside the blobs.

    Attributes:
        bytes: its length.
        tag: what the store answered when it was put, without quotes.
    """

    bytes: int
    tag: str


class Aside(Protocol):
    """An area beside the blobs, where others put the parts of an upload by addresses that we sign.

    What lies there is no blob and nobody's to see: it is read, hashed and put like any other bytes, then removed.
    """

    @property
    def headers(self) -> dict[str, str]:
        """What has to be sent with a part, besides its bytes."""
        ...

    def addresses(self, upload: str, count: int, *, seconds: int) -> Sequence[str]:
        """Return for each of so many parts the address to which it may be PUT for so long."""
        ...

    def laid(self, upload: str) -> dict[int, Laid]:
        """Return what was put so far, by the number of the part."""
        ...

    def pieces(self, upload: str, number: int, laid: Laid) -> Iterator[bytes]:
        """Yield the bytes of a part.

        Raises:
            Invalid: it is another one than was laid there, or gone.
        """
        ...

    def drop(self, upload: str) -> None:
        """Remove every part of an upload."""
        ...


class Bucket(Protocol):
    """Where bytes live."""

    @property
    def address(self) -> str:
        """By what another process of this machine opens the same bucket, with `blobs.place.open_at`."""
        ...

    def put(self, data: bytes) -> str:
        """Keep the bytes durably; return their digest."""
        ...

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file durably, read in pieces; return its digest."""
        ...

    def put_stream(self, stream: BinaryIO) -> str:
        """Keep what the stream gives, read in pieces; return its digest."""
        ...

    def writer(self) -> Writer:
        """Begin a blob that comes in pieces; the caller ends it with `commit` or `abort`.

        Raises:
            Unavailable: there is no room.
        """
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified.

        Raises:
            NotFound: there is no such blob.
            Corrupt: the bytes no longer match the digest.
        """
        ...

    def pieces(self, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` to before `stop`, in pieces of constant memory.

        Of a whole blob the last piece is held back until all of it is verified. For a part of it the blob is verified
        before the first piece, where that needs no download.

        Raises:
            NotFound: there is no such blob; raised before the iterator is returned.
            Corrupt: the bytes no longer match the digest; raised by the iterator.
        """
        ...

    def fetch(self, digest: str) -> Path:
        """Return a local, verified file with the bytes; read it, never write it.

        Raises:
            NotFound: there is no such blob.
            Corrupt: the bytes no longer match the digest.
        """
        ...

    def has(self, digest: str) -> bool:
        """Say whether the blob is there, without reading it."""
        ...

    def keep(self, digest: str) -> bool:
        """Say whether the blob is there, and let it count as put now: `remove` with an age leaves it alone."""
        ...

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        ...

    def digests(self) -> Iterator[str]:
        """Yield every digest that is there, in order."""
        ...

    def held(self) -> Iterator[Held]:
        """Yield every blob that is there with its length and age, in the order of `digests`."""
        ...

    def remove(self, digest: str, *, kept_before_us: int | None = None) -> bool:
        """Forget a blob; say whether it was there.

        Args:
            digest: which.
            kept_before_us: leave it alone, and answer False, when it was put or kept at this time or later.
        """
        ...

    def nearby(self, digests: Iterable[str]) -> Path:
        """Return a folder, laid out as a `FolderBucket`'s, in which these blobs lie.

        It is for a process that reaches no network; that one verifies what it reads.

        Raises:
            NotFound: one of them is not there.
            Corrupt: the bytes of one no longer match.
        """
        ...

    def tidy(self) -> None:
        """Remove what killed writers left more than a day ago; a bucket that is opened does so, too."""
        ...

    def link(self, digest: str, *, seconds: int) -> str | None:
        """Return an address at which anybody can read the blob for so long; None where the storage gives none."""
        ...

    def aside(self) -> Aside | None:
        """Return the area where others put parts by signed address; None where the storage can sign none."""
        ...
