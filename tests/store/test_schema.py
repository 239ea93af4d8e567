"""Every step of the schema goes up and comes back, on both engines, with rows in it."""

from __future__ import annotations

import pytest

from ropewalk.clock import SystemClock
from ropewalk.errors import Conflict, Invalid, RopewalkError
from ropewalk.store import schema
from ropewalk.store.migrate import Migration, load_migrations, pending
from ropewalk.store.sqlite import SqliteDatabase
from store.postgres_places import SILENT, new_place

NEWEST = load_migrations("sqlite")[-1].number


@pytest.fixture(params=["sqlite", "postgres"])
def link(request, tmp_path):
    """A connection to a store without any step."""
    if request.param == "sqlite":
        db = SqliteDatabase(tmp_path / "rows.db", SystemClock(), climb=False)
        made = db.link()
        yield made
        made.close()
        db.close()
        return
    if SILENT:
        pytest.skip(f"no PostgreSQL answers: {SILENT}")
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url:
        db = PostgresDatabase(url, SystemClock(), climb=False)
        made = db.link()
        yield made
        made.close()
        db.close()


def climb(link, upto=NEWEST, on_step=lambda _: None):
    steps = [step for step in load_migrations(link.dialect) if step.number <= upto]
    schema.climb(link, SystemClock(), steps, where="here", on_step=on_step)


def shape(link):
    return {table: sorted(columns) for table, columns in link.tables().items()}


def test_each_step_comes_back_to_what_was_before_it(link):
    shapes = {0: shape(link)}
    for step in load_migrations(link.dialect):
        climb(link, step.number)
        shapes[step.number] = shape(link)
    below = {step.number: step.number - 1 for step in load_migrations(link.dialect)}

    for step in reversed(load_migrations(link.dialect)):
        schema.descend(link, load_migrations(link.dialect), below[step.number])
        assert shape(link) == shapes[max(number for number in shapes if number <= below[step.number])], step.name
    climb(link)

    assert shape(link) == shapes[NEWEST]


def test_every_step_has_a_way_back():
    assert [step.name for dialect in ("sqlite", "postgres") for step in load_migrations(dialect) if not step.undo] == []


def test_both_engines_make_the_same_tables(tmp_path):
    if SILENT:
        pytest.skip(f"no PostgreSQL answers: {SILENT}")
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url:
        stores = SqliteDatabase(tmp_path / "rows.db", SystemClock()), PostgresDatabase(url, SystemClock())
        shapes = []
        for store in stores:
            link = store.link()
            shapes.append(link.tables())
            link.close()
            store.close()

    assert shapes[0] == shapes[1]


def test_the_ledger_keeps_its_rows_on_both_engines(link):
    climb(link)
    link.begin()
    link.raw("insert into ledger values (1, 1, 'a', 'k', 's', '{}', 'p', 'h', 's')")
    link.commit()

    said = []
    statements = ["delete from ledger", "update ledger set actor = 'b'"]
    for statement in [*statements, "truncate ledger"] if link.dialect == "postgres" else statements:
        link.begin()
        with pytest.raises(RopewalkError) as caught:
            link.raw(statement)
        link.rollback()
        said.append((caught.value.code, caught.value.why))

    assert {code for code, _ in said} == {"row-conflict"}
    assert all("the ledger keeps every row" in why for _, why in said)
    assert link.raw("select count(*) from ledger") == [(1,)]


def test_what_a_walk_down_takes_away_is_told_and_not_done(link):
    climb(link)
    link.begin()
    link.raw("insert into events (at_us, kind, subject, body) values (1, 'k', 's', '{}')")
    link.commit()
    before = shape(link)

    losses = {loss.table: loss.rows for loss in schema.losses(link, load_migrations(link.dialect), 0)}

    assert losses["events"] == 1
    assert losses["experiments"] == 1
    assert set(losses) == set(before) - {"migrations"}
    assert shape(link) == before


def test_a_step_that_fails_leaves_the_one_before(link):
    climb(link)
    broken = Migration(
        number=NEWEST + 1,
        name="9999_broken",
        digest="sha256:x",
        dialect=link.dialect,
        portable="create table half (a integer);\ncreate table half (a integer);\n",
    )

    with pytest.raises(RopewalkError):
        schema.climb(link, SystemClock(), [*load_migrations(link.dialect), broken], where="here")

    assert "half" not in shape(link)
    assert max(schema.applied(link)) == NEWEST
    climb(link)


def test_a_step_without_a_way_back_is_refused_before_anything_is_done(link):
    climb(link)
    steps = [*load_migrations(link.dialect)]
    one_way = [
        Migration(number=step.number, name=step.name, digest=step.digest, dialect=link.dialect, portable="")
        if step.number == 2
        else step
        for step in steps
    ]

    with pytest.raises(Invalid) as caught:
        schema.descend(link, one_way, 1)

    assert caught.value.code == "store-step-one-way"
    assert max(schema.applied(link)) == NEWEST


def test_a_missing_step_between_others_is_applied():
    steps = load_migrations("sqlite")
    applied = {step.number: step.digest for step in steps if step.number != 3}

    assert [step.number for step in pending(applied, steps, "here")] == [3]


def test_a_step_that_this_release_does_not_know_is_a_newer_ones():
    steps = load_migrations("sqlite")

    with pytest.raises(Conflict) as caught:
        pending({9999: "sha256:x"}, steps, "here")

    assert caught.value.code == "store-newer"


def test_no_table_refers_to_itself_or_to_a_later_one():
    """What is copied table by table needs what it refers to before it."""
    import re

    made: set[str] = set()
    for step in load_migrations("sqlite"):
        for statement in step.statements:
            table = re.match(r"create table (\w+)", statement)
            if table:
                assert set(re.findall(r"references (\w+)", statement)) <= made, table[1]
                made.add(table[1])
