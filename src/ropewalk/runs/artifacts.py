"""Files and models that a run kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Conflict, Corrupt, NotFound
from ropewalk.runs import keep
from ropewalk.store.database import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of a run.

    Attributes:
        path: by which the run keeps it.
        node: the step that logged it, empty for a script.
        digest: sha256 of its bytes.
        bytes: its length.
    """

    path: str
    node: str
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunModel:
    """One model that a run made.

    Attributes:
        name: what the step calls it.
        node: the step, empty for a script.
        manifest: digest of the model's manifest.
        parts: name and digest of each of its files, by name.
    """

    name: str
    node: str
    manifest: str
    parts: tuple[tuple[str, str], ...]


def artifacts(reader: Reader, run_id: str) -> tuple[Artifact, ...]:
    """Return the files of a run by path."""
    return tuple(
        Artifact(path=fact.key, node=fact.node, digest=str(content["digest"]), bytes=int(content["bytes"]))
        for fact in keep.facts(reader, run_id, "artifact")
        if (content := fact.content())
    )


def artifact(reader: Reader, run_id: str, path: str, *, node: str | None = None) -> Artifact:
    """Return one file of a run.

    Args:
        reader: where the rows are.
        run_id: which run.
        path: by which the run keeps it.
        node: the step that logged it; None for whichever did.

    Raises:
        NotFound: the run has no such file.
        Conflict: several steps logged different bytes under this path.
    """
    found = [item for item in artifacts(reader, run_id) if item.path == path and (node is None or item.node == node)]
    if not found:
        raise NotFound(
            "artifact-not-found", "The run has no such file.", where=f"run:{run_id} {path[:80]}", fix="ropewalk runs"
        )
    if len({item.digest for item in found}) > 1:
        raise Conflict(
            "artifact-ambiguous",
            "Several steps logged a file under this path.",
            where=path,
            why=f"steps {', '.join(item.node for item in found)}",
            fix="name the step",
        )
    return found[0]


def run_models(reader: Reader, blobs: Bucket, run_id: str) -> tuple[RunModel, ...]:
    """Return the models of a run by name, with their files.

    Raises:
        NotFound: a manifest's blob is gone.
        Corrupt: a manifest's blob was changed or is no manifest.
    """
    return tuple(
        RunModel(name=fact.key, node=fact.node, manifest=manifest, parts=_parts(blobs, manifest))
        for fact in keep.facts(reader, run_id, "model")
        if (manifest := str(fact.content()["manifest"]))
    )


def _parts(blobs: Bucket, manifest: str) -> tuple[tuple[str, str], ...]:
    try:
        parts = cast("dict[str, str]", json.loads(blobs.get(manifest))["parts"])
        return tuple(sorted((str(name), str(digest)) for name, digest in parts.items()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt("model-malformed", "This blob is not a model's manifest.", where=manifest) from error
