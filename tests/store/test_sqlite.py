"""What SQLite alone promises: files, durability settings, schema steps, errors."""

import sqlite3  # noqa: TID251 - the raw check bypasses the adapter under test
import stat

import pytest

from ropewalk.clock import SystemClock
from ropewalk.errors import Conflict, Corrupt, Unavailable
from ropewalk.store.sqlite import SqliteDatabase, translate


@pytest.fixture
def path(tmp_path):
    return tmp_path / "inner" / "rows.db"


def open_at(path):
    return SqliteDatabase(path, SystemClock())


def test_the_file_is_readable_by_its_owner_alone(path):
    open_at(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_every_connection_is_as_durable_as_measured(path):
    db = open_at(path)
    connection = db._connect()
    pragmas = {
        name: connection.execute(f"pragma {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    connection.close()
    db.close()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_opening_twice_applies_each_schema_step_once(path):
    open_at(path).close()
    open_at(path).close()

    with sqlite3.connect(path) as raw:
        numbers = [row[0] for row in raw.execute("select number from migrations order by number")]
    raw.close()
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


def test_a_folder_of_a_newer_release_is_refused_with_the_way_out(path):
    open_at(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("insert into migrations values (9999, 'future', 'x', 1)")
    raw.close()

    with pytest.raises(Conflict) as caught:
        open_at(path)

    assert caught.value.code == "store-newer"
    assert "upgrade" in caught.value.fix


def test_a_file_that_is_no_database_is_called_damaged(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database, but long enough to be looked at as one" * 100)

    with pytest.raises(Corrupt) as caught:
        open_at(path)

    assert caught.value.code == "store-damaged"


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("database or disk is full", Unavailable, "disk-full"),
        ("database is locked", Unavailable, "store-busy"),
        ("disk I/O error", Unavailable, "store-io"),
    ],
)
def test_a_failure_of_the_machine_is_told_in_our_words(text, kind, code):
    error = translate(sqlite3.OperationalError(text), "runs.insert")

    assert isinstance(error, kind)
    assert error.code == code
    assert "select" not in str(error.record())


def test_a_full_disk_undoes_the_group_and_the_store_goes_on(path):
    db = open_at(path)
    db.write(lambda tx: tx.run("events.insert", at_us=1, kind="k", subject="first", body="{}"))
    raw = db._connect()
    pages = raw.execute("pragma page_count").fetchone()[0]
    raw.close()

    def too_much(tx):
        tx._connection.execute(f"pragma max_page_count = {pages + 2}")
        tx.run("events.insert", at_us=1, kind="k", subject="much", body="x" * 1_000_000)

    with pytest.raises(Unavailable) as caught:
        db.write(too_much)
    assert caught.value.code in ("disk-full", "store-io")
    db.write(lambda tx: tx.run("events.insert", at_us=1, kind="k", subject="after", body="{}"))

    with db.read() as rows:
        assert [row["subject"] for row in rows.rows("events.after", seq=0, count=9)] == ["first", "after"]
    db.close()


def test_a_write_inside_a_write_is_named_instead_of_hanging(path):
    db = open_at(path)

    with pytest.raises(AssertionError, match="pass the transaction on"):
        db.write(lambda tx: db.write(lambda inner: None))

    db.close()


def test_a_backup_taken_meanwhile_is_a_whole_database(path, tmp_path):
    db = open_at(path)
    db.write(lambda tx: tx.run("events.insert", at_us=1, kind="k", subject="s", body="{}"))

    db.backup(tmp_path / "copy.db")
    db.write(lambda tx: tx.run("events.insert", at_us=1, kind="k", subject="later", body="{}"))
    db.close()

    copy = open_at(tmp_path / "copy.db")
    with copy.read() as rows:
        assert [row["subject"] for row in rows.rows("events.after", seq=0, count=9)] == ["s"]
    copy.close()


def test_a_moved_project_keeps_its_rows(path, tmp_path):
    db = open_at(path)
    db.write(lambda tx: tx.run("events.insert", at_us=1, kind="k", subject="s", body="{}"))
    db.close()
    path.parent.rename(tmp_path / "elsewhere")

    moved = open_at(tmp_path / "elsewhere" / "rows.db")
    with moved.read() as rows:
        assert rows.value("events.newest") == 1
    moved.close()


def test_a_schema_step_with_other_words_is_refused(path):
    open_at(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("update migrations set digest = 'sha256:other' where number = 1")
    raw.close()

    with pytest.raises(Conflict) as caught:
        open_at(path)

    assert caught.value.code == "store-other-schema"
    assert "0001" in caught.value.why
