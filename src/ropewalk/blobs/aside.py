"""An area of an object store where others put parts by signed address; nothing there is a blob, or seen by anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ropewalk.blobs.bucket import PIECE_BYTES, Laid
from ropewalk.blobs.reached import ask, told, us
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from obstore import ObjectMeta

# No shelf of blobs has this name: those are of two hexadecimal digits.
FOLDER = "uploads"
_PAGE = 1000


class ObjectAside:
    """Objects `uploads/UPLOAD/00001` below a bucket's address.

    Args:
        quick: the library's store for questions.
        bulk: its store for transfers.
    """

    def __init__(self, quick: Any, bulk: Any) -> None:  # noqa: ANN401 - one of three classes without a common one
        self._quick = quick
        self._bulk = bulk

    @property
    def headers(self) -> dict[str, str]:
        """What has to be sent with a part, besides its bytes."""
        from obstore.store import AzureStore

        return {"x-ms-blob-type": "BlockBlob"} if isinstance(self._quick, AzureStore) else {}

    def addresses(self, upload: str, count: int, *, seconds: int) -> Sequence[str]:
        """Return for each part the address to which it may be PUT for so long."""
        import obstore

        names = [_name(upload, number) for number in range(1, count + 1)]
        return ask(lambda: obstore.sign(self._quick, "PUT", names, timedelta(seconds=seconds)))

    def laid(self, upload: str) -> dict[int, Laid]:
        """Return what was put so far, by the number of the part."""
        return {int(name): Laid(bytes=found["size"], tag=_tag(found)) for _, name, found in self._listed(upload)}

    def pieces(self, upload: str, number: int, laid: Laid) -> Iterator[bytes]:
        """Yield the bytes of a part.

        Raises:
            Invalid: it is another one than was laid there, or gone.
        """
        import obstore

        if not laid.bytes:
            return
        name = _name(upload, number)
        got = ask(lambda: obstore.get(self._bulk, name), lost=lambda: _changed(name))
        if _tag(got.meta) != laid.tag:
            raise _changed(name)
        for piece in told(iter(got.stream(min_chunk_size=PIECE_BYTES))):
            yield bytes(piece)

    def drop(self, upload: str) -> None:
        """Remove every part of an upload."""
        self._remove([found["path"] for _, _, found in self._listed(upload)])

    def tidy(self, before_us: int) -> int:
        """Remove what was put before this time, by the store's own clock; return how many parts that were."""
        old = [found["path"] for _, _, found in self._listed("") if us(found) < before_us]
        self._remove(old)
        return len(old)

    def _remove(self, names: list[str]) -> None:
        import obstore

        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            ask(lambda page=page: obstore.delete(self._bulk, page))

    def _listed(self, upload: str) -> Iterator[tuple[str, str, ObjectMeta]]:
        """Yield upload, number and object of what lies there; names that are none of ours are left alone."""
        import obstore

        prefix = f"{FOLDER}/{upload}" if upload else FOLDER
        listing: Any = obstore.list(self._quick, prefix=prefix, chunk_size=_PAGE)  # pyright: ignore[reportUnknownMemberType]
        batches: Iterator[Sequence[ObjectMeta]] = told(iter(listing))
        for batch in batches:
            for found in batch:
                words = found["path"].split("/")
                if len(words) == 3 and words[0] == FOLDER and words[2].isdigit():  # noqa: PLR2004 - area, upload, part
                    yield words[1], words[2], found


def _name(upload: str, number: int) -> str:
    return f"{FOLDER}/{upload}/{number:05}"


def _tag(found: ObjectMeta) -> str:
    return (found["e_tag"] or "").strip('"')


def _changed(name: str) -> Invalid:
    return Invalid(
        "upload-part-changed",
        "A part of the upload is another one than was there a moment ago.",
        where=name,
        why="somebody sent it again, or took the upload over or gave it up, while it was put together",
        fix="send the part once more, then complete the upload again",
    )
