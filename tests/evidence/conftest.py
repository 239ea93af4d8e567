"""One delivered project for the session, and copies of it to change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.delivered import Delivered, delivered_once, opened
from ropewalk.house import House

pytest.importorskip("sklearn")


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return delivered_once(tmp_path_factory)


@pytest.fixture
def copied(delivered: Delivered, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(delivered.root, tmp_path / "copied"))


@pytest.fixture
def reading(delivered: Delivered) -> Iterator[House]:
    """The delivered project itself; do not write to it."""
    with opened(delivered.root) as open_:
        yield open_
