"""Schemas of their own on a real PostgreSQL server, one for each test, dropped at its end."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

SERVER = os.environ.get("ROPEWALK_TEST_POSTGRES", "") or "postgresql://127.0.0.1:5432/test"


def why_silent() -> str:
    """Return why no server answers, or nothing where one does."""
    try:
        psycopg.connect(SERVER, connect_timeout=3).close()
    except psycopg.Error as error:
        return str(error).partition("\n")[0]
    return ""


SILENT = why_silent()
if SILENT and os.environ.get("ROPEWALK_TEST_POSTGRES"):  # somebody counts on these tests: nothing is left out unseen
    pytest.exit(f"ROPEWALK_TEST_POSTGRES names a server that does not answer: {SILENT}", returncode=3)
needs_postgres = pytest.mark.skipif(
    bool(SILENT), reason=f"no PostgreSQL answers at {SERVER} (ROPEWALK_TEST_POSTGRES): {SILENT}"
)


@contextmanager
def new_place() -> Iterator[str]:
    """Make a schema with a name that nobody has; give the address that leads there."""
    name = f"ropewalk_{uuid.uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as admin:
        admin.execute(f"create schema {name}")
    try:
        yield f"{SERVER}?options=-csearch_path%3D{name}"
    finally:
        with psycopg.connect(SERVER, autocommit=True) as admin:
            admin.execute("set client_min_messages = warning")
            admin.execute(f"drop schema {name} cascade")
