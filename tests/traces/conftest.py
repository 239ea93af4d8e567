"""A project whose rows are in a file, and one whose rows are in PostgreSQL, for what composes its own statements."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.site import Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock
from store.postgres_places import SILENT, new_place


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(bool(SILENT), reason=SILENT))]
)
def shared_site(request, tmp_path_factory) -> Iterator[Site]:
    """A project on each of the stores in turn, shared by the tests of a file: what they write they take back."""
    root, clock = tmp_path_factory.mktemp("shared"), SetClock()
    plain = {"root": root, "blobs": FolderBucket(root / "blobs"), "clock": clock, "actor": "ann@example.org"}
    signer = Signer.create(root / "keys")
    if request.param == "sqlite":
        db = SqliteDatabase(root / "ropewalk.db", clock)
        yield Site(**plain, signer=signer, db=db)
        db.close()
        return
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url:
        rows = PostgresDatabase(url, clock)
        yield Site(**plain, signer=signer, db=rows)
        rows.close()
