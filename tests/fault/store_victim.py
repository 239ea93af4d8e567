"""What is done to a store in a process that is killed or starved while it does it.

`store_victim.py STORE THREADS` writes for ever; STORE is a file or an address of PostgreSQL.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from pathlib import Path

from ropewalk.clock import SystemClock
from ropewalk.errors import RopewalkError
from ropewalk.store import schema
from ropewalk.store.choose import open_store
from ropewalk.store.link import Store
from ropewalk.store.migrate import load_migrations
from ropewalk.store.transfer import replace

BODY = "x" * 2_000


def say(text: str) -> None:
    """Write a line whole, at once: what is read of it was acknowledged."""
    os.write(1, f"{text}\n".encode())


def pair(store: Store, name: str, *, key: str | None = None, body: str = BODY) -> object:
    """Write the two rows of a name in one transaction; return the numbers that they got."""

    def work(tx):
        for half in "ab":
            tx.run("events.insert", at_us=1, kind="pair", subject=f"{name}{half}", body=body)
        tx.run("idempotency.insert", key=f"note {name}", at_us=1, answer="1")
        return {"name": name, "newest": tx.value("events.newest")}

    return store.write(work, key=key)


def write_for_ever(store: Store, threads: int) -> None:
    """Write pairs from several threads until somebody ends the process."""

    def one(thread: int) -> None:
        place = 0
        while True:
            name = f"{os.getpid()}-{thread}-{place}"
            place += 1
            try:
                pair(store, name)
            except RopewalkError as error:
                say(f"refused {error.code}")
            else:
                say(f"done {name}")

    for thread in range(threads):
        threading.Thread(target=one, args=(thread,), daemon=True).start()
    threading.Event().wait()


def die_at(step: int) -> list[int]:
    """Kill this process before the statement of that number, or after it when below 0; return what counts them."""
    from ropewalk.store import postgreslink, sqlite

    asked = [0]

    def around(method):
        def counted(*args, **values):
            asked[0] += 1
            if asked[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = method(*args, **values)
            if asked[0] == -step:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return counted

    for owner, name in (
        (sqlite.SqliteSession, "_ask"),
        (sqlite.SqliteSession, "run"),
        (sqlite.SqliteSession, "many"),
        (sqlite.SqliteLink, "_do"),
        (sqlite.SqliteLink, "raw"),
        (sqlite.SqliteLink, "insert"),
        (postgreslink.PostgresSession, "execute"),
        (postgreslink.PostgresSession, "copy_in"),
    ):
        setattr(owner, name, around(getattr(owner, name)))
    return asked


def named(where: str, *, climb: bool = True) -> Store:
    """Open a store by its name."""
    url, path = (where, Path()) if "://" in where else ("", Path(where))
    return open_store(url, path, SystemClock(), climb=climb)


def once(where: str, step: int, name: str, way) -> None:
    """Write one pair with its name as the key, and die at a statement."""
    store = named(where)
    die_at(step)
    way.send(pair(store, name, key=name))


def walk(where: str, step: int, to: int, way) -> None:
    """Walk the schema to a step, up or down, and die on the way."""
    store = named(where, climb=False)
    link = store.link()
    die_at(step)
    steps = load_migrations(link.dialect)
    schema.descend(link, steps, to)
    schema.climb(link, SystemClock(), [one for one in steps if one.number <= to], where="here")
    way.send("walked")


def move(where: str, step: int, other: str, way) -> None:
    """Copy a store into another, and die on the way."""
    source, target = named(where).link(patient=True), named(other).link(patient=True)
    asked = die_at(step)
    source.begin()
    target.begin()
    replace(source, target, SystemClock())
    target.commit()
    way.send(asked[0])


def limited(where: str, size: int, way) -> None:
    """Write pairs while no file may grow above a size: writes beyond it fail, as on a full disk."""
    store = named(where)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    said: dict[str, list[str]] = {"done": [], "refused": []}
    for place in range(30):
        name = f"{size}-{place}"
        try:
            pair(store, name, body="y" * 20_000)
        except RopewalkError as error:
            said["refused"].append(error.code)
        else:
            said["done"].append(name)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    pair(store, f"{size}-after")
    said["done"].append(f"{size}-after")
    way.send(said)


if __name__ == "__main__":
    opened = named(sys.argv[1])
    say("ready")
    write_for_ever(opened, int(sys.argv[2]))
