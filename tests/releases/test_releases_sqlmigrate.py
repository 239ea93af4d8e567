"""The project's SQL goes up, down and up on a copy first, then on the real database, and comes back with its data."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.errors import Conflict, Refused
from ropewalk.releases import outcome, promote, release, rollout, sqlmigrate, traffic
from ropewalk.releases.line import ship
from ropewalk.releases.sqlmigrate import applied, data_digest, schema_digest, settle
from ropewalk.site import Site
from ropewalk.store.sqlitefile import SqliteFile

ADD = "alter table flights add column tail text default 'it''s; fine';\ncreate index by_tail on flights (tail);"
DROP = "drop index by_tail;\nalter table flights drop column tail;"
WITH = {"environments": {"production": {"database": "app.db"}}}


def database(site: Site) -> Path:
    """Make the project's database with two rows."""
    path = site.root / "app.db"
    site.root.mkdir(exist_ok=True)
    SqliteFile(path).change(
        [
            ("create table flights (id integer primary key, origin text not null)", {}),
            ("insert into flights values (1, 'JFK'), (2, 'EWR')", {}),
        ]
    )
    return path


def tables(path: Path, query: str) -> list[tuple]:
    return [tuple(row.values()) for row in SqliteFile(path).rows(query)]


def steps(up: str = ADD, down: str = DROP, *, number: int = 1) -> dict[str, str]:
    return {f"migrations/{number:04d}_tail.up.sql": up, f"migrations/{number:04d}_tail.down.sql": down}


def walked(site: Site, **parts):
    return ship(site, settings_of(**{**WITH, **parts}), doors=Small(site=site).doors(), wait=False)


def refused(site: Site, **parts) -> Refused:
    with pytest.raises(Refused) as caught:
        walked(site, **parts)
    return caught.value


def test_old_to_new_to_old_with_data(site: Site) -> None:
    path = database(site)
    before = schema_digest(path), data_digest(path)
    make_project(site.root)
    make_version(site)
    walked(site)
    make_project(site.root, steps())
    make_version(site, slope=2.1)

    assert walked(site).state == "canary"
    assert tables(path, "select id, origin, tail from flights") == [(1, "JFK", "it's; fine"), (2, "EWR", "it's; fine")]
    assert [(one.name, one.release) for one in applied(path)] == [("0001_tail", "flights/2")]
    SqliteFile(path).change([("insert into flights (id, origin) values (3, 'LGA')", {})])
    evidence = site.blobs.put(b"{}")
    site.db.write(lambda tx: rollout.fall(tx, site, rollout.active(tx)[0], evidence=evidence, reason="worse"))
    assert settle(site) == ["flights/2"]

    assert schema_digest(path) == before[0]
    assert tables(path, "select * from flights") == [(1, "JFK"), (2, "EWR"), (3, "LGA")]
    assert applied(path) == ()
    assert settle(site) == []
    with site.db.read() as reader:
        assert release.get(reader, "flights/2").schema_state == "down"


def test_a_rollback_takes_the_sql_of_the_champion_back(site: Site) -> None:
    path = database(site)
    make_project(site.root)
    make_version(site)
    walked(site)
    make_project(site.root, steps())
    make_version(site, slope=2.1)
    walked(site)
    site.db.write(lambda tx: promote.promote(tx, site, "flights/2"))
    assert settle(site) == []

    site.db.write(lambda tx: promote.rollback(tx, site, "flights"))
    settle(site)

    assert tables(path, "select * from flights") == [(1, "JFK"), (2, "EWR")]
    with site.db.read() as reader:
        assert traffic.current(reader, "flights").champion == "flights/1"


@pytest.mark.parametrize(
    ("up", "down", "says"),
    [
        (ADD, "drop index by_tail;", "does not restore schema and data"),
        ("delete from flights where id = 1;", "select 1;", "does not restore schema and data"),
        ("alter table nowhere add column x text;", "select 1;", "no such table: nowhere"),
        ("create table t (a);\nnonsense;", "drop table t;", "syntax error"),
    ],
)
def test_what_cannot_come_back_is_refused_and_the_database_is_untouched(
    site: Site, up: str, down: str, says: str
) -> None:
    path = database(site)
    before = schema_digest(path), data_digest(path)
    make_project(site.root, steps(up, down))
    make_version(site)

    error = refused(site)

    assert "stage 6, migrate" in error.what
    assert says in error.why
    assert (schema_digest(path), data_digest(path)) == before
    assert applied(path) == ()


