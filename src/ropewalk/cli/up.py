"""`ropewalk up` serves endpoint, API and console, and runs the loops, in one process until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.parse import port
from ropewalk.errors import Unavailable

if TYPE_CHECKING:
    import socket

    from ropewalk.house import House

EXAMPLE = """
ropewalk up
ropewalk up --port 0        # any free port
"""
PORTS_TRIED = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add address and environment."""
    parser.add_argument("--port", type=port, default=None, help="0 takes a free one; ropewalk.toml's when left out")
    parser.add_argument("--environment", default="production", help="whose endpoints are served")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what is under way and leave."""
    from ropewalk.cli.project import require_project
    from ropewalk.console.app import build
    from ropewalk.endpoints import server
    from ropewalk.house import loops, open_house

    require_project(options.project)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with open_house(options.project) as house:
        listener = _listen(house, options.port)
        url = server.address_of(listener)
        turning = loops(house)

        def ready() -> None:
            out.line(f"console    {url}/", style="bold")
            out.line(f"API        {url}/docs")
            out.line(f"metrics    {url}/metrics")
            _ask(house, options.environment, url, out)
            out.now("Ctrl-C stops it; answers under way are finished first.")

        app = build(house, environment=options.environment, on_ready=ready)
        for loop in turning:
            loop.start()
        try:
            server.run(app, listener)
        finally:
            for loop in reversed(turning):
                loop.stop()
    out.line("stopped")
    out.result({"url": url})
    out.next("ropewalk status")


def _ask(house: House, environment: str, url: str, out: Output) -> None:
    """Say how to ask the endpoint, or what is wanted before anybody can."""
    from ropewalk.cli.project import curl, endpoint_of

    endpoint, row = endpoint_of(house.site, house.settings.model_name, environment)
    if endpoint:
        out.line(f"endpoint   {url}/endpoints/{endpoint}/predict")
        out.line()
        out.line(f"ask it:\n  {curl(url, endpoint, row)}")
        out.line()
    else:
        out.line(f"endpoint   nothing is live in {environment} yet; in another terminal: ropewalk ship")


def _listen(house: House, wanted: int | None) -> socket.socket:
    """Return a socket on the port that was asked for; on the next free one when only the settings name it.

    Raises:
        Unavailable: the port that was asked for is taken.
    """
    from ropewalk.endpoints import server

    host, first = house.settings.serve.host, house.settings.serve.port
    if wanted is not None:
        return server.listen(host, wanted)
    for number in range(first, first + PORTS_TRIED):
        try:
            return server.listen(host, number)
        except Unavailable:
            continue
    return server.listen(host, 0)
