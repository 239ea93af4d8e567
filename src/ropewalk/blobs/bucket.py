"""The port: a bucket keeps bytes under their sha256 and gives back only bytes that still match."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol


class Bucket(Protocol):
    """Where bytes live."""

    def put(self, data: bytes) -> str:
        """Keep the bytes durably; return their digest."""
        ...

    def put_file(self, path: Path) -> str:
        """Keep a copy of the file durably, read in pieces; return its digest."""
        ...

    def put_stream(self, stream: BinaryIO) -> str:
        """Keep what the stream gives, read in pieces; return its digest."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified.

        Raises:
            NotFound: there is no such blob.
            Corrupt: the bytes no longer match the digest.
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

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        ...

    def digests(self) -> Iterator[str]:
        """Yield every digest that is there, in order."""
        ...

    def remove(self, digest: str) -> bool:
        """Forget a blob; say whether it was there."""
        ...
