"""Which source a batch's words mean: a file, a snapshot, an artifact, a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ropewalk.artifacts import shown
from ropewalk.artifacts.paths import checked
from ropewalk.batches import lines, queries, tables
from ropewalk.batches.pieces import Source
from ropewalk.data import snapshot
from ropewalk.data.contract import Contract
from ropewalk.errors import Invalid, NotFound
from ropewalk.site import Site

ENDINGS = (*tables.ENDINGS, *lines.ENDINGS)


def open_source(site: Site, folder: Path, place: dict[str, Any], contract: Contract) -> Source:
    """Return what reads a source.

    Args:
        site: the project.
        folder: the batch's own, for the rows of a query.
        place: `{"file": PATH}`, `{"snapshot": DIGEST}`, `{"artifact": PATH}` or
            `{"query": SQL, "database": FILE_OR_ADDRESS}`; paths are relative to the project, unless they are whole.
        contract: what a row must be.

    Raises:
        NotFound: it is not there.
        Invalid: the kind of file is unknown, or the bytes are another format.
    """
    path, ending = _found(site, folder, place)
    if ending in tables.ENDINGS:
        return tables.Table(path, ending, contract)
    return lines.Lines(path, ending, contract)


def _found(site: Site, folder: Path, place: dict[str, Any]) -> tuple[Path, str]:
    if "query" in place:
        return queries.spool(site.root, folder, str(place["database"]), str(place["query"])), ".ndjson"
    if "snapshot" in place:
        with site.db.read() as rows:
            digest = snapshot.get(rows, str(place["snapshot"])).digest
        return site.blobs.fetch(digest), ".parquet"
    if "artifact" in place:
        name = checked(str(place["artifact"]))
        with site.db.read() as rows:
            found = shown.get(rows, site.blobs, name)
        return site.blobs.fetch(found.digest), ending_of(name)
    path = site.root / str(place["file"])
    if not path.is_file():
        raise NotFound("data-file-not-found", "There is no such file.", where=str(place["file"]))
    return path, ending_of(path.name)


def ending_of(name: str) -> str:
    """Return the ending of a file's name, which says the format.

    Raises:
        Invalid: it is unknown.
    """
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise Invalid(
            "data-file-unknown",
            "This kind of file is not read or written.",
            where=name[-200:],
            why=f"{ending or 'no ending'}; known: {', '.join(ENDINGS)}",
            fix=f"name a {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} file",
        )
    return ending
