"""A last part of the disk is kept back for what must always fit."""

import os
from types import SimpleNamespace

import pytest

from ropewalk.clock import SystemClock
from ropewalk.errors import Unavailable
from ropewalk.store import reserve
from ropewalk.store.reserve import Reserve
from ropewalk.store.sqlite import SqliteDatabase

MIB = 1 << 20


@pytest.fixture
def disk(monkeypatch):
    """A disk whose free space the test says, looked at each time."""
    free = SimpleNamespace(mib=1000, looks=0)

    def statvfs(_):
        free.looks += 1
        return SimpleNamespace(f_bavail=free.mib, f_frsize=MIB)

    monkeypatch.setattr(reserve, "os", SimpleNamespace(statvfs=statvfs))
    monkeypatch.setattr(reserve, "LOOK_SECONDS", -1.0)
    return free


def insert(tx, subject):
    return tx.run("events.insert", at_us=1, kind="k", subject=subject, body="{}")


def test_a_nearly_full_disk_refuses_all_but_what_is_urgent_and_recovers(tmp_path, disk):
    db = SqliteDatabase(tmp_path / "rows.db", SystemClock())
    db.write(lambda tx: insert(tx, "before"))
    disk.mib = 63

    with pytest.raises(Unavailable) as caught:
        db.write(lambda tx: insert(tx, "refused"))
    db.write(lambda tx: insert(tx, "rollback"), urgent=True)
    disk.mib = 64
    db.write(lambda tx: insert(tx, "after"))

    with db.read() as rows:
        assert [row["subject"] for row in rows.rows("events.after", seq=0, count=9)] == ["before", "rollback", "after"]
    db.close()
    assert caught.value.code == "disk-full"
    assert "63 MiB" in caught.value.why


def test_the_disk_is_not_asked_at_every_write(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(reserve, "LOOK_SECONDS", 60.0)
    kept = Reserve(tmp_path, 64 * MIB)

    assert [kept.refusal() for _ in range(1000)] == [None] * 1000
    assert disk.looks == 1


def test_a_real_disk_is_understood(tmp_path):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize

    assert Reserve(tmp_path, free // 2).refusal() is None
    assert Reserve(tmp_path, 1 << 60).refusal() is not None
    assert Reserve(tmp_path / "gone", 1 << 60).refusal() is None
