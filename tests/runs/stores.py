"""Sites on each of the stores, for behaviour that must be the same on both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.runs import batch, remote
from ropewalk.runs.states import Run
from ropewalk.site import Site
from ropewalk.store.database import Database
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock
from store.postgres_places import needs_postgres, new_place

STORES = ("sqlite", pytest.param("postgres", marks=needs_postgres))


@contextmanager
def site_on(kind: str, folder: Path) -> Iterator[Site]:
    """Open a site whose rows lie in SQLite or PostgreSQL."""
    clock = SetClock()
    with database(kind, folder, clock) as db:
        yield Site(
            root=folder,
            db=db,
            blobs=FolderBucket(folder / "blobs"),
            clock=clock,
            signer=Signer.create(folder / "keys"),
            actor="ann@example.org",
        )


@contextmanager
def database(kind: str, folder: Path, clock: SetClock) -> Iterator[Database]:
    """Open an empty store of a kind."""
    if kind == "sqlite":
        db: Database = SqliteDatabase(folder / "ropewalk.db", clock)
        yield db
        db.close()
        return
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as place:
        db = PostgresDatabase(place, clock)
        yield db
        db.close()


def begin(site: Site, **more: object) -> Run:
    """Begin a run as a client does."""
    return site.db.write(lambda tx: remote.create(tx, site, **more))


def log(site: Site, run: Run, **more: object) -> None:
    """Log a batch to a run."""
    site.db.write(lambda tx: batch.log_batch(tx, site, run.id, **more))
