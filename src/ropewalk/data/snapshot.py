"""Snapshots: which frame a step of a run saw or made, by content, and which frames it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from ropewalk.data.frames import FrameRef
from ropewalk.errors import Conflict, NotFound
from ropewalk.refs import canonical
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One frame of one step of one run.

    Attributes:
        run_id: which run.
        node: which step of it, empty for a script.
        name: what the step calls it.
        digest: sha256 of its Parquet bytes.
        rows: how many rows.
        columns: how many columns.
        bytes: length of the Parquet file.
        schema: JSON list of name and polars type of each column.
        at_us: when it was recorded, microseconds since the epoch.
    """

    run_id: str
    node: str
    name: str
    digest: str
    rows: int
    columns: int
    bytes: int
    schema: str
    at_us: int

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"snapshot:{self.digest}"

    def types(self) -> tuple[tuple[str, str], ...]:
        """Return name and type of each column in order."""
        return tuple((name, kind) for name, kind in cast("list[list[str]]", json.loads(self.schema)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One frame was made from another.

    Attributes:
        digest: what was made.
        parent: what from.
    """

    digest: str
    parent: str


def record(
    tx: Transaction,
    site: Site,
    ref: FrameRef,
    *,
    name: str,
    run_id: str,
    node: str,
    parents: Iterable[str] = (),
) -> Snapshot:
    """Record that a step saw or made a frame; the same again changes nothing.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        ref: the frame, already among the blobs.
        name: what the step calls it.
        run_id: which run.
        node: which step.
        parents: digests of the frames that it was made from.

    Raises:
        NotFound: the blob is not there.
        Conflict: this step of this run recorded another frame under this name.
    """
    if not site.blobs.has(ref.digest):
        raise NotFound("blob-not-found", "There is no such blob.", where=ref.digest, fix="ropewalk verify")
    above = sorted({parent for parent in parents if parent != ref.digest})
    written = tx.run(
        "data.insert",
        run_id=run_id,
        node=node,
        name=name,
        digest=ref.digest,
        rows=ref.rows,
        columns=ref.columns,
        bytes=ref.bytes,
        schema=canonical(ref.schema).decode(),
        at_us=site.clock.now_us(),
    )
    found = tx.get(Snapshot, "data.get", run_id=run_id, node=node, name=name)
    assert found is not None, "the row was written above"
    if found.digest != ref.digest:
        raise _changed(found, ref)
    if written:
        tx.many("data.parent", [{"digest": ref.digest, "parent": parent} for parent in above])
        body = {"run": run_id, "node": node, "name": name, "rows": ref.rows, "columns": ref.columns, "parents": above}
        site.record(tx, "snapshot.recorded", found.subject, body)
    return found


def _changed(found: Snapshot, ref: FrameRef) -> Conflict:
    return Conflict(
        "snapshot-changed",
        "This step recorded another frame under this name.",
        where=f"run:{found.run_id} {found.node} {found.name}",
        why=f"it is {found.digest}, the new one {ref.digest}",
        fix="ropewalk why",
    )


def get(reader: Reader, digest: str) -> Snapshot:
    """Return the first snapshot of a digest.

    Raises:
        NotFound: no step recorded it.
    """
    found = reader.get(Snapshot, "data.first_of", digest=digest)
    if found is None:
        raise NotFound("snapshot-not-found", "No step recorded this frame.", where=digest, fix="ropewalk runs")
    return found


def of_digest(reader: Reader, digest: str) -> tuple[Snapshot, ...]:
    """Return every step's record of one content, oldest first."""
    return tuple(reader.all(Snapshot, "data.of_digest", digest=digest))


def of_run(reader: Reader, run_id: str) -> tuple[Snapshot, ...]:
    """Return the frames that a run's steps recorded, oldest first."""
    return tuple(reader.all(Snapshot, "data.of_run", run_id=run_id))


def newest(reader: Reader, count: int = 100) -> tuple[Snapshot, ...]:
    """Return the newest snapshots, newest first."""
    return tuple(reader.all(Snapshot, "data.newest", count=count))


def lineage(reader: Reader, digest: str) -> tuple[Edge, ...]:
    """Return every edge from a frame up to the frames that were made from nothing."""
    return tuple(reader.all(Edge, "data.lineage", digest=digest))


def offspring(reader: Reader, digest: str) -> tuple[Edge, ...]:
    """Return every edge from a frame down to the last frames that were made from it."""
    return tuple(reader.all(Edge, "data.offspring", digest=digest))
