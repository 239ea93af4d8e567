"""`ropewalk up` serves endpoint, API and console, and runs the loops, in one process until Ctrl-C."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli import logline
from ropewalk.cli.output import Output
from ropewalk.cli.parse import port
from ropewalk.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    import socket

    from ropewalk.api.app import Server
    from ropewalk.endpoints.problems import App
    from ropewalk.endpoints.server import Tls
    from ropewalk.house import House
    from ropewalk.settings import Auth, Settings

EXAMPLE = """
ropewalk up
ropewalk up --port 0        # any free port
ropewalk up --grpc-port 8471    # the Open Inference Protocol over gRPC too
ropewalk up --auth          # callers have to say who they are: ropewalk user, ropewalk token
ropewalk up --host 0.0.0.0 --auth --tls-cert fullchain.pem --tls-key key.pem --allow-host ml.example.org
ropewalk up --host 0.0.0.0 --auth --behind-proxy 10.0.0.2 --allow-host ml.example.org
"""
PORTS_TRIED = 10
LOCAL = "127.0.0.1"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add address and environment."""
    parser.add_argument("--port", type=port, default=None, help="0 takes a free one; ropewalk.toml's when left out")
    parser.add_argument(
        "--grpc-port", type=port, default=None, metavar="PORT", help="serve gRPC there too; 0 takes a free port"
    )
    parser.add_argument("--environment", default="production", help="whose endpoints are served")
    parser.add_argument("--host", default="", help="address to listen at; ropewalk.toml's when left out")
    parser.add_argument("--auth", action="store_true", help="ask every caller who he is")
    parser.add_argument("--tls-cert", default="", metavar="FILE", help="PEM certificate with its chain")
    parser.add_argument("--tls-key", default="", metavar="FILE", help="PEM key of the certificate")
    parser.add_argument(
        "--behind-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a proxy that speaks TLS before the server",
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name by which callers reach the server"
    )
    logline.arguments(parser)


