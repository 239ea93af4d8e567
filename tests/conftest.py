"""Fixtures that every room shares."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.site import HIDDEN, Site
from ropewalk.store.database import Database
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock

if TYPE_CHECKING:
    from ropewalk.demo.server import Server

# A busy machine is no finding: what is drawn and tried stays the same, only time does not count.
hypothesis_settings.register_profile("ropewalk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("ropewalk")
# A shell that starts the suite in the background lets it ignore Ctrl-C, and with it the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def site(tmp_path: Path, clock: SetClock) -> Iterator[Site]:
    root = tmp_path / "project"
    hidden = root / HIDDEN
    hidden.mkdir(parents=True)
    with rows_at(hidden / "ropewalk.db", clock) as db:
        yield Site(
            root=root,
            db=db,
            blobs=FolderBucket(hidden / "blobs"),
            clock=clock,
            signer=Signer.create(hidden / "keys"),
            actor="ann@example.org",
        )


@contextmanager
def rows_at(path: Path, clock: SetClock) -> Iterator[Database]:
    """Open the rows of a test's site: a file, or a schema of PostgreSQL with `ROPEWALK_TEST_STORE=postgres`."""
    if os.environ.get("ROPEWALK_TEST_STORE", "") != "postgres":
        with closing(SqliteDatabase(path, clock)) as db:
            yield db
        return
    from ropewalk.store.postgres import PostgresDatabase
    from store.postgres_places import new_place

    with new_place() as url, closing(PostgresDatabase(url, clock)) as db:
        yield db


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `ropewalk init` makes it, run and shipped; shared, so look and copy but never write."""
    own = tmp_path_factory.mktemp("shipped") / "churn"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _ship(own)
        return own
    # One worker ships, the others copy what came out.
    common = tmp_path_factory.getbasetemp().parent / "shipped"
    with (common.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not common.exists():
            _ship(own)
            shutil.copytree(own, common)
            return own
    return Path(shutil.copytree(common, own))


def _ship(root: Path) -> None:
    from ropewalk.cli import main
    from ropewalk.demo.project import git

    assert main(["init", str(root)]) == 0
    settings = root / "ropewalk.toml"
    settings.write_text(
        settings.read_text().replace("[qa]", "[qa]\nload_seconds = 0.2").replace("p99_ms = 250", "p99_ms = 2000")
    )
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    assert main(["--project", str(root), "run"]) == 0
    assert main(["--project", str(root), "ship"]) == 0


@pytest.fixture
def project(shipped: Path, tmp_path: Path) -> Path:
    """A copy of the shipped project: moved, it still works, with its own data."""
    return Path(shutil.copytree(shipped, tmp_path / "churn"))


@pytest.fixture(scope="session")
def served(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of a copy of the shipped project, as a process of its own."""
    from ropewalk.demo.server import Server

    root = Path(shutil.copytree(shipped, tmp_path_factory.mktemp("served") / "churn"))
    with Server(root, 0) as server:
        yield server


@pytest.fixture(scope="session")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of an empty project, as a process of its own: nothing in it but what MLflow's clients log."""
    from ropewalk.demo.server import Server

    root = tmp_path_factory.mktemp("tracked") / "lab"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "lab"\n')
    with Server(root, 0) as server:
        yield server
