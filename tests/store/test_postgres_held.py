"""Who has a PostgreSQL store open beside others writes nothing while somebody has it alone, whichever line broke."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ropewalk.clock import SystemClock
from ropewalk.errors import Conflict, Unavailable
from ropewalk.store.postgres import PostgresDatabase
from store.postgres_places import needs_postgres, new_place

pytestmark = needs_postgres


def put(db: PostgresDatabase, key: str) -> None:
    db.write(lambda tx: tx.run("idempotency.insert", key=key, at_us=1, answer="1"))


@pytest.fixture
def place() -> Iterator[str]:
    with new_place() as place:
        yield place


@pytest.fixture
def opened(place: str) -> Iterator[tuple[PostgresDatabase, PostgresDatabase]]:
    one, other = PostgresDatabase(place, SystemClock()), PostgresDatabase(place, SystemClock())
    one.hold()
    put(one, "first")
    yield one, other
    one.close()
    other.close()


def holders(db: PostgresDatabase) -> list[int]:
    """Return the server's processes that hold the store: first that of the line which watches."""
    assert db._watch is not None
    number = db._number ^ 1
    found = db._watch.execute(
        "holders",
        "select pid from pg_locks where locktype = 'advisory' and mode = 'ShareLock'"
        f" and classid = {number >> 32 & 0xFFFFFFFF} and objid = {number & 0xFFFFFFFF}"
        " order by pid <> pg_backend_pid()",
        None,
    )
    return [int(pid) for (pid,) in found.fetchall()]


def end(place: str, *lines: int) -> None:
    with psycopg.connect(place, autocommit=True) as admin:
        for line in lines:
            admin.execute("select pg_terminate_backend(%s, 5000)", (line,))


def test_a_line_that_writes_holds_the_store_itself(opened, place):
    one, other = opened
    watch, *writing = holders(one)
    assert writing
    end(place, watch)

    with pytest.raises(Conflict) as caught:
        other.hold(alone=True)

    assert caught.value.code == "store-in-use"
    put(one, "second")


def test_who_comes_back_while_another_has_it_alone_writes_nothing(opened, place):
    one, other = opened
    end(place, *holders(one))
    other.hold(alone=True)

    for key in ("lost with its line", "refused"):
        with pytest.raises(Unavailable):
            put(one, key)
    with pytest.raises(Unavailable) as caught:
        put(one, "refused too")

    assert caught.value.code == "store-held"
    with other.read() as rows:
        assert [rows.value("idempotency.get", key=key) for key in ("first", "refused", "refused too")] == [
            "1",
            None,
            None,
        ]
    other.close()
    put(one, "second")
