"""SQLite and PostgreSQL behave as every store must."""

from functools import partial

import pytest

from ropewalk.clock import SystemClock
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.store import StoreCheck, store_checks
from store.postgres_places import needs_postgres, new_place


@pytest.mark.parametrize("check", store_checks(), ids=lambda check: check.name)
def test_sqlite(check: StoreCheck, tmp_path):
    check.run(partial(SqliteDatabase, tmp_path / "rows.db", SystemClock()))


@needs_postgres
@pytest.mark.parametrize("check", store_checks(), ids=lambda check: check.name)
def test_postgres(check: StoreCheck):
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url:
        check.run(partial(PostgresDatabase, url, SystemClock()))
