"""What `ropewalk serve --bundle` does: a release in a folder of its own answers, as in a container."""

from __future__ import annotations

import argparse
import http.client
import os
import signal
from pathlib import Path
from typing import NoReturn

from ropewalk.cli.output import Output

HOSTS = "ROPEWALK_HOSTS"
PROBE_SECONDS_MAX = 4.0
LOCAL = "127.0.0.1"


def serve(options: argparse.Namespace, out: Output) -> None:
    """Answer until SIGTERM or Ctrl-C, also as the first process of a container, whom signals do not end by themselves.

    Raises:
        NotFound: the folder holds no release.
        Corrupt: a file of it is not what was recorded.
        Unavailable: the port is taken.
    """
    signal.signal(signal.SIGTERM, _leave)
    from ropewalk.cli import logline
    from ropewalk.clock import SystemClock
    from ropewalk.endpoints import packed, server
    from ropewalk.endpoints.numbered import Numbered
    from ropewalk.settings import Telemetry
    from ropewalk.telemetry.open import spans_of

    logline.begin(options.log, requests=options.log_requests)
    source = packed.PackedSource(Path(options.bundle))
    hosts = tuple(name for name in os.environ.get(HOSTS, packed.ANY).split(",") if name)
    listener = server.listen(options.host or LOCAL, _port(options), for_others=bool(options.host))
    url = server.address_of(listener)
    endpoint, release = source.packed.endpoint, source.packed.release

    def ready() -> None:
        problem = app.board.problems.get(endpoint)
        if problem is not None:
            out.line(f"{release} cannot answer: {problem.what} {problem.why}", style="red")
        out.line(f"{release} answers at {url}/endpoints/{endpoint}/predict", style="bold")
        out.now("SIGTERM or Ctrl-C stops it; answers under way are finished first.")

    app = packed.gateway(source, SystemClock(), hosts=hosts if options.host else (), on_ready=ready)
    with spans_of(Telemetry()) as app.spans:
        numbered = Numbered(app, app.meters.requests.note)
        server.run(packed.Renamed(numbered, packed.routes_in(os.environ)), listener)
    out.line("stopped")
    out.result({"url": url, "endpoint": endpoint, "release": release})


def probe(options: argparse.Namespace, out: Output) -> int:
    """Ask the server of this machine whether its model stands; 0 when it does, as a container's health check wants."""
    connection = http.client.HTTPConnection(LOCAL, _port(options), timeout=PROBE_SECONDS_MAX)
    try:
        connection.request("GET", "/ping")
        status = connection.getresponse().status
    except OSError as error:
        status, why = 0, str(error)
    else:
        why = f"status {status}"
    finally:
        connection.close()
    well = status == http.client.OK
    out.line("ready" if well else f"not ready: {why}")
    out.result({"ready": well})
    return 0 if well else 1


def _port(options: argparse.Namespace) -> int:
    from ropewalk.endpoints.packed import port_in

    return port_in(os.environ) if options.port is None else options.port


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)
