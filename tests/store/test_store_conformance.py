"""SQLite behaves as every store must."""

from functools import partial

import pytest

from ropewalk.clock import SystemClock
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.store import StoreCheck, store_checks


@pytest.mark.parametrize("check", store_checks(), ids=lambda check: check.name)
def test_sqlite(check: StoreCheck, tmp_path):
    check.run(partial(SqliteDatabase, tmp_path / "rows.db", SystemClock()))