def handle(options: argparse.Namespace, out: Output) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what is under way and leave."""
    from ropewalk.cli.project import is_project
    from ropewalk.console.app import build
    from ropewalk.endpoints import server
    from ropewalk.house import loops, open_house
    from ropewalk.settings import read_settings

    fresh = not is_project(options.project)
    settings = _settled(read_settings(options.project), options)
    tls = _tls(settings.auth, options)
    _require_safe(settings, tls)
    if settings.auth.enabled and fresh:
        raise _nobody(settings)
    logline.begin(options.log, requests=options.log_requests)
    with open_house(options.project) as opened:
        house = replace(opened, settings=settings)
        _require_users(house)
        rpc = None if options.grpc_port is None else _rpc_port(settings.serve.host, options.grpc_port, settings)
        listener = listen(house, options.port)
        url = server.address_of(listener, tls=tls is not None)
        turning = loops(house)

        def ready() -> None:
            out.line(f"console    {url}/", style="bold")
            out.line(f"API        {url}/docs")
            out.line(f"metrics    {url}/metrics")
            if rpc is not None:
                out.line(f"gRPC       {settings.serve.host}:{rpc}")
            out.line(f"MLflow     export MLFLOW_TRACKING_URI={url}")
            if fresh:
                out.line("records    this folder had none yet; they are kept in .ropewalk from now on")
            _ask(house, options.environment, url, out)
            out.now("Ctrl-C stops it; answers under way are finished first.")

        app = build(house, environment=options.environment, on_ready=ready)
        for loop in turning:
            loop.start()
        try:
            whole = app if rpc is None else _with_rpc(app, settings, rpc, tls)
            with told(house, app):
                server.run(whole, listener, tls=tls, admission=app.admission)
        finally:
            for loop in reversed(turning):
                loop.stop()
    out.line("stopped")
    out.result({"url": url})
    out.next("ropewalk status")


@contextmanager
def told(house: House, app: Server) -> Generator[None]:
    """Have the answers of a server told as spans, where the project or the environment says to whom.

    Raises:
        Invalid: what it says is no address.
        Missing: OpenTelemetry's library is not installed.
    """
    from ropewalk.telemetry.open import spans_of

    with spans_of(house.settings.telemetry) as spans:
        app.gateway.spans = spans
        yield


def _rpc_port(host: str, wanted: int, settings: Settings) -> int:
    """Return the port of gRPC, free a moment ago.

    Raises:
        Missing: gRPC is not installed.
        Unavailable: the port is taken.
    """
    from ropewalk.endpoints import rpc, server

    rpc.require_library()
    with server.listen(host, wanted, for_others=settings.auth.enabled) as probe:
        return int(probe.getsockname()[1])


def _with_rpc(app: App, settings: Settings, number: int, tls: Tls | None) -> App:
    from ropewalk.endpoints.rpc import RpcDoor

    serve = settings.serve
    return RpcDoor(app, host=serve.host, port=number, body_bytes_max=serve.body_bytes_max, tls=tls)


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


def listen(house: House, wanted: int | None, *, open_to_others: bool = True) -> socket.socket:
    """Return a socket on the port that was asked for; on the next free one when only the settings name it.

    Args:
        house: the open project.
        wanted: the port; None for the one in the settings.
        open_to_others: False listens on this machine alone, whatever the settings say.

    Raises:
        Unavailable: the port that was asked for is taken.
    """
    from ropewalk.endpoints import server

    host, first = house.settings.serve.host if open_to_others else LOCAL, house.settings.serve.port
    for_others = house.settings.auth.enabled and open_to_others
    if wanted is not None:
        return server.listen(host, wanted, for_others=for_others)
    for number in range(first, first + PORTS_TRIED):
        try:
            return server.listen(host, number, for_others=for_others)
        except Unavailable:
            continue
    return server.listen(host, 0, for_others=for_others)


def _settled(settings: Settings, options: argparse.Namespace) -> Settings:
    """Return the settings with what was typed in their place."""
    from msgspec.structs import replace

    auth, serve = settings.auth, settings.serve
    auth = replace(
        auth,
        enabled=auth.enabled or options.auth,
        hosts=(*auth.hosts, *options.allow_host),
        proxies=(*auth.proxies, *options.behind_proxy),
    )
    return replace(settings, auth=auth, serve=replace(serve, host=options.host or serve.host))


def _tls(auth: Auth, options: argparse.Namespace) -> Tls | None:
    """Return certificate and key, checked, or None for plain HTTP.

    Raises:
        Invalid: one of the two is missing or cannot be used.
    """
    from ropewalk.endpoints.server import Tls

    root = options.project
    certificate = Path.cwd() / options.tls_cert if options.tls_cert else root / auth.tls_cert if auth.tls_cert else None
    key = Path.cwd() / options.tls_key if options.tls_key else root / auth.tls_key if auth.tls_key else None
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise Invalid(
            "tls-unreadable",
            "A certificate needs its key, and a key its certificate.",
            where="--tls-cert, --tls-key",
            fix="ropewalk up --tls-cert FULLCHAIN.pem --tls-key KEY.pem",
        )
    found = Tls(certificate=certificate, key=key)
    found.context()
    return found


def _require_safe(settings: Settings, tls: Tls | None) -> None:
    """Pass only a server that others may reach: it asks who they are, and nobody on the way reads the answer.

    Raises:
        Invalid: others could reach it without being asked, or be listened to.
    """
    from ropewalk.endpoints.server import LOOPBACK

    auth, host = settings.auth, settings.serve.host
    open_to_others = host not in LOOPBACK
    if open_to_others and not auth.enabled:
        raise Invalid(
            "auth-missing",
            "Others could reach the server, and it would not ask who they are.",
            where=f"--host {host}",
            why="without authentication it serves this machine alone",
            fix="ropewalk up --auth, after: ropewalk user add NAME",
        )
    if open_to_others and tls is None and not auth.proxies:
        raise Invalid(
            "tls-missing",
            "Passwords and tokens would go over the network in the clear.",
            where=f"--host {host}",
            why="it is open to others, and speaks plain HTTP",
            fix="--tls-cert FULLCHAIN.pem --tls-key KEY.pem, or --behind-proxy ADDRESS of what speaks TLS before it",
        )


def _require_users(house: House) -> None:
    """Pass only when somebody could answer the server's question.

    Raises:
        NotFound: it would ask who calls, and there is no user.
    """
    from ropewalk.access import users

    if house.settings.auth.enabled:
        with house.site.db.read() as rows:
            if not users.active(rows):
                raise _nobody(house.settings)


def _nobody(settings: Settings) -> NotFound:
    return NotFound(
        "users-none",
        "The server would ask who calls, and there is no user.",
        where=settings.name,
        fix="ropewalk user add NAME, then: ropewalk user grant NAME admin",
    )
