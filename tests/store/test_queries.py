"""Every named query of every room is understood by a freshly migrated database, SQLite or PostgreSQL."""

import re
import sqlite3  # noqa: TID251 - the raw check bypasses the adapter under test
from dataclasses import replace
from pathlib import Path

import pytest

from ropewalk.clock import SystemClock
from ropewalk.store.dialect import to_postgres
from ropewalk.store.inserts import insert_of, numbered_by_hand, plain_insert, poured
from ropewalk.store.migrate import load_migrations
from ropewalk.store.queries import load_queries
from ropewalk.store.sqlite import SqliteDatabase
from store.postgres_places import needs_postgres, new_place

NOT_PORTABLE = re.compile(
    r"\b(insert\s+or|replace\s+into|autoincrement|ifnull|datetime\(|strftime|julianday|json_each|json_extract|"
    r"rowid|glob|pragma|group_concat|last_insert_rowid|printf|unixepoch|typeof|total\(|as\s+real)|\"",
    re.IGNORECASE,
)
# A pattern that is put together needs its escape said: PostgreSQL takes a backslash for one unasked.
PATTERN_WITHOUT_ESCAPE = re.compile(r"\blike\s+[^\s]+\s*\|\|(?!.*\bescape\b)", re.IGNORECASE | re.DOTALL)


SRC = Path(__file__).parents[2] / "src" / "ropewalk"


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


SAID_TWICE = {name for name, sql in load_queries("sqlite").items() if load_queries("postgres").get(name) != sql}


def test_what_one_engine_is_asked_in_its_own_words_the_other_is_too():
    assert load_queries("sqlite").keys() == load_queries("postgres").keys()


@pytest.mark.parametrize("name", sorted(load_queries("sqlite").keys() - SAID_TWICE))
def test_the_query_speaks_no_dialect(name):
    sql = load_queries("sqlite")[name]

    assert not NOT_PORTABLE.search(sql), "PostgreSQL does not know this word"
    assert not PATTERN_WITHOUT_ESCAPE.search(sql), "say `escape ''` or `escape '\\'` after a pattern"


@pytest.fixture(scope="module")
def server():
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url:
        db = PostgresDatabase(url, SystemClock())
        link = db.link()
        yield link
        link.close()
        db.close()


@needs_postgres
@pytest.mark.parametrize("name", sorted(load_queries("postgres")))
def test_the_query_is_understood_by_postgresql(server, name):
    sql = load_queries("postgres")[name]
    names = sorted(set(re.findall(r"(?<!:):([a-z_]\w*)", re.sub(r"'[^']*'", "", sql))))

    # As the driver sends it: typed by what PostgreSQL makes of each parameter, planned and not run.
    server.raw(f"prepare looked_at as {numbered(sql, names)}")
    try:
        assert server.raw(f"explain execute looked_at{'(' + ', '.join(['null'] * len(names)) + ')' if names else ''}")
    finally:
        server.raw("deallocate looked_at")


def numbered(sql, names):
    words = to_postgres(sql).replace("%%", "%")
    for place, name in enumerate(names, 1):
        words = words.replace(f"%({name})s", f"${place}")
    return words


@needs_postgres
def test_a_number_given_by_hand_is_never_given_again():
    from ropewalk.store.postgres import PostgresDatabase

    by_hand = numbered_by_hand(
        {"t.with": "insert into t (id, x) values (:id, :x)", "t.without": "insert into t (x) values (:x)"},
        [("t", "id"), ("u", "id")],
    )
    with new_place() as url:
        db = PostgresDatabase(url, SystemClock())
        link = db.link()
        link.session._words = replace(link.session._words, numbered={"events.insert": ("events", "seq")})
        link.begin()
        link.raw("insert into events (seq, at_us, kind, subject, body) values (40, 1, 'k', 'by hand', '{}')")
        link.session._go_on_above("events.insert")
        link.session.run("events.insert", at_us=1, kind="k", subject="given", body="{}")
        link.commit()
        link.close()
        with db.read() as reader:
            numbers = [row["seq"] for row in reader.rows("events.after", seq=0, count=9)]
        db.close()

    assert by_hand == {"t.with": ("t", "id")}
    assert numbers == [40, 41]


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("insert into t (a, b) values (:x, :y)", ("a", "b")),
        ("insert into t (a)\nvalues (:x)\non conflict (a) do nothing", ("a",)),
        ("insert into t (a, b) values (:x, 'word')", None),
        ("insert into t (a) values (coalesce(:x, 0))", None),
        ("insert into t (a) values (:x) on conflict (a) do update set a = excluded.a", None),
        ("insert into t (a) values (:x) returning a", None),
        ("select 1", None),
    ],
)
def test_only_plain_inserts_travel_as_arrays(sql, columns):
    found = plain_insert(sql)

    assert (found and found.columns) == columns


def test_an_insert_that_changes_what_is_there_is_said_for_many_rows_but_not_as_a_plain_one():
    sql = "insert into t (a, b) values (:x, :y) on conflict (a) do update set b = excluded.b"

    said = list(poured(sql, [(n, "w") for n in range(112)]))

    assert insert_of(sql) is not None
    assert plain_insert(sql) is None
    assert [len(values) // 2 for _, values in said] == [100, 10, 1, 1]
    assert said[-1][0] == "insert into t (a, b) values (?, ?) on conflict (a) do update set b = excluded.b"
    assert [value for _, values in said for value in values[::2]] == list(range(112))


def test_statements_are_composed_by_compilers_alone():
    calls = [
        path
        for path in SRC.rglob("*.py")
        if ".composed(" in path.read_text()
        and path.name != "compile.py"
        and path.parent.name not in ("store", "testing")
    ]

    assert calls == [], "compose SQL in a compile.py, where it is seen to bind every value"


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
