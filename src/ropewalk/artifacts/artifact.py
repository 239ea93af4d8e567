"""One file at one path: put, found, listed and removed in the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ropewalk.artifacts.paths import split
from ropewalk.errors import Conflict, Unavailable
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

PAGE_ROWS = 1000
PLAIN_MEDIA = "application/octet-stream"
_MEDIA = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file.

    Attributes:
        folder: path of the folder that it lies in, empty at the top.
        name: its own.
        digest: sha256 of its bytes.
        bytes: its length.
        media: its media type, as the client said.
        at_us: when it was put, in microseconds since the epoch.
    """

    folder: str
    name: str
    digest: str
    bytes: int
    media: str
    at_us: int

    @property
    def path(self) -> str:
        """Folder and name."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What lies in a folder.

    Attributes:
        name: its own.
        bytes: length of a file; None for a folder.
    """

    name: str
    bytes: int | None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.bytes is None


def find(reader: Reader, path: str) -> Artifact | None:
    """Return the file at a path that was put there, or None."""
    folder, name = split(path)
    return reader.get(Artifact, "artifacts.get", folder=folder, name=name)


def is_folder(reader: Reader, path: str) -> bool:
    """Say whether something was put below a path."""
    folder, name = split(path)
    return reader.value("artifacts.is_folder", folder=folder, name=name) is not None


def entries(reader: Reader, folder: str) -> Iterator[Entry]:
    """Yield what was put into a folder: its folders by name, then its files by name."""
    after = ""
    while page := reader.rows("artifacts.folders", folder=folder, after=after, count=PAGE_ROWS):
        yield from (Entry(name=str(row["name"]), bytes=None) for row in page)
        after = str(page[-1]["name"])
    yield from (Entry(name=file.name, bytes=file.bytes) for file in files(reader, folder))


def files(reader: Reader, folder: str) -> Iterator[Artifact]:
    """Yield the files that were put right into a folder, by name."""
    after = ""
    while page := reader.all(Artifact, "artifacts.files", folder=folder, after=after, count=PAGE_ROWS):
        yield from page
        after = page[-1].name


def walk(reader: Reader, folder: str) -> Iterator[Artifact]:
    """Yield every file that was put anywhere below a folder, folder by folder."""
    for below in _below(reader, folder):
        yield from files(reader, below)


def _below(reader: Reader, folder: str) -> Iterator[str]:
    """Yield a folder and all folders below it, each before those that it holds."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        yield here
        waiting += [f"{here}/{one.name}" if here else one.name for one in entries(reader, here) if one.is_folder]


def put(  # noqa: PLR0917 - a file is what it is
    tx: Transaction, site: Site, path: str, digest: str, count: int, media: str, *, begun_us: int
) -> Artifact:
    """Make a file visible whose bytes are in the bucket already; what stood at the path before is no longer named.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        path: a path that was checked.
        digest: of its bytes.
        count: their length.
        media: their media type, as the client said; one that is none becomes `application/octet-stream`.
        begun_us: when the caller began to put the bytes into the bucket.

    Raises:
        Conflict: the path is a folder, or a folder of it is a file.
        Unavailable: the bytes were removed since the caller put them; put them again.
    """
    require_place(tx, path)
    require_kept(tx, site, digest, begun_us)
    folder, name = split(path)
    made = Artifact(
        folder=folder, name=name, digest=digest, bytes=count, media=media_of(media), at_us=site.clock.now_us()
    )
    tx.run(
        "artifacts.put",
        folder=folder,
        name=name,
        digest=digest,
        bytes=count,
        media=made.media,
        at_us=made.at_us,
    )
    while folder:
        folder, name = split(folder)
        if not tx.run("artifacts.folder_put", folder=folder, name=name):
            break
    return made


def require_place(reader: Reader, path: str) -> None:
    """Pass only where a file may lie.

    Raises:
        Conflict: the path is a folder, or a folder of it is a file.
    """
    taken = path if is_folder(reader, path) else next((one for one in _above(path) if find(reader, one)), "")
    if taken:
        raise Conflict(
            "artifact-place-taken",
            "A file cannot lie here.",
            where=path[:200],
            why=f"{taken[:200]} is a {'folder' if taken == path else 'file'}",
            fix="choose another name, or delete what lies there",
        )


def _above(path: str) -> Iterable[str]:
    while "/" in path:
        path, _ = split(path)
        yield path


def require_kept(tx: Transaction, site: Site, digest: str, begun_us: int) -> None:
    """Pass only bytes that no sweep has taken away since somebody put them.

    Args:
        tx: the transaction in which they are named.
        site: the project.
        digest: of the bytes.
        begun_us: when he began to put them.

    Raises:
        Unavailable: they are gone; put them again.
    """
    swept = tx.row("artifacts.swept", digest=digest)
    if swept is None or (swept["done"] and int(str(swept["at_us"])) < begun_us):
        return
    if not site.blobs.has(digest):
        raise Unavailable(
            "artifact-swept",
            "These bytes were removed while they were being sent.",
            where=digest,
            why="`ropewalk gc` removed an old copy of them that nothing named",
            fix="send them again",
        )


def remove(tx: Transaction, path: str) -> int:
    """Remove a file, or a folder with all that was put below it; return how many files went. Nothing there is none."""
    folder, name = split(path)
    gone = tx.run("artifacts.remove", folder=folder, name=name)
    if is_folder(tx, path):
        for below in list(_below(tx, path)):
            gone += tx.run("artifacts.remove_files", folder=below)
            tx.run("artifacts.remove_folders", folder=below)
        tx.run("artifacts.remove_folder", folder=folder, name=name)
    while folder and tx.value("artifacts.any_in", folder=folder) is None:
        folder, name = split(folder)
        tx.run("artifacts.remove_folder", folder=folder, name=name)
    return gone


def media_of(text: str) -> str:
    """Return a media type without parameters, in small letters; what is none is `application/octet-stream`."""
    plain = text.partition(";")[0].strip().lower()
    return plain if _MEDIA.fullmatch(plain) else PLAIN_MEDIA
