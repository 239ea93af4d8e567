"""The bill of materials of a bundle: CycloneDX 1.6 as JSON, the same bytes each time."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from ropewalk.refs import PREFIX, canonical, digest_of

SPACE = uuid.UUID("6f1d2c1e-7f0b-5a53-9c0a-2f6d5d1f7a10")  # ours alone: names the serial numbers we derive


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
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def hashed(digest: str) -> list[HashType]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix(PREFIX))]

    wanted = sorted(set(packages))
    root = Component(name=project, version=str(version), type=ComponentType.APPLICATION, bom_ref=f"{project}@{version}")
    parts = [
        Component(
            name=model[0],
            version=str(version),
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"model:{model[0]}",
            hashes=hashed(model[1]),
        )
    ]
    parts += [
        Component(name=name, type=ComponentType.FILE, bom_ref=f"file:{name}", hashes=hashed(digest))
        for name, digest in sorted(files.items())
    ]
    parts += [
        Component(
            name=name,
            version=release,
            type=ComponentType.LIBRARY,
            bom_ref=f"pkg:pypi/{name}@{release}",
            purl=PackageURL(type="pypi", name=name, version=release),
        )
        for name, release in wanted
    ]
    content = digest_of(canonical([project, version, wanted, sorted(files.items()), list(model)]))
    bom = Bom(
        components=parts,
        serial_number=uuid.uuid5(SPACE, content),
        metadata=BomMetaData(component=root, timestamp=datetime.fromtimestamp(at_us / 1_000_000, UTC)),
    )
    bom.register_dependency(root, parts)
    return JsonV1Dot6(bom).output_as_string().encode()
