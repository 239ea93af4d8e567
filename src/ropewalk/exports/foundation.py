"""The image that another one is built upon: OCI's layout as a folder or an archive, or a root file system as tar."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from ropewalk.errors import Corrupt, Invalid, NotFound
from ropewalk.exports.layer import Layer, squeeze
from ropewalk.refs import PREFIX, is_digest

INDEX = "application/vnd.oci.image.index.v1+json"
LISTS = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
_PYTHON = re.compile(r"^(?:\./)?usr/(?:local/)?bin/python3\.(\d+)$")
_GIB = 1 << 30
BASE_BYTES_MAX = 8 * _GIB
FIX = "skopeo copy docker://python:3.11-slim oci-archive:base.tar, or mmdebstrap --include=python3 bookworm base.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What is built upon.

    Attributes:
        layers: its layers, lowest first.
        config: its configuration, as OCI's image specification has it.
        pythons: the minor versions of Python 3 in it.
    """

    layers: tuple[Layer, ...]
    config: dict[str, Any]
    pythons: frozenset[int]


def read_base(path: Path, scratch: Path, architecture: str) -> Base:
    """Return an image of one architecture, every blob of it verified; its layers lie in `scratch`.

    Raises:
        NotFound: there is nothing at this place.
        Invalid: it is no image that can be built upon.
        Corrupt: a blob is not what it is called.
    """
    if not path.exists():
        raise NotFound(
            "image-base", "The image to build upon is not there.", where=str(path), why="no such file", fix=FIX
        )
    layout = path
    if path.is_file():
        with _opened(path) as tar:
            names = {name.removeprefix("./") for name in tar.getnames()}
        if "index.json" not in names:
            if "manifest.json" in names:
                raise _refused(path, "it is what `docker save` writes: skopeo copy docker-archive:IN oci-archive:OUT")
            return _of_files(path, scratch, architecture)
        layout = scratch / "base"
        with _opened(path) as tar:
            tar.extractall(layout, filter="data")
    return _of_layout(layout, scratch, architecture)


@contextmanager
def _opened(path: Path) -> Generator[tarfile.TarFile]:
    try:
        with tarfile.open(path) as tar:
            yield tar
    except tarfile.TarError as error:
        raise _refused(path, str(error)) from error


def _refused(path: Path, why: str) -> Invalid:
    return Invalid("image-base", "Nothing can be built upon this.", where=path.name, why=why, fix=FIX)


def _of_files(path: Path, scratch: Path, architecture: str) -> Base:
    """Return a root file system as an image of one layer."""
    with _opened(path) as tar:
        pythons = _pythons(tar)
    if not pythons:
        raise _refused(path, "it holds neither index.json nor usr/bin/python3.N")
    plain = scratch / "base.tar"
    with _unpacked(path) as stream, plain.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    with plain.open("rb") as file:
        layer = squeeze(file, scratch / "base.layer")
    plain.unlink()
    config: dict[str, Any] = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "history": [{"created_by": "base"}],
    }
    return Base(layers=(layer,), config=config, pythons=pythons)


@contextmanager
def _unpacked(path: Path) -> Generator[BinaryIO]:
    import bz2
    import gzip
    import lzma

    openers = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
    with path.open("rb") as file:
        magic = file.read(2)
    with cast("BinaryIO", openers[magic](path, "rb") if magic in openers else path.open("rb")) as stream:
        yield stream


def _pythons(tar: tarfile.TarFile) -> frozenset[int]:
    return frozenset(int(found[1]) for name in tar.getnames() if (found := _PYTHON.match(name)))


# --------------------------------------------------------------------------------------------------- OCI layouts
def _of_layout(layout: Path, scratch: Path, architecture: str) -> Base:
    index = _json(layout / "index.json")
    manifest = _manifest(layout, index, architecture)
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_bytes())
    diffs = config["rootfs"]["diff_ids"]
    if len(diffs) != len(manifest["layers"]):
        raise _refused(layout, "its configuration names another number of layers than its manifest")
    layers: list[Layer] = []
    pythons: set[int] = set()
    for said, diff in zip(manifest["layers"], diffs, strict=True):
        blob = _blob(layout, said["digest"])
        media = str(said["mediaType"]).replace("vnd.docker.image.rootfs.diff", "vnd.oci.image.layer.v1")
        media = media.replace(".tar.gzip", ".tar+gzip")
        unpacked = 0
        if not media.endswith("zstd"):  # which this Python's tarfile cannot look into
            with _opened(blob) as tar:
                pythons |= _pythons(tar)
                unpacked = sum(each.size for each in tar)
        kept = scratch / said["digest"].removeprefix(PREFIX)
        if blob != kept:
            shutil.copyfile(blob, kept)
        layers.append(
            Layer(
                digest=said["digest"], diff=diff, bytes=kept.stat().st_size, unpacked=unpacked, media=media, path=kept
            )
        )
    return Base(layers=tuple(layers), config=config, pythons=frozenset(pythons))


def _manifest(layout: Path, index: dict[str, Any], architecture: str) -> dict[str, Any]:
    for said in index.get("manifests", []):
        platform: dict[str, Any] = said.get("platform") or {}
        if platform and platform.get("architecture") != architecture:
            continue
        found = _json(_blob(layout, said["digest"]))
        return _manifest(layout, found, architecture) if said.get("mediaType") in LISTS else found
    raise _refused(layout, f"it holds no image for {architecture}")


def _blob(layout: Path, digest: str) -> Path:
    if not is_digest(digest):
        raise _refused(layout, f"it names a blob {digest[:80]!r}, and sha256 alone is known")
    path = layout / "blobs" / "sha256" / digest.removeprefix(PREFIX)
    if not path.is_file():
        raise _refused(layout, f"its blob {digest} is not there")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if PREFIX + found != digest:
        raise Corrupt("image-base-corrupt", "A blob of the base is not what it is called.", where=digest, fix=FIX)
    return path


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _refused(path, str(error)) from error
    if not isinstance(found, dict):
        raise _refused(path, "it is no JSON object")
    return cast("dict[str, Any]", found)
