"""Removes everything that lies below the address of a bucket, for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ropewalk.blobs.reached import BULK, QUICK, ask, reach, told
from ropewalk.blobs.unfinished import uploads_of

if TYPE_CHECKING:
    from obstore import ObjectMeta

_PAGE = 1000
_FOREVER_US = 1 << 62


def clear(url: str) -> int:
    """Remove every object below an address, and the parts of uploads that nobody completes; return how many objects.

    Once more is as good as once: what was removed before it broke off is gone, the rest goes with the next call.

    Raises:
        Invalid: the address is none.
        Unavailable: the store cannot be reached, or refuses.
    """
    import obstore

    bulk = reach(url, BULK)
    listing: Any = obstore.list(reach(url, QUICK), chunk_size=_PAGE)  # pyright: ignore[reportUnknownMemberType]
    batches: Iterator[Sequence[ObjectMeta]] = told(iter(listing))
    count = 0
    for batch in batches:
        names = [found["path"] for found in batch]
        ask(lambda names=names: obstore.delete(bulk, names))
        count += len(names)
    uploads = uploads_of(url)
    if uploads is not None:
        uploads.tidy(_FOREVER_US)
    return count
