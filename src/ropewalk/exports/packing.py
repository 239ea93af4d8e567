"""A release's folder: the blobs that answering needs, its code, its evidence, and `served.json`; no training data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

import ropewalk
from ropewalk.blobs.bucket import Bucket
from ropewalk.blobs.folder import shelf_name
from ropewalk.endpoints.packed import BLOBS, FILE, Packed
from ropewalk.exports.released import Released
from ropewalk.models.manifest import files_of
from ropewalk.refs import PREFIX
from ropewalk.source import snapshot

PLAIN, RUN = 0o644, 0o755
# A bucket wants its folder for what comes in; where it cannot be made, it has to be there already.
EMPTY = f"{BLOBS}/incoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A file that is packed.

    Attributes:
        path: relative, with `/`.
        source: its bytes, or where they lie.
        mode: its permissions.
    """

    path: str
    source: bytes | Path
    mode: int = PLAIN

    def read(self) -> bytes:
        """Return the bytes."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


def packed(found: Released) -> bytes:
    """Return `served.json`."""
    told = Packed(
        release=found.release.id,
        bundle=found.release.bundle,
        endpoint=found.endpoint,
        environment=found.release.environment,
        allowed=found.allowed,
        example=found.served.example,
        workers=found.serve.workers,
        queue_max=found.serve.queue_max,
        deadline_ms=found.serve.deadline_ms,
        body_bytes_max=found.serve.body_bytes_max,
    )
    return msgspec.json.format(msgspec.json.encode(told, order="sorted"), indent=2) + b"\n"


def folder(blobs: Bucket, found: Released) -> Iterator[Piece]:
    """Yield every file of a release's folder, in the order of their paths; every blob is verified."""
    bundle = found.bundle
    wanted = {found.release.bundle, *files_of(blobs, bundle.manifest)}
    wanted |= {bundle.contract, bundle.code, bundle.lock, bundle.sbom, bundle.provenance}
    pieces = [Piece(path=FILE, source=packed(found))]
    pieces += [Piece(path=f"{BLOBS}/{shelf_name(digest)}", source=blobs.get(digest)) for digest in wanted]
    pieces += [_code(blobs, bundle.code, path, file, mode) for path, file, mode in _files(blobs, bundle.code)]
    yield from sorted(pieces, key=lambda piece: piece.path)


def _files(blobs: Bucket, code: str) -> list[tuple[str, str, int]]:
    return [(path, file, mode) for path, file, mode in snapshot.read_manifest(blobs, code)]


def _code(blobs: Bucket, code: str, path: str, file: str, mode: int) -> Piece:
    place = code.removeprefix(PREFIX)[:12]
    return Piece(path=f"code/{place}/{path}", source=blobs.get(file), mode=RUN if mode & 0o100 else PLAIN)


def ourselves() -> Iterator[Piece]:
    """Yield the files of Ropewalk itself, as it runs here, below `ropewalk/`."""
    root = Path(ropewalk.__file__).parent
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        # The demo's project travels in the wheel alone, and nobody plays it in an image.
        if path.is_file() and "__pycache__" not in name.parts and name.parts[:2] != ("demo", "project"):
            yield Piece(path=f"ropewalk/{name.as_posix()}", source=path)
