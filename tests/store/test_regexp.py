"""Regular expressions that SQLite runs end with the statement's time, however few steps SQLite itself has taken."""

import time

import pytest

from ropewalk.clock import SystemClock
from ropewalk.errors import Invalid
from ropewalk.store.regexp import fits_until
from ropewalk.store.sqlite import SqliteDatabase

ROWS = "select count(*) as count from (values ('aab'), ('b'), (null)) where column1 regexp :expression"

MANY = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000)
select count(*) as count from n where cast(i as text) regexp :expression
"""


def test_a_statement_has_its_time_also_where_its_expressions_take_it(tmp_path):
    db = SqliteDatabase(tmp_path / "rows.db", SystemClock())
    try:
        with db.read() as rows:
            fine = rows.composed(ROWS, {"expression": "^a+b$"})
        with pytest.raises(Invalid) as caught, db.read(seconds_max=0) as rows:
            rows.composed(ROWS, {"expression": "^a+b$"})
        with db.read() as rows:  # the next view on the same connection has its own
            again = rows.composed(ROWS, {"expression": "^a+b$"})
    finally:
        db.close()

    assert caught.value.code == "query-too-costly"
    assert fine == again


def test_what_has_had_its_time_is_matched_no_more():
    ended = []

    assert fits_until(lambda: True, lambda: ended.append(1), ended.append)("a", "a") is None
    assert fits_until(lambda: False, lambda: ended.append(2), lambda _: None)("a", "a") is True
    assert ended == [1]


def test_what_polars_wakes_beside_us_counts_too(tmp_path):
    db = SqliteDatabase(tmp_path / "rows.db", SystemClock())
    try:
        began = time.process_time()
        with pytest.raises(Invalid) as caught, db.read(seconds_max=0.2) as rows:
            rows.composed(MANY, {"expression": "(a?b?){99}c"})
        took = time.process_time() - began
    finally:
        db.close()

    assert caught.value.code == "query-too-costly"
    assert took < 0.3
