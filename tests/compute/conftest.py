"""One Ray cluster for all tests of a process that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from compute.ray_cluster import ClusterUnderTest


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterUnderTest]:
    from compute.ray_cluster import running
    from ropewalk.compute.connection import kept

    with running() as cluster, kept():
        yield cluster
