"""Where a confined process leaves what it made: plain files by their digests, for whoever started it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from ropewalk.blobs.bucket import Bucket
from ropewalk.blobs.folder import FolderBucket, corrupt, shelf_name
from ropewalk.refs import digest_of, digest_of_file


class Drop(FolderBucket):
    """A folder of blobs that a confined process can fill: no modes of files are set, nothing is made durable.

    Args:
        root: the folder, which is there.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._place = root

    def path_of(self, digest: str) -> Path:
        """Return where a blob lies or would lie.

        Raises:
            Invalid: the text is no digest.
        """
        return self._place / Path(shelf_name(digest)).name

    def put(self, data: bytes) -> str:
        """Write the bytes; return their digest."""
        digest = digest_of(data)
        self.path_of(digest).write_bytes(data)
        return digest

    def put_file(self, path: Path) -> str:
        """Copy the file; return its digest."""
        digest = digest_of_file(path)
        shutil.copyfile(path, self.path_of(digest))
        return digest

    def put_stream(self, stream: BinaryIO) -> str:
        """Write what the stream gives; return its digest."""
        return self.put(stream.read())

    def take(self, digest: str, into: Bucket) -> None:
        """Bring a blob into a bucket.

        Raises:
            Corrupt: it is not there as a plain file, or holds other bytes.
        """
        path = self.path_of(digest)
        if path.is_symlink() or not path.is_file() or into.put_file(path) != digest:
            raise corrupt(digest)
