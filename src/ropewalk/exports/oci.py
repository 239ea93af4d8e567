"""An image as an archive of OCI's layout, which needs no daemon: the same parts give the same bytes.

Source: https://github.com/opencontainers/image-spec. `docker load` reads the `manifest.json` beside it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from ropewalk.exports.foundation import INDEX, Base
from ropewalk.exports.layer import Layer
from ropewalk.refs import PREFIX, digest_of

MANIFEST, CONFIG = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"
REF = "org.opencontainers.image.ref.name"
# What a base that is bare files does not say.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FILE, _FOLDER = 0o644, 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image that was written.

    Attributes:
        digest: of its manifest, by which registries know it.
        config: digest of its configuration, by which Docker and Podman call it.
        bytes: of the archive.
        added: bytes that its own layers add to the base, unpacked.
    """

    digest: str
    config: str
    bytes: int
    added: int


def write_image(
    base: Base,
    layers: Mapping[str, Layer],
    running: Mapping[str, Any],
    *,
    name: str,
    created: str,
    labels: Mapping[str, str],
    into: Path,
) -> Built:
    """Write an image.

    Args:
        base: what it is built upon.
        layers: its own layers, lowest first, by what they hold.
        running: how it runs, in the words of the configuration's `config`; variables join those of the base.
        name: `NAME:TAG`, by which it is loaded.
        created: time in RFC 3339; the release's, not the clock's.
        labels: what is said of it.
        into: the archive.
    """
    config = _config(base, layers, running, created=created, labels=labels)
    every = [*base.layers, *layers.values()]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": one.media, "digest": one.digest, "size": one.bytes} for one in every],
            "annotations": dict(labels),
        }
    )
    files: dict[str, bytes | Path] = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _index(base, manifest, name),
        "manifest.json": _json(
            [{"Config": _blob(digest_of(config)), "RepoTags": [name], "Layers": [_blob(one.digest) for one in every]}]
        ),
        _blob(digest_of(config)): config,
        _blob(digest_of(manifest)): manifest,
        **{_blob(one.digest): one.path for one in every},
    }
    _archive(files, into)
    return Built(
        digest=digest_of(manifest),
        config=digest_of(config),
        bytes=into.stat().st_size,
        added=sum(one.unpacked for one in layers.values()),
    )


def _index(base: Base, manifest: bytes, name: str) -> bytes:
    platform = {"architecture": base.config["architecture"], "os": base.config.get("os", "linux")}
    said = {"mediaType": MANIFEST, "digest": digest_of(manifest), "size": len(manifest), "platform": platform}
    called = {REF: name.rpartition(":")[2], "io.containerd.image.name": name}
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**said, "annotations": called}]})


def _config(
    base: Base, layers: Mapping[str, Layer], running: Mapping[str, Any], *, created: str, labels: Mapping[str, str]
) -> bytes:
    before: dict[str, Any] = base.config.get("config") or {}
    environ = {"PATH": PATH} | _variables(before) | _variables(running)
    own = [{"created": created, "created_by": f"ropewalk export image: {what}"} for what in layers]
    said: dict[str, str] = before.get("Labels") or {}
    whole: dict[str, Any] = {
        **{name: value for name, value in base.config.items() if name in ("architecture", "os", "variant")},
        "created": created,
        "config": {
            **before,
            **running,
            "Env": [f"{name}={value}" for name, value in environ.items()],
            "Labels": {**said, **labels},
        },
        "rootfs": {"type": "layers", "diff_ids": [one.diff for one in (*base.layers, *layers.values())]},
        "history": [*_history(base), *own],
    }
    return _json(whole)


def _variables(config: Mapping[str, Any]) -> dict[str, str]:
    words: list[str] = config.get("Env") or []
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _history(base: Base) -> list[dict[str, Any]]:
    """Return how the base came about, where it says so of every layer: the two have to be as many."""
    found: list[dict[str, Any]] = base.config.get("history") or []
    layers = [one for one in found if not one.get("empty_layer")]
    return found if len(layers) == len(base.layers) else [{"created_by": "base"} for _ in base.layers]


def _archive(files: Mapping[str, bytes | Path], into: Path) -> None:
    part = into.with_name(f".{into.name}.part")
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("blobs", "blobs/sha256"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, _FOLDER
            tar.addfile(info)
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.mode = _FILE
            if isinstance(data, bytes):
                info.size = len(data)
                tar.addfile(info, BytesIO(data))
            else:
                info.size = data.stat().st_size
                with data.open("rb") as file:
                    tar.addfile(info, file)
    part.replace(into)


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix(PREFIX)}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
