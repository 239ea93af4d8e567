"""A site with a live release whose worker is the stand-in, and small parts."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from endpoints.live import STAND_IN, add_release, split
from ropewalk.batches import work
from ropewalk.clock import SystemClock
from ropewalk.endpoints import batch as workers
from ropewalk.site import Site


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    (site.hidden / "gate").mkdir()
    os.mkfifo(site.hidden / "gate" / "go")
    monkeypatch.setattr(workers, "COMMAND", STAND_IN)
    monkeypatch.setattr(work, "PART_ROWS", 50)
    real = replace(site, clock=SystemClock())
    split(real, add_release(real, 1))
    return real
