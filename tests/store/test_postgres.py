"""What PostgreSQL alone promises: its errors in our words, its own damage, one writer over processes, many views."""

from __future__ import annotations

import sys
from contextlib import closing

import psycopg
import pytest

from ropewalk.clock import SystemClock
from ropewalk.errors import Conflict, Corrupt, Invalid, Missing, RopewalkError, Unavailable
from ropewalk.store import postgres
from ropewalk.store.choose import open_postgres
from ropewalk.store.postgres import PostgresDatabase
from ropewalk.store.postgreslink import place, translate
from store.postgres_places import needs_postgres, new_place


@pytest.fixture
def db():
    with new_place() as url, closing(PostgresDatabase(url, SystemClock())) as made:
        yield made


def insert(tx, subject):
    return tx.run("events.insert", at_us=1, kind="k", subject=subject, body="{}")


@pytest.mark.parametrize(
    ("code", "kind", "ours"),
    [
        ("53100", Unavailable, "disk-full"),
        ("57014", Invalid, "query-too-costly"),
        ("55P03", Unavailable, "store-busy"),
        ("40001", Unavailable, "store-busy"),
        ("40P01", Unavailable, "store-busy"),
        ("58030", Unavailable, "store-io"),
        ("XX001", Corrupt, "store-damaged"),
        ("53300", Unavailable, "store-unreachable"),
        ("57P01", Unavailable, "store-unreachable"),
        ("08006", Unavailable, "store-unreachable"),
        ("23505", Conflict, "row-conflict"),
        ("22003", Invalid, "value-unstorable"),
        ("42601", RopewalkError, "store-error"),
    ],
)
def test_an_error_of_the_server_is_told_in_our_words(code, kind, ours):
    error = translate(psycopg.errors.lookup(code)("it said\nLINE 1: select secret from users"), "runs.get")

    assert isinstance(error, kind)
    assert error.code == ours
    assert "secret" not in str(error.record())


def test_a_place_names_no_user_and_no_password():
    assert (
        place("postgresql://ann:hush@db.example.org:6432/rows?options=-csearch_path%3Dx") == "db.example.org:6432/rows"
    )
    assert place("postgresql://%") == "[store] url"


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "ropewalk.store.postgres", raising=False)
    monkeypatch.delitem(sys.modules, "ropewalk.store.postgreslink", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(Missing) as caught:
        open_postgres("postgresql://localhost/x", SystemClock())

    assert "ropewalk[postgres]" in caught.value.fix


@needs_postgres
def test_a_schema_that_is_not_there_is_told():
    with new_place() as url, pytest.raises(Unavailable) as caught:
        PostgresDatabase(url + "_gone", SystemClock())

    assert "create schema" in caught.value.fix


@needs_postgres
def test_what_does_not_hold_is_called_damage(db):
    link = db.link()
    link.raw("alter table events add constraint never_looked_at check (seq > 0) not valid")
    link.close()

    assert db.damage() == ["never_looked_at does not hold"]


@needs_postgres
def test_a_writer_of_another_process_that_keeps_the_lock_is_told_as_busy(db):
    other = db.link()
    other.begin()

    with pytest.raises(Unavailable) as caught:
        db.write(lambda tx: insert(tx, "waits too long"))
    other.rollback()
    other.close()
    after = db.write(lambda tx: insert(tx, "after"))

    assert caught.value.code == "store-busy"
    assert after == 1


@needs_postgres
def test_more_views_than_connections_are_told_as_busy(db, monkeypatch):
    monkeypatch.setattr(postgres, "VIEW_WAIT_SECONDS", 0.1)
    opened = [db.read() for _ in range(postgres.VIEWS_MAX)]
    for one in opened:
        one.__enter__()

    with pytest.raises(Unavailable) as caught, db.read():
        pass
    for one in opened:
        one.__exit__(None, None, None)

    with db.read() as rows:
        assert rows.value("events.newest") == 0
    assert caught.value.code == "store-busy"


@needs_postgres
def test_a_failed_statement_in_a_view_spoils_no_other_view(db):
    with db.read() as rows, pytest.raises(RopewalkError):
        rows.composed("select no_such_column from events", {})

    with db.read() as rows:
        assert rows.value("events.newest") == 0


@needs_postgres
def test_writes_travel_as_arrays_and_one_by_one_alike(db):
    few = [{"at_us": n, "kind": "k", "subject": f"few {n}", "body": "{}"} for n in range(3)]
    many = [{"at_us": n, "kind": "k", "subject": f"many {n}", "body": "a,b\n'\\ {}"} for n in range(7_000)]

    counts = db.write(lambda tx: (tx.many("events.insert", few), tx.many("events.insert", iter(many))))

    with db.read() as rows:
        found = rows.rows("events.after", seq=0, count=10_000)
    assert counts == (3, 7_000)
    assert [row["subject"] for row in found] == [one["subject"] for one in [*few, *many]]
    assert found[-1]["body"] == "a,b\n'\\ {}"


@needs_postgres
def test_the_server_looks_again_at_a_table_that_has_grown_and_at_no_other(db):
    link = db.link()
    link.begin()
    link.insert("points", ("series", "at_ms", "step", "value", "is_nan"), [(1, n, n, 0.5, 0) for n in range(2_000)])
    link.raw("select pg_stat_force_next_flush()")
    link.commit()

    db.tend()

    known = link.raw("select distinct tablename::text from pg_stats where schemaname = current_schema()")
    vacuumed = link.raw(
        "select relname::text from pg_stat_user_tables where schemaname = current_schema() and vacuum_count > 0"
    )
    ((by_itself,),) = link.raw("select current_setting('autovacuum') = 'on'")
    link.close()
    assert known == [("points",)]
    assert vacuumed == ([] if by_itself else [("points",)])


@needs_postgres
def test_a_view_without_a_limit_is_not_cut_where_one_with_a_limit_would_be(db):
    allowed = []
    for seconds in (2.0, None, 1.0, 2.0):
        with db.read(seconds_max=seconds) as rows:
            allowed.append(rows._call.seconds_max)

    assert allowed == [5.0, 0.0, 3.0, 5.0]
