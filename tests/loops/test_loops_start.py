"""Who runs a start: one holder at a time, the next one when he is gone, and two servers that race for all of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ropewalk.blobs.folder import FolderBucket
from ropewalk.errors import Interrupted
from ropewalk.leases import boot_id
from ropewalk.ledger.sign import Signer
from ropewalk.schedules.fire import DONE, WAITING, Fire
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.store.sqlitefile import SqliteFile
from ropewalk.testing.fakes import SetClock
from schedules.clockwork import HOUR, SECOND, Works, spec, us
from store.postgres_places import needs_postgres, new_place

START = us("2026-01-01 00:00")  # where SetClock stands
HOURLY = spec(cron="0 * * * *")


def test_a_server_that_stops_gives_its_start_back_to_the_next_one(site: Site, clock: SetClock) -> None:
    began = threading.Event()

    def start(fire: Fire, halt: threading.Event) -> str:
        began.set()
        assert halt.wait(30)
        raise Interrupted("fire-broken-off", "It was ended.")

    Works(site, [HOURLY]).turn()
    clock.advance(3600)
    first = Works(site, [HOURLY], start)
    loop = first.schedules.loop()
    loop.start()
    assert began.wait(30)
    loop.stop()
    assert [one.state for one in first.all()] == [WAITING]
    second = Works(site, [HOURLY])
    second.turn()

    assert [one.state for one in second.all()] == [DONE]
    assert len(second.started) == 1


def test_a_server_may_stop_at_the_moment_in_which_a_start_begins(site: Site, clock: SetClock, monkeypatch) -> None:
    begin, refused = threading.Thread.start, list[RuntimeError]()
    works = Works(site, [HOURLY])
    works.turn()
    clock.advance(3600)

    def stop() -> None:
        try:
            works.starts.stop()
        except RuntimeError as error:
            refused.append(error)

    stopper = threading.Thread(target=stop)

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("ropewalk-fire"):
            begin(stopper)
            stopper.join(0.2)  # it waits for us where all is well, and is over with an error where not
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    works.schedules.turn()
    stopper.join(30)

    assert refused == []
    assert not works.starts.busy


def held_by(site: Site, one: Fire, **lease: str | int) -> None:
    """Write another holder into a start's row, as it would have done itself."""
    words = ", ".join(f"{name} = :{name}" for name in lease)
    statement = f"update fires set state = 'running', fence = 7, {words} where id = :id"
    SqliteFile(site.hidden / "ropewalk.db").change([(statement, {**lease, "id": one.id})])


def waiting(site: Site, clock: SetClock) -> Fire:
    """Return a start that waits: it is due, and its jitter keeps it back."""
    late = spec(cron="0 * * * *", jitter="30m")
    works = Works(site, [late])
    works.turn()
    clock.advance(3600)
    works.turn()
    (one,) = works.all()
    assert one.state == WAITING
    return one


@pytest.fixture
def on_sqlite(site: Site) -> None:
    if not isinstance(site.db, SqliteDatabase):
        pytest.skip("writes into the file behind the door")


def test_a_dead_holder_on_this_host_is_replaced_at_once(site: Site, clock: SetClock, on_sqlite: None) -> None:
    import socket

    one = waiting(site, clock)
    held_by(site, one, host=socket.gethostname(), boot=boot_id(), pid=1, born=1, expires_us=1 << 60)
    works = Works(site, [spec(cron="0 * * * *", jitter="30m")])

    works.turn()

    assert [(it.id, it.state, it.fence) for it in works.all()] == [(one.id, DONE, 8)]


def test_a_holder_on_another_host_is_judged_by_its_silence_and_not_by_clocks(
    site: Site, clock: SetClock, on_sqlite: None
) -> None:
    one = waiting(site, clock)
    held_by(site, one, host="elsewhere", boot="b", pid=1, born=1, expires_us=clock.now_us() + 60 * SECOND)
    works = Works(site, [spec(cron="0 * * * *", jitter="30m")])
    works.turn()
    clock.jump(400 * 86_400)
    works.turn()
    assert works.started == []
    clock.jump(-400 * 86_400)
    clock.advance(59)
    held_by(site, one, expires_us=clock.now_us() + 90 * SECOND)  # it has renewed
    works.turn()
    clock.advance(59)
    works.turn()
    assert works.started == []
    clock.advance(2)
    works.turn()

    assert [it.id for it in works.started] == [one.id]


def sites(count: int, root: Path, url: str, clock: SetClock) -> Iterator[Site]:
    """Give several sites on one store, each with a connection of its own, as servers have."""
    hidden = root / HIDDEN
    hidden.mkdir(parents=True, exist_ok=True)
    for _ in range(count):
        if url:
            from ropewalk.store.postgres import PostgresDatabase

            db = PostgresDatabase(url, clock)
        else:
            db = SqliteDatabase(hidden / "ropewalk.db", clock)
        blobs, signer = FolderBucket(hidden / "blobs"), Signer.create(hidden / "keys")
        yield Site(root=root, db=db, blobs=blobs, clock=clock, signer=signer, actor="ann@example.org")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    with new_place() as url:
        yield url


def test_two_servers_on_one_store_start_everything_once(store: str, tmp_path: Path, clock: SetClock) -> None:
    specs = [spec(name=f"s{n}", cron="*/10 * * * *", catch_up="all") for n in range(3)]
    homes = list(sites(2, tmp_path, store, clock))
    servers = [Works(site, specs) for site in homes]
    try:
        servers[0].turn()
        with ThreadPoolExecutor(2) as pool:
            for _ in range(6):
                clock.advance(1200)
                list(pool.map(lambda one: one.turn(), servers))
        for one in servers:
            one.turn()
        started = [(fire.schedule, fire.due_us) for one in servers for fire in one.started]
        rows = [(fire.schedule, fire.due_us, fire.state) for n in range(3) for fire in servers[0].all(f"s{n}")]
    finally:
        for site in homes:
            site.db.close()

    wanted = [(f"s{n}", START + ten * 600 * SECOND) for n in range(3) for ten in range(1, 13)]
    assert sorted(started) == wanted
    assert sorted(rows) == [(*one, DONE) for one in wanted]


@pytest.mark.parametrize("point", ["deciding", "decided", "claiming", "claimed", "begun"])
def test_a_server_killed_between_deciding_and_running_leaves_one_start_for_the_next(
    site: Site, clock: SetClock, on_sqlite: None, point: str
) -> None:
    works = Works(site, [HOURLY])
    works.turn()
    clock.advance(3600)
    script = Path(__file__).parent / "killed_starter.py"
    words = [sys.executable, str(script), str(site.root), str(clock.now_us()), point]

    killed = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    works.turn()
    works.turn()
    (one,) = works.all()
    assert (one.state, one.due_us, len(works.started)) == (DONE, START + HOUR, 1)
    assert one.fence == (2 if point in ("claimed", "begun") else 1)
