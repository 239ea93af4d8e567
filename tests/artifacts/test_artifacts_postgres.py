"""Files, parts and gc on a real PostgreSQL server do what they do on SQLite."""

import os
from dataclasses import replace

import pytest

from artifacts_door import Door
from ropewalk.clock import SystemClock
from ropewalk.evidence.gc import collect
from ropewalk.runs import experiments, remote
from store.postgres_places import needs_postgres, new_place

pytestmark = [needs_postgres, pytest.mark.slow]
FILES = "/api/2.0/mlflow-artifacts"


@pytest.fixture
def pg(site):
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url:
        db = PostgresDatabase(url, SystemClock())
        yield replace(site, db=db, clock=SystemClock())
        db.close()


def test_files_and_folders(pg):
    door = Door(pg)
    for name in ("B/z", "a/b/c", "a/b-d", "a/B", "ä", "a/b/0"):
        assert door("PUT", f"{FILES}/artifacts/{name}".encode().decode("latin-1"), name.encode()).status == 200

    def listed(folder):
        return [one["path"] for one in door("GET", f"{FILES}/artifacts?path={folder}").json()["files"]]

    assert listed("") == ["B", "a", "ä"]
    assert listed("a") == ["B", "b", "b-d"]
    assert door("PUT", f"{FILES}/artifacts/a/b", b"x").status == 400
    assert door("GET", f"{FILES}/artifacts/a/b-d").body == b"a/b-d"
    assert door("DELETE", f"{FILES}/artifacts/a").status == 200
    assert listed("") == ["B", "ä"]


def test_parts(pg):
    door = Door(pg)
    begun = door.ask("POST", f"{FILES}/mpu/create/x", {"path": "f", "num_parts": 2}).json()
    told = []
    for part, data in zip(begun["credentials"], (b"one", b"two"), strict=True):
        answer = door("PUT", part["url"].removeprefix("http://127.0.0.1:8470"), data)
        told.append({"part_number": part["part_number"], "etag": answer.headers["etag"]})
    said = {"path": "f", "upload_id": begun["upload_id"], "parts": told}

    assert door.ask("POST", f"{FILES}/mpu/complete/x", said).status == 200
    assert door("GET", f"{FILES}/artifacts/x/f").body == b"onetwo"


def test_gc_takes_what_was_deleted_and_nothing_else(pg):
    door = Door(pg)
    gone = pg.db.write(lambda tx: experiments.create(tx, pg, "gone"))
    stays, old = (pg.db.write(lambda tx, of=of: remote.create(tx, pg, experiment=of)) for of in (0, gone.id))
    for run in (stays, old):
        path = f"{FILES}/artifacts/{run.location.removeprefix('mlflow-artifacts:/')}/x"
        assert door("PUT", path, run.id.encode()).status == 200
    pg.db.write(lambda tx: experiments.delete(tx, pg, gone.id))
    for digest in pg.blobs.digests():
        os.utime(pg.blobs.path_of(digest), (1, 1))

    looked, done = (collect(pg, remove=remove, older_seconds=0) for remove in (False, True))

    assert (looked.purged, looked.blobs) == (done.purged, done.blobs)
    assert [one.id for one in done.purged] == [old.id, str(gone.id)]
    assert [pg.blobs.get(digest) for digest in pg.blobs.digests()] == [stays.id.encode()]
