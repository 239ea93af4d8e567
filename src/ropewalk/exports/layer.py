"""A layer of an image: a tar archive, gzipped, whose bytes depend on nothing but what is in it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from ropewalk.exports.packing import RUN, Piece
from ropewalk.refs import PREFIX

LEVEL = 6
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer.

    Attributes:
        digest: of the bytes as they lie in the image.
        diff: digest of the archive unpacked.
        bytes: how many lie in the image.
        unpacked: bytes of the archive unpacked.
        media: its media type.
        path: where it lies here.
    """

    digest: str
    diff: str
    bytes: int
    unpacked: int
    media: str
    path: Path


GZIPPED = "application/vnd.oci.image.layer.v1.tar+gzip"


class Hashed:
    """Passes bytes on to a file and hashes them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = hashlib.sha256()
        self.bytes = 0

    @property
    def digest(self) -> str:
        """The digest of what has been written."""
        return PREFIX + self._hasher.hexdigest()

    def write(self, data: bytes) -> int:
        """Write bytes; return how many."""
        self._hasher.update(data)
        self.bytes += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def archive(pieces: Iterable[Piece], into: BinaryIO, prefix: str = "", *, empty: str = "") -> None:
    """Write a tar archive: sorted, owned by root, of the beginning of 1970, with the folders that its files need.

    Args:
        pieces: the files.
        into: where to.
        prefix: folder of the files, without slashes at its ends; empty for none.
        empty: an empty folder among them.
    """
    files = {f"{prefix}/{piece.path}".lstrip("/"): piece for piece in pieces}
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."}
    if empty:
        folders.add(f"{prefix}/{empty}".lstrip("/"))
    with tarfile.open(fileobj=into, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted([*folders, *files]):
            info = tarfile.TarInfo(name)
            if name in folders:
                info.type, info.mode = tarfile.DIRTYPE, RUN
                tar.addfile(info)
            else:
                data = files[name].read()
                info.size, info.mode = len(data), files[name].mode
                tar.addfile(info, io.BytesIO(data))


def pack(pieces: Iterable[Piece], path: Path, prefix: str = "", *, empty: str = "") -> Layer:
    """Write a layer to a file."""
    with path.open("wb") as file:
        outer = Hashed(file)
        # No name and no time in the header of gzip.
        with gzip.GzipFile("", "wb", LEVEL, cast("BinaryIO", outer), 0) as packed:
            inner = Hashed(cast("BinaryIO", packed))
            archive(pieces, cast("BinaryIO", inner), prefix, empty=empty)
    return Layer(
        digest=outer.digest, diff=inner.digest, bytes=outer.bytes, unpacked=inner.bytes, media=GZIPPED, path=path
    )


def squeeze(archived: BinaryIO, path: Path) -> Layer:
    """Write an archive that is there already as a layer."""
    with path.open("wb") as file:
        outer = Hashed(file)
        with gzip.GzipFile("", "wb", LEVEL, cast("BinaryIO", outer), 0) as packed:
            inner = Hashed(cast("BinaryIO", packed))
            while data := archived.read(PIECE_BYTES):
                inner.write(data)
    return Layer(
        digest=outer.digest, diff=inner.digest, bytes=outer.bytes, unpacked=inner.bytes, media=GZIPPED, path=path
    )
