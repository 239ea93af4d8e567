"""Runs an ASGI app under uvicorn until a signal, on a socket that is bound before anything else happens."""

from __future__ import annotations

import signal
import socket
import threading
from typing import Any, cast

import uvicorn

from ropewalk.errors import Invalid, Unavailable

DRAIN_SECONDS_MAX = 30
BACKLOG = 2048
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; connections wait in its backlog until somebody serves it.

    Args:
        host: a loopback address; others need authentication, which the gateway has not.
        port: 0 takes a free one.

    Raises:
        Invalid: the host is not loopback.
        Unavailable: the port is taken.
    """
    if host not in _LOOPBACK:
        raise Invalid(
            "host-not-loopback",
            "The gateway listens on this machine only.",
            where="serve.host",
            why=f"{host!r} is open to others, and callers are not asked who they are",
            fix='set host = "127.0.0.1" and put a proxy with authentication before it',
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(
            "port-taken",
            "The address cannot be listened on.",
            where=f"{host}:{port}",
            why=error.strerror or str(error),
            fix="ropewalk up --port 0",
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the base URL of a listening socket, without a slash at its end."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: object, listener: socket.socket, *, drain_seconds_max: int = DRAIN_SECONDS_MAX) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is under way and return.

    Args:
        app: an ASGI app with lifespan, such as `Gateway`.
        listener: from `listen`.
        drain_seconds_max: longest wait for answers under way.

    Raises:
        Unavailable: the app refused to start; the reason is in the log.
    """
    server = make(app, drain_seconds_max=drain_seconds_max)
    # uvicorn raises the signal that ended it once more, for the handlers that were there before: with these the caller
    # gets to do his own tidying instead of being ended.
    ours = threading.current_thread() is threading.main_thread()
    before = {each: signal.signal(each, _noted) for each in (signal.SIGTERM, signal.SIGINT) if ours}
    try:
        server.run(sockets=[listener])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if not server.started:
        raise Unavailable("gateway-not-started", "The gateway did not start.", fix="ropewalk status")


def _noted(_signal: int, _frame: object) -> None:
    """Do nothing: uvicorn has acted on the signal already."""


def make(app: object, *, drain_seconds_max: int = DRAIN_SECONDS_MAX) -> uvicorn.Server:
    """Return the server, for callers that run it in a thread and stop it by `should_exit`."""
    config = uvicorn.Config(
        cast("Any", app),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # whoever sends X-Forwarded-* is not believed
        date_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=drain_seconds_max,
        backlog=BACKLOG,
    )
    return uvicorn.Server(config)
