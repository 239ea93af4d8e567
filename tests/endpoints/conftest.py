"""A site with real time, and a gateway with one live release."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from endpoints.calls import Rpc, serving_both
from endpoints.live import Caller, add_release, serving, split
from ropewalk.clock import SystemClock
from ropewalk.site import Site


@pytest.fixture
def real(site: Site) -> Site:
    """The site with the machine's clock: sockets and deadlines live in real time."""
    (site.hidden / "gate").mkdir()
    os.mkfifo(site.hidden / "gate" / "go")
    return replace(site, clock=SystemClock())


@pytest.fixture
def flights(real: Site) -> Iterator[Caller]:
    """A gateway with one live release, `flights/1`."""
    split(real, add_release(real, 1))
    with serving(real) as caller:
        yield caller


@pytest.fixture
def served(real: Site) -> Iterator[tuple[Caller, Rpc]]:
    """A gateway with one live release, `flights/1`, over HTTP and gRPC."""
    pytest.importorskip("grpc")
    split(real, add_release(real, 1))
    with serving_both(real) as both:
        yield both
