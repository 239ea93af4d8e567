"""Which bucket a project has: its own folder, or the object store that its settings name."""

from __future__ import annotations

from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import Clock

FOLDER = "blobs"
LOCAL = "objects"


def open_bucket(hidden: Path, url: str, clock: Clock | None = None) -> Bucket:
    """Return a project's bucket.

    Args:
        hidden: the folder with everything of ours.
        url: address of an object store; empty for the folder `blobs`.
        clock: the machine's when None.

    Raises:
        Invalid: the address is none.
        Missing: the library of object stores is not installed.
    """
    if not url:
        return FolderBucket(hidden / FOLDER, clock)
    from ropewalk.blobs.objects import ObjectBucket

    return ObjectBucket(url, hidden / LOCAL, clock)


def open_at(address: str) -> Bucket:
    """Return the bucket that another process of this machine calls by its `address`."""
    url, _, local = address.partition(" ")
    if "://" not in url:
        return FolderBucket(Path(address))
    from ropewalk.blobs.objects import ObjectBucket

    return ObjectBucket(url, Path(local))
