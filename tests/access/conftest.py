"""A project with users in it, on each of the two stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ropewalk.access import tokens, users
from ropewalk.access.keeper import Keeper
from ropewalk.access.roles import Grant
from ropewalk.site import Site
from ropewalk.store.database import Database
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock
from store.postgres_places import SILENT, new_place

PASSWORD = "correct horse battery"


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> Iterator[Callable[[], Database]]:
    """Return what opens one store, each time as another process would."""
    if request.param == "sqlite":
        yield lambda: SqliteDatabase(tmp_path / "rows" / "ropewalk.db", clock)
        return
    if SILENT:
        pytest.skip(f"no PostgreSQL answers: {SILENT}")
    from ropewalk.store.postgres import PostgresDatabase

    with new_place() as url:
        yield lambda: PostgresDatabase(url, clock)


@pytest.fixture
def site(site: Site, opened: Callable[[], Database]) -> Iterator[Site]:
    with closing(opened()) as db:
        yield replace(site, db=db)


@pytest.fixture
def ann(site: Site) -> str:
    """A developer of the environment `dev`."""

    def make(tx) -> str:
        name = users.add(tx, site, "ann", password=PASSWORD).name
        users.grant(tx, site, name, Grant(role="developer", environment="dev"))
        return name

    return site.db.write(make)


@pytest.fixture
def token(site: Site, ann: str) -> Callable[..., tuple[tokens.Token, bytes]]:
    """Return what makes a token of ann's."""

    def make(**more) -> tuple[tokens.Token, bytes]:
        scope = Grant(role=more.pop("role", "developer"), environment=more.pop("environment", "*"))
        made, secret = site.db.write(lambda tx: tokens.create(tx, site, ann, scope=scope, **more))
        return made, secret.encode()

    return make


@pytest.fixture
def keeper(site: Site) -> Keeper:
    return Keeper(site, "churn", fresh_seconds=0.5)


@pytest.fixture
def ask(keeper: Keeper) -> Callable[[bytes], object]:
    """Return what asks for a token's caller as the door does: memory first, then the store."""

    def asked(secret: bytes) -> object:
        if not keeper.fresh():
            keeper.look()
        return keeper.remembered(secret) or keeper.token(secret)

    return asked
