"""The local pool passes what every pool must."""

from __future__ import annotations

import pytest

from ropewalk.compute.local import LocalPool
from ropewalk.testing.pools import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_local_pool_conforms(check, tmp_path):
    def open_pool(room):
        log = tmp_path / "pool.log"
        return LocalPool("ropewalk.testing.pooled", cwd=tmp_path, log=log, workers_max=2, room=room)

    check(open_pool, tmp_path)
