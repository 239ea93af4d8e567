"""A bundle as an ordinary folder that works without us: every part a file, and their sums for `sha256sum -c`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Conflict
from ropewalk.models.manifest import read_manifest
from ropewalk.refs import PREFIX
from ropewalk.releases.bundle import read_bundle
from ropewalk.source import snapshot


def export_bundle(blobs: Bucket, digest: str, into: Path) -> Path:
    """Write every part of a bundle, each verified, into a new folder; it is there whole or not at all.

    The folder holds `bundle.json`, `model/`, `code/`, the wheel, lock, contract, SBOM, provenance, `migrations/` and
    `SHA256SUMS`.

    Args:
        blobs: where the parts are.
        digest: the bundle's.
        into: a folder that is not there yet.

    Raises:
        Conflict: the folder is there already.
        NotFound: a part is missing.
        Corrupt: a part does not match its digest.
    """
    if into.exists():
        raise Conflict(
            "export-exists", "There is something at this place already.", where=into.name, fix="choose another"
        )
    bundle = read_bundle(blobs, digest)
    files = {"bundle.json": digest, "model/manifest.json": bundle.manifest}
    files |= {name: part for name, part in bundle.parts() if name not in ("model", "code")}
    files |= {f"model/{name}": part for name, part in read_manifest(blobs, bundle.manifest).parts.items()}
    files |= {f"code/{path}": file for path, file, _ in snapshot.read_manifest(blobs, bundle.code)}
    into.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=into.parent, prefix=".part-"))
    try:
        for name, file in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(blobs.get(file))
        sums = "".join(f"{file.removeprefix(PREFIX)}  {name}\n" for name, file in sorted(files.items()))
        (part / "SHA256SUMS").write_text(sums)
        part.rename(into)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return into