def test_evidence_names_the_sql_and_the_schema_before_up_and_back(site: Site) -> None:
    path = database(site)
    make_project(site.root, steps())
    make_version(site)

    found = walked(site)

    with site.db.read() as reader:
        stored = outcome.last_outcome(reader, found.id, "migrate")
    said = json.loads(site.blobs.get(stored.evidence))["found"]
    assert said["trial"]["before"] == said["trial"]["back"]
    assert said["trial"]["up"] == said["trial"]["again"] == said["schema"] == schema_digest(path)
    assert [site.blobs.get(one[1]).decode() for one in said["applied"]] == [ADD]


def test_a_step_that_was_applied_may_not_be_edited(site: Site) -> None:
    database(site)
    make_project(site.root, steps())
    make_version(site)
    walked(site)
    make_project(site.root, steps(ADD + "\n-- changed\n"))
    make_version(site, slope=2.1)

    assert "A migration that was applied has been edited." in refused(site).why


def test_only_new_steps_are_applied(site: Site) -> None:
    path = database(site)
    make_project(site.root, steps())
    make_version(site)
    walked(site)
    more = {
        "migrations/0002_more.up.sql": "create table more (a integer);",
        "migrations/0002_more.down.sql": "drop table more;",
    }
    make_project(site.root, {**steps(), **more})
    make_version(site, slope=2.1)

    walked(site)

    assert [(one.number, one.release) for one in applied(path)] == [(1, "flights/1"), (2, "flights/2")]


def test_what_a_release_that_stopped_left_behind_goes_before_the_next_one(site: Site) -> None:
    path = database(site)
    make_project(site.root, steps())
    make_version(site)
    with pytest.raises(Refused):
        ship(site, settings_of(**WITH), doors=Small(site=site, wrong_by=1.0).doors())
    assert len(applied(path)) == 1
    for file in (site.root / "migrations").iterdir():
        file.unlink()
    make_project(site.root, steps("create table other (a);", "drop table other;"))
    make_version(site, slope=2.1)

    found = walked(site)

    assert found.state == "live"
    assert [one.release for one in applied(path)] == [found.id]
    assert tables(path, "select name from pragma_table_info('flights')") == [("id",), ("origin",)]
    with site.db.read() as reader:
        assert release.get(reader, "flights/1").schema_state == "down"


def fallen(site: Site) -> None:
    """Let the canary fall."""
    evidence = site.blobs.put(b"{}")
    site.db.write(lambda tx: rollout.fall(tx, site, rollout.active(tx)[0], evidence=evidence, reason="worse"))


def test_two_processes_that_settle_at_once_take_a_step_back_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = database(site)
    SqliteFile(path).change([("create table counter (value integer)", {}), ("insert into counter values (10)", {})])
    make_project(site.root)
    make_version(site)
    walked(site)
    make_project(site.root, steps("update counter set value = value + 1", "update counter set value = value - 1"))
    make_version(site, slope=2.1)
    walked(site)
    fallen(site)
    both, down = threading.Barrier(2), sqlmigrate._down

    def at_once(path: Path, found: list[sqlmigrate.Applied]) -> None:
        both.wait()
        down(path, found)

    monkeypatch.setattr(sqlmigrate, "_down", at_once)
    other = threading.Thread(target=settle, args=(site,))
    other.start()
    settle(site)
    other.join()

    assert tables(path, "select value from counter") == [(10,)]
    with site.db.read() as reader:
        kinds = [row["kind"] for row in reader.rows("ledger.from", seq=1, count=1000)]
    assert kinds.count("release.schema-down") == 1


def test_a_step_that_went_back_with_another_release_is_applied_again(site: Site) -> None:
    path = database(site)
    make_project(site.root)
    make_version(site)
    walked(site)
    make_project(site.root, steps())
    make_version(site, slope=2.1)
    walked(site)
    make_version(site, slope=2.2)
    with pytest.raises(Conflict, match="Another candidate"):
        walked(site)
    fallen(site)

    third = walked(site)

    assert third.state == "canary"
    assert [(one.name, one.release) for one in applied(path)] == [("0001_tail", third.id)]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"migrations/0001_a.up.sql": "select 1;"}, "needs both"),
        ({"migrations/first.up.sql": "select 1;"}, "is called NNNN_name"),
        (steps(number=2), "0001 was expected"),
        (steps("begin; create table t (a); commit;", "drop table t;"), "may not begin or end one"),
    ],
)
def test_names_numbers_and_ways_back_are_checked_at_build(site: Site, files: dict, says: str) -> None:
    make_project(site.root, files)
    make_version(site)

    error = refused(site)

    assert "stage 2, build" in error.what
    assert says in error.why


def test_migrations_without_a_database_or_with_one_outside_are_refused(site: Site) -> None:
    make_project(site.root, steps())
    make_version(site)

    assert "names no database" in refused(site, environments={}).why
    outside = refused(site, environments={"production": {"database": "../../other.db"}})
    assert "inside the project" in outside.why
