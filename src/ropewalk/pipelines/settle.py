"""A project on a node of a cluster: fetched where the node does not see its folder, refused where libraries differ."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ropewalk.blobs.place import open_at
from ropewalk.errors import Invalid
from ropewalk.source.environment import library_version
from ropewalk.source.snapshot import materialize

_LOOSE = ("sha256:", "none")  # libraries without a version are told by a file, once they are imported
_OURS = "-"


def settled(project: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the project as it is on this node; what is fetched becomes the current folder.

    Args:
        project: as it was sent.
        place: folder of this node for what it fetches; empty where it sees the project's own folder.

    Raises:
        Invalid: a library that the code counts on is another one here.
        NotFound: the store of blobs lacks the code.
    """
    require(project, loose=False)
    if not place:
        return dict(project)
    own = Path(place)
    address = f"{str(project['blobs']).partition(' ')[0]} {own.parent / 'objects'}"
    blobs = open_at(address)
    code = materialize(blobs, project["snapshot"], own / "code")
    root = materialize(blobs, project["snapshot"], own / "root")
    os.chdir(root)
    return {**project, "code": str(code), "root": str(root), "blobs": address}


def require(project: Mapping[str, Any], *, loose: bool) -> None:
    """Pass where libraries are those that the graph was told with: others would give other values under one key.

    Args:
        project: as it was sent.
        loose: look at those without a version, which have to be imported; False looks at the others.

    Raises:
        Invalid: one is another one here.
    """
    for name, wanted in project["libraries"].items():
        if wanted == _OURS or wanted.startswith(_LOOSE) is not loose:
            continue
        found = library_version(name)
        if found != wanted:
            raise Invalid(
                "ray-node-differs",
                f"A node of the cluster has another {name}.",
                where=os.uname().nodename,
                why=f"it has {found}, the machine that the run was started on has {wanted}",
                fix=f"install the same {name} on every node of the cluster",
            )
