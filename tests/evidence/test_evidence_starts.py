"""Starts, backfills, sweeps and trials: what the ledger says of them equals the rows, and a tampered row is named."""

from __future__ import annotations

import json
import sqlite3  # noqa: TID251 - somebody who edits the file does not use our adapter
from collections.abc import Iterator

import pytest

from evidence.test_evidence_verify import said
from ropewalk import leases
from ropewalk.evidence.verify import verify
from ropewalk.loops.tidy import Tidy
from ropewalk.schedules import backfill, schedule
from ropewalk.site import Site
from ropewalk.source.snapshot import snapshot_code
from ropewalk.sweeps import sweep as sweeps
from ropewalk.sweeps.sweep import DONE, FAILED, RUNNING, WAITING, Sweep
from ropewalk.testing.fakes import SetClock
from schedules.clockwork import Works, spec

ROWS = frozenset({"ledger", "rows"})
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400


def filled(site: Site) -> Works:
    """Let an hourly schedule start twice, miss a time, and have two hours of its past."""
    works = Works(site, [spec(cron="0 * * * *")])
    works.turn()
    for _ in range(2):
        site.clock.advance(HOUR_SECONDS)
        works.turn()
    site.clock.advance(3 * HOUR_SECONDS)
    works.turn()
    with site.db.read() as rows:
        hourly = schedule.get(rows, "nightly")
    from_us, until_us, found = backfill.planned(hourly, "2025-12-31T00:00", "2025-12-31T02:00", site.clock.now_us())
    site.db.write(
        lambda tx: backfill.begin(
            tx, site, hourly, (from_us, until_us), found, parallel=2, args_of=lambda one: {"n": one[0] % 7}
        )
    )
    works.turn()
    return works


def swept(site: Site) -> None:
    """Write a sweep down whose trials are in every state."""
    asked = Sweep(
        run_id="", key="k", pipeline="pipeline.py:train", space=json.dumps({"n": "1..4", "a": "x"}), method="random",
        trials=4, seed=3, goal="loss:min", parallel=2, failures_max=20,
    )  # fmt: skip
    code = snapshot_code(site)
    lease = leases.take(site.clock.now_us(), 1)
    args = [{"n": str(n), "a": "x"} for n in range(1, 5)]
    found, _, _ = site.db.write(
        lambda tx: sweeps.begin(tx, site, asked, code=code, environment="e", lease=lease, args=args)
    )
    for number, *states in ((1, RUNNING, DONE), (2, RUNNING, FAILED), (3, RUNNING, WAITING)):
        for state in states:

            def move(tx, number=number, state=state):
                value = 0.25 if state == DONE else None
                error = "it broke" if state == FAILED else ""
                one = sweeps.trial(tx, found.run_id, number)
                sweeps.move(tx, site, one, state, run=f"run-{number}", value=value, error=error)

            site.db.write(move)


@pytest.fixture
def raw(site: Site) -> Iterator[sqlite3.Connection]:
    filled(site)
    swept(site)
    connection = sqlite3.connect(site.hidden / "ropewalk.db", isolation_level=None)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def test_what_was_started_and_swept_is_what_the_ledger_says(raw: sqlite3.Connection, site: Site) -> None:
    states = {row["state"] for row in raw.execute("select state from fires")}

    assert {"done", "missed"} <= states
    assert said(verify(site, only=ROWS)) == ""


COLUMNS = {
    "fires": ("key", "cause", "actor", "due_us", "from_us", "until_us", "args", "told", "state", "note", "backfill"),
    "backfills": ("from_us", "until_us", "parallel", "state"),
    "sweeps": ("key", "pipeline", "space", "method", "trials", "seed", "goal"),
    # A trial that has not begun is known by the sweep's space and number alone.
    "trials": ("number", "args", "state", "run", "value", "error"),
}
WORDS = {"fires": "start", "backfills": "backfill", "sweeps": "sweep", "trials": "trial"}
OTHER = {"space": '{"n": "1..5"}', "args": '{"n":"9"}', "state": "cancelled", "value": 0.5}


@pytest.mark.parametrize(("table", "column"), [(table, one) for table, names in COLUMNS.items() for one in names])
def test_a_tampered_row_is_named(raw: sqlite3.Connection, site: Site, table: str, column: str) -> None:
    row = raw.execute(f"select rowid as place, * from {table} where {column} is not null order by rowid").fetchone()
    now = row[column]
    other = OTHER.get(column, now + 100 if isinstance(now, int) else f"{now}x")
    raw.execute(f"update {table} set {column} = ? where rowid = ?", (other, row["place"]))

    report = verify(site, only=ROWS)

    assert any(WORDS[table] in finding.what for finding in report.findings), said(report)


@pytest.mark.parametrize("table", COLUMNS)
def test_a_row_that_is_gone_is_named(raw: sqlite3.Connection, site: Site, table: str) -> None:
    raw.execute("pragma foreign_keys = off")
    raw.execute(f"delete from {table} where rowid = (select min(rowid) from {table})")

    report = verify(site, only=ROWS)

    assert any(WORDS[table] in one.what and "its row is gone" in one.why for one in report.findings), said(report)


def test_a_start_that_nobody_made_is_named(raw: sqlite3.Connection, site: Site) -> None:
    names = [row["name"] for row in raw.execute("pragma table_info(fires)") if row["name"] not in ("id", "key")]
    columns = ", ".join(names)
    raw.execute(f"insert into fires (id, key, {columns}) select 'forged', 'forged', {columns} from fires limit 1")

    report = verify(site, only=ROWS)

    assert "start forged: its row stands there, the ledger knows nothing" in said(report)


def test_starts_that_are_long_over_go_and_the_ledger_says_so(
    raw: sqlite3.Connection, site: Site, clock: SetClock
) -> None:
    tidy = Tidy(site, keep_days=30)
    count = raw.execute("select count(*) from fires").fetchone()[0]
    assert (tidy.turn(), raw.execute("select count(*) from fires").fetchone()[0]) == (False, count)
    clock.advance(31 * DAY_SECONDS)
    Works(site, [spec(cron="0 * * * *", catch_up="last")]).turn()  # one that is young
    young = raw.execute("select count(*) from fires").fetchone()[0] - count

    while tidy.turn():
        pass

    assert raw.execute("select count(*) from fires").fetchone()[0] == young > 0
    assert raw.execute("select count(*) from backfills").fetchone()[0] == 0
    assert said(verify(site, only=ROWS)) == ""


def test_intervals_stay_as_long_as_their_backfill(raw: sqlite3.Connection, site: Site, clock: SetClock) -> None:
    clock.advance(31 * DAY_SECONDS)
    with site.db.read() as rows:
        (found,) = backfill.listed(rows)
        hourly = schedule.get(rows, "nightly")
    spans = [(one["from_us"], one["until_us"]) for one in raw.execute("select * from fires where backfill <> ''")]
    span = (found.from_us, found.until_us)
    site.db.write(
        lambda tx: backfill.begin(tx, site, hourly, span, spans, parallel=2, args_of=lambda _: {}, whole=True)
    )
    Works(site, [spec(cron="0 * * * *")]).turn()

    while Tidy(site, keep_days=30).turn():
        pass

    assert raw.execute("select count(*) from fires where backfill <> ''").fetchone()[0] == len(spans) > 0
    assert said(verify(site, only=ROWS)) == ""
