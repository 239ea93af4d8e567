"""Every named query of every room is understood by a freshly migrated database."""

import re
import sqlite3  # noqa: TID251 - the raw check bypasses the adapter under test

import pytest

from ropewalk.clock import SystemClock
from ropewalk.store.migrate import load_migrations
from ropewalk.store.queries import load_queries
from ropewalk.store.sqlite import SqliteDatabase

NOT_PORTABLE = re.compile(
    r"\b(insert\s+or|replace\s+into|autoincrement|ifnull|datetime\(|strftime|julianday|json_each|json_extract|"
    r"rowid|glob|pragma|group_concat|last_insert_rowid|printf|unixepoch|typeof|total\()",
    re.IGNORECASE,
)


class AnyValue(dict):
    def __missing__(self, key):
        return 1


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "rows.db"
    SqliteDatabase(path, SystemClock()).close()
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", sorted(load_queries("sqlite")))
def test_the_query_is_understood(fresh, name):
    sql = load_queries("sqlite")[name]

    assert fresh.execute(f"explain {sql}", AnyValue()).fetchall()
    assert ";" not in sql.replace("'; '", ""), "one name, one statement"


@pytest.mark.parametrize("name", sorted(load_queries("sqlite")))
def test_the_query_speaks_no_dialect(name):
    sql = load_queries("sqlite")[name]

    assert not NOT_PORTABLE.search(sql), "PostgreSQL does not know this word"


def test_migrations_are_numbered_without_gaps():
    numbers = [step.number for step in load_migrations("sqlite")]

    assert numbers == list(range(1, len(numbers) + 1))


def test_every_table_belongs_to_one_migration():
    made = [
        name
        for step in load_migrations("sqlite")
        for statement in step.statements
        for name in re.findall(r"^create table (\w+)", statement, re.MULTILINE)
    ]

    assert len(made) == len(set(made))


def test_a_trigger_body_is_one_statement(fresh):
    with pytest.raises(sqlite3.IntegrityError, match="keeps every row"):
        fresh.executescript("insert into ledger values (1, 1, 'a', 'k', 's', '{}', 'p', 'h', 's'); delete from ledger;")
    with pytest.raises(sqlite3.IntegrityError, match="as it was written"):
        fresh.execute("update ledger set actor = 'b'")
    fresh.rollback()
