"""`ropewalk up` serves endpoint, API and console, and runs the loops, in one process until Ctrl-C."""

from __future__ import annotations

import argparse
import logging

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk up
ropewalk up --port 0        # any free port
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add address and environment."""
    parser.add_argument("--port", type=int, default=None, help="0 takes a free one; ropewalk.toml's when left out")
    parser.add_argument("--environment", default="production", help="whose endpoints are served")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what is under way and leave."""
    from ropewalk.console.app import build
    from ropewalk.endpoints import server
    from ropewalk.house import loops, open_house

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with open_house(options.project) as house:
        wanted = house.settings.serve.port if options.port is None else options.port
        listener = server.listen(house.settings.serve.host, wanted)
        url = server.address_of(listener)
        turning = loops(house)

        def ready() -> None:
            out.line(f"console    {url}/", style="bold")
            out.line(f"API        {url}/docs")
            out.line(f"metrics    {url}/metrics")
            out.line("Ctrl-C stops it; answers under way are finished first.")
            out.stdout.flush()

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
