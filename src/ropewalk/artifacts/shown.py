"""What lies at a path, whoever put it there: files that clients sent, and those of the project's own runs."""

from __future__ import annotations

from ropewalk.artifacts import artifact, native
from ropewalk.artifacts.artifact import Artifact, Entry
from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid, NotFound
from ropewalk.store.database import Reader


def get(reader: Reader, blobs: Bucket, path: str) -> Artifact:
    """Return the file at a path.

    Args:
        reader: where the rows are.
        blobs: where the bytes are.
        path: a path that was checked.

    Raises:
        Invalid: it is a folder.
        NotFound: nothing lies there.
    """
    found = artifact.find(reader, path) or native.find(reader, blobs, path)
    if found is not None:
        return found
    if artifact.is_folder(reader, path) or entries(reader, blobs, path):
        raise Invalid(
            "artifact-is-folder",
            "This is a folder, not a file.",
            where=path[:200],
            fix="list it, and read the files in it",
        )
    raise NotFound("artifact-not-found", "There is no such file.", where=path[:200], fix="list the folder above it")


def entries(reader: Reader, blobs: Bucket, folder: str) -> tuple[Entry, ...]:
    """Return what lies in a folder, by name; nothing for one that is not there, and for a file.

    Args:
        reader: where the rows are.
        blobs: where the bytes are.
        folder: a path that was checked, or empty for the top.
    """
    found = {one.name: one for one in artifact.entries(reader, folder)}
    run = native.owner(reader, folder)
    if run is not None:
        for path, file in native.files(reader, blobs, run).items():
            if path.startswith(f"{folder}/"):
                name, deeper, _ = path.removeprefix(f"{folder}/").partition("/")
                found.setdefault(name, Entry(name=name, bytes=None if deeper else file.bytes))
    return tuple(found[name] for name in sorted(found))
