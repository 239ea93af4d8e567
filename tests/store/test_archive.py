"""A backup holds what was acknowledged before it, is refused when anything in it was changed, and comes back whole."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from ropewalk.clock import SystemClock
from ropewalk.errors import Conflict, Corrupt, NotFound, RopewalkError
from ropewalk.store import archive
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.store.transfer import measure
from store.postgres_places import SILENT, new_place

CLOCK = SystemClock()


@pytest.fixture(params=["sqlite", "postgres"])
def db(request, tmp_path):
    if request.param == "sqlite":
        with closing(SqliteDatabase(tmp_path / "rows.db", CLOCK)) as made:
            yield made
        return
    if SILENT:
        pytest.skip(f"no PostgreSQL answers: {SILENT}")
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url, closing(PostgresDatabase(url, CLOCK)) as made:
        yield made


def fresh(folder, name="other.db"):
    return closing(SqliteDatabase(folder / name, CLOCK))


def insert(tx, subject, body="{}"):
    return tx.run("events.insert", at_us=1, kind="k", subject=subject, body=body)


def subjects(db):
    with db.read() as rows:
        return [str(row["subject"]) for row in rows.rows("events.after", seq=0, count=1_000_000)]


def holdings(db):
    link = db.link()
    link.look()
    try:
        return {one.table: (one.rows, one.digest) for one in measure(link)}
    finally:
        link.rollback()
        link.close()


def test_every_kind_of_value_comes_back_as_it_was(db, tmp_path):
    bodies = ["", "'; drop table events; --", "π 🪢 \u2028", "a\tb\nc\\N \\. 'd'", "x" * 100_000, "\\x00 NULL"]
    db.write(lambda tx: [insert(tx, str(place), body) for place, body in enumerate(bodies)])
    db.write(lambda tx: tx.run("idempotency.insert", key="k", at_us=-(1 << 63), answer=str((1 << 63) - 1)))

    page = archive.write(db, tmp_path / "kept", CLOCK)
    with fresh(tmp_path) as other:
        archive.restore(tmp_path / "kept", other, CLOCK)
        with other.read() as rows:
            back = [row["body"] for row in rows.rows("events.after", seq=0, count=99)]
        assert holdings(other) == holdings(db) == {one.table: (one.rows, one.digest) for one in page.tables}

    assert back == bodies
    assert archive.read(tmp_path / "kept") == page


def test_numbers_go_on_above_those_that_came_back(db, tmp_path):
    with fresh(tmp_path) as other:
        other.write(lambda tx: [insert(tx, name) for name in "abc"])
        archive.write(other, tmp_path / "kept", CLOCK)

    archive.restore(tmp_path / "kept", db, CLOCK)
    db.write(lambda tx: insert(tx, "d"))

    with db.read() as rows:
        assert [row["seq"] for row in rows.rows("events.after", seq=0, count=9)] == [1, 2, 3, 4]


def test_a_backup_under_sixteen_writers_has_everything_acknowledged_before_it(db, tmp_path):
    acknowledged: list[str] = []
    stop = threading.Event()

    def write(thread):
        place = 0
        while not stop.is_set():
            name = f"{thread}-{place}"
            db.write(lambda tx, name=name: [insert(tx, f"{name}{half}") for half in "ab"])
            acknowledged.append(name)
            place += 1

    with ThreadPoolExecutor(16) as pool:
        writers = [pool.submit(write, thread) for thread in range(16)]
        while len(acknowledged) < 200:
            stop.wait(0.01)
        mark = list(acknowledged)
        archive.write(db, tmp_path / "kept", CLOCK)
        during = len(acknowledged) - len(mark)
        stop.set()
        for writer in writers:
            writer.result(30)

    with fresh(tmp_path) as other:
        page = archive.restore(tmp_path / "kept", other, CLOCK)
        there = subjects(other)
    missing = {f"{name}{half}" for name in mark for half in "ab"} - set(there)
    print(  # noqa: T201 - the figure
        f"{len(mark)} acknowledged before, {during} while it was made, {len(there) // 2} in it, {len(missing)} missing"
    )
    assert missing == set()
    assert len(there) % 2 == 0, "half a transaction is in the backup"
    assert page.rows >= len(there)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: (kept / "rows.db").write_bytes((kept / "rows.db").read_bytes()[:-1]),
        lambda kept: flip(kept / "rows.db", 5000),
        lambda kept: (kept / "rows.db").unlink(),
        lambda kept: (kept / "backup.json").write_bytes(b"{}"),
        lambda kept: (kept / "backup.json").write_bytes(b"\xff{"),
        lambda kept: edit(kept / "backup.json", '"ledger":0', '"ledger":7'),
        lambda kept: edit(kept / "backup.json", '"rows":2', '"rows":3'),
    ],
    ids=["cut off", "a bit", "no rows", "empty page", "no json", "another ledger", "another count"],
)
def test_a_damaged_backup_is_refused_and_changes_nothing(tmp_path, damage):
    with fresh(tmp_path, "rows.db") as db:
        db.write(lambda tx: [insert(tx, name) for name in "ab"])
        archive.write(db, tmp_path / "kept", CLOCK)
    damage(tmp_path / "kept")

    with fresh(tmp_path) as other:
        with pytest.raises(Corrupt) as caught:
            archive.restore(tmp_path / "kept", other, CLOCK, force=True)
        assert subjects(other) == []

    assert caught.value.code == "backup-damaged"


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_backup_of_a_newer_release_is_refused(tmp_path):
    with fresh(tmp_path, "rows.db") as db:
        archive.write(db, tmp_path / "kept", CLOCK)
    said = json.loads((tmp_path / "kept" / "backup.json").read_text())
    said["backup"]["format"] = 2
    (tmp_path / "kept" / "backup.json").write_text(json.dumps(said))

    with pytest.raises(Conflict) as caught:
        archive.read(tmp_path / "kept")

    assert caught.value.code == "store-newer"


def test_a_folder_that_is_no_backup_is_told(tmp_path):
    with pytest.raises(NotFound):
        archive.read(tmp_path)


def test_an_older_backup_is_brought_to_this_releases_schema(tmp_path):
    from ropewalk.store import schema
    from ropewalk.store.migrate import load_migrations

    with closing(SqliteDatabase(tmp_path / "old.db", CLOCK, climb=False)) as old:
        link = old.link()
        schema.climb(link, CLOCK, load_migrations("sqlite")[:1], where="here")
        link.close()
        old.write(lambda tx: insert(tx, "from before"))
        archive.write(old, tmp_path / "kept", CLOCK)
    before = (tmp_path / "kept" / "rows.db").read_bytes()

    with fresh(tmp_path) as other:
        archive.restore(tmp_path / "kept", other, CLOCK)
        assert subjects(other) == ["from before"]
        with other.read() as rows:
            assert rows.value("events.newest") == 1

    assert (tmp_path / "kept" / "rows.db").read_bytes() == before


def test_a_restore_that_breaks_off_leaves_what_was_there(db, tmp_path):
    with fresh(tmp_path) as other:
        other.write(lambda tx: [insert(tx, str(place)) for place in range(100)])
        archive.write(other, tmp_path / "kept", CLOCK)
    db.write(lambda tx: insert(tx, "mine"))
    before = holdings(db)

    def break_off(_tx, _page):
        raise RopewalkError("store-error", "It broke off.")

    with pytest.raises(RopewalkError, match="broke off"):
        archive.restore(tmp_path / "kept", db, CLOCK, force=True, on_done=break_off)

    assert holdings(db) == before
    assert subjects(db) == ["mine"]


def test_a_backup_that_cannot_be_finished_leaves_nothing_behind(db, tmp_path):
    def no_room(_):
        raise OSError(28, "No space left on device")

    (tmp_path / "shelf").mkdir()

    with pytest.raises(OSError, match="No space"):
        archive.write(db, tmp_path / "shelf" / "kept", CLOCK, blobs=no_room)

    assert list((tmp_path / "shelf").iterdir()) == []
