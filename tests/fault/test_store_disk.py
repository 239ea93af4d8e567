"""A store on a disk that fills or refuses keeps what it acknowledged, and goes on afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fault.store_scene import MIB, ROUNDS, in_child, mounted, opened, subjects, torn
from fault.store_victim import limited, pair
from ropewalk.clock import SystemClock
from ropewalk.errors import RopewalkError
from ropewalk.store.sqlite import SqliteDatabase

pytestmark = pytest.mark.fault


def test_writes_that_the_disk_refuses_are_told_and_the_store_goes_on(tmp_path: Path) -> None:
    """No file may grow above a size, a little higher each time, so that another write is refused each time."""
    refused, done = Counter[str](), 0
    for place in range(4 * ROUNDS):
        path = tmp_path / f"{place}.db"
        with opened(str(path)):
            pass
        _, said = in_child(limited, str(path), path.stat().st_size + 20_000 + place * 16_000)
        assert isinstance(said, dict)
        with opened(str(path)) as store:
            there = subjects(store)
            assert {f"{name}{half}" for name in said["done"] for half in "ab"} == set(there)
            assert torn(there) == []
            assert store.damage() == []
        refused.update(said["refused"])
        done += len(said["done"])
    print(f"sqlite: {done} acknowledged and there, refused {dict(refused)}, 0 torn")  # noqa: T201 - the figure
    assert refused
    assert set(refused) <= {"disk-full", "store-io"}


def test_a_full_disk_refuses_and_recovers_within_a_second(tmp_path: Path) -> None:
    """Four writers fill a disk of 8 MB with all of the reserve taken away, then somebody frees space."""
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=8m", "tmpfs") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(3 * MIB))
        acknowledged, codes, stop = list[str](), Counter[str](), threading.Event()
        with closing(SqliteDatabase(disk / "rows" / "rows.db", SystemClock(), reserve_bytes=0)) as store:

            def write(thread: int) -> None:
                place = 0
                while not stop.is_set():
                    name = f"{thread}-{place}"
                    place += 1
                    try:
                        pair(store, name, body="z" * 20_000)
                    except RopewalkError as error:
                        codes[error.code] += 1
                        time.sleep(0.01)
                    else:
                        acknowledged.append(name)

            writers = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
            for writer in writers:
                writer.start()
            waited = time.monotonic() + 30
            while codes.total() < 20 and time.monotonic() < waited:
                time.sleep(0.01)
            reads = len(subjects(store))
            before, freed = len(acknowledged), time.monotonic()
            ballast.unlink()
            while len(acknowledged) == before and time.monotonic() < freed + 10:
                time.sleep(0.002)
            resumed = time.monotonic() - freed
            stop.set()
            for writer in writers:
                writer.join(30)
            there = subjects(store)
            damage = store.damage()
    print(  # noqa: T201 - the figure
        f"sqlite on 8 MB: {len(acknowledged)} acknowledged, refused {dict(codes)}, {reads} rows read while full, "
        f"writing again {resumed * 1000:.0f} ms after space was freed"
    )
    assert set(codes) <= {"disk-full", "store-io"}
    assert codes.total() >= 20
    assert reads
    assert resumed < 1.0
    assert {f"{name}{half}" for name in acknowledged for half in "ab"} <= set(there)
    assert torn(there) == []
    assert damage == []


def test_the_reserve_is_kept_for_what_is_urgent_and_given_back_within_a_second(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=100m", "tmpfs") as disk,
        closing(SqliteDatabase(disk / "rows" / "rows.db", SystemClock())) as store,
    ):
        pair(store, "before")
        (disk / "ballast").write_bytes(bytes(50 * MIB))
        time.sleep(0.6)
        with pytest.raises(RopewalkError) as caught:
            pair(store, "refused")
        rollback = store.write(
            lambda tx: tx.run("events.insert", at_us=1, kind="pair", subject="rollback", body="{}"), urgent=True
        )
        (disk / "ballast").unlink()
        freed, resumed = time.monotonic(), 0.0
        while not resumed:
            with suppress(RopewalkError):
                pair(store, "after")
                resumed = time.monotonic() - freed
        there = subjects(store)
    print(f"writing again {resumed * 1000:.0f} ms after space was freed")  # noqa: T201 - the figure
    assert caught.value.code == "disk-full"
    assert rollback == 1
    assert there == ["beforea", "beforeb", "rollback", "aftera", "afterb"]
    assert resumed < 1.0
