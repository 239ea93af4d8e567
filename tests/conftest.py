"""Fixtures that every room shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def site(tmp_path: Path, clock: SetClock) -> Iterator[Site]:
    root = tmp_path / "project"
    hidden = root / HIDDEN
    hidden.mkdir(parents=True)
    db = SqliteDatabase(hidden / "ropewalk.db", clock)
    yield Site(
        root=root,
        db=db,
        blobs=FolderBucket(hidden / "blobs"),
        clock=clock,
        signer=Signer.create(hidden / "keys"),
        actor="ann@example.org",
    )
    db.close()
