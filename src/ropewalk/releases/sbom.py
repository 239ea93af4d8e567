"""The bill of materials of a bundle: CycloneDX 1.6 as JSON, the same bytes each time."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from importlib import import_module
from typing import Any, cast

from ropewalk.refs import PREFIX, canonical, digest_of

SPACE = uuid.UUID("6f1d2c1e-7f0b-5a53-9c0a-2f6d5d1f7a10")  # ours alone: names the serial numbers we derive


class Kind(Enum):
    """CycloneDX's words for what a component is."""

    APPLICATION = "application"
    MODEL = "machine-learning-model"
    FILE = "file"
    LIBRARY = "library"


def make_sbom(
    *,
    project: str,
    version: int,
    packages: Iterable[tuple[str, str]],
    files: Mapping[str, str],
    model: tuple[str, str],
    at_us: int,
) -> bytes:
    """Return the bill of materials.

    Args:
        project: name of the whole.
        version: the model's version.
        packages: name and version of every library in the environment.
        files: digests of the bundle's files by name.
        model: name and manifest digest of the model.
        at_us: time to write into it, microseconds since the epoch; not now, so that the bytes do not change.
    """
    wanted = sorted(set(packages))
    bom_ = _of("model.bom")
    root = _component(Kind.APPLICATION, project, f"{project}@{version}", version=str(version))
    parts = [_component(Kind.MODEL, model[0], f"model:{model[0]}", version=str(version), digest=model[1])]
    parts += [_component(Kind.FILE, name, f"file:{name}", digest=digest) for name, digest in sorted(files.items())]
    parts += [_component(Kind.LIBRARY, name, f"pkg:pypi/{name}@{release}", version=release) for name, release in wanted]
    content = digest_of(canonical([project, version, wanted, sorted(files.items()), list(model)]))
    bom = bom_.Bom(
        components=parts,
        serial_number=uuid.uuid5(SPACE, content),
        metadata=bom_.BomMetaData(component=root, timestamp=datetime.fromtimestamp(at_us / 1_000_000, UTC)),
    )
    bom.register_dependency(root, parts)
    return cast("str", _of("output.json").JsonV1Dot6(bom).output_as_string()).encode()


def _of(name: str) -> Any:  # noqa: ANN401 - its classes are made by a decorator that hides their types
    """Return a module of the standard's own library, imported when it is needed: 80 ms."""
    return import_module(f"cyclonedx.{name}")


def _component(kind: Kind, name: str, ref: str, *, version: str = "", digest: str = "") -> Any:  # noqa: ANN401 - as above
    words: dict[str, Any] = {"name": name, "type": _of("model.component").ComponentType(kind.value), "bom_ref": ref}
    if version:
        words["version"] = version
    if digest:
        model = _of("model")
        sha256 = model.HashAlgorithm.SHA_256
        words["hashes"] = [model.HashType(alg=sha256, content=digest.removeprefix(PREFIX))]
    if kind is Kind.LIBRARY:
        words["purl"] = import_module("packageurl").PackageURL(type="pypi", name=name, version=version)
    return _of("model.component").Component(**words)
