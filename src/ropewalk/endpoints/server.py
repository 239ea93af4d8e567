"""Runs an ASGI app under uvicorn until a signal, on a socket that is bound before anything else happens."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn

from ropewalk.endpoints.admission import Admission
from ropewalk.endpoints.connection import protocol
from ropewalk.endpoints.crowd import Crowd, Limits
from ropewalk.errors import Invalid, Unavailable

DRAIN_SECONDS_MAX = 30
HANDSHAKE_SECONDS_MAX = 10.0
BACKLOG = 2048
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What the server proves its name with.

    Attributes:
        certificate: PEM file of the certificate with its chain.
        key: PEM file of its private key, without a password.
    """

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return TLS 1.2 or newer with this certificate.

        Raises:
            Invalid: a file cannot be read, or they do not belong together.
        """
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.set_alpn_protocols(["http/1.1"])
        try:
            made.load_cert_chain(self.certificate, self.key, password=lambda: b"")
        except (OSError, ValueError) as error:
            raise Invalid(
                "tls-unreadable",
                "The certificate or its key cannot be used.",
                where=f"{self.certificate}, {self.key}",
                why=str(error),
                fix="ropewalk up --tls-cert FULLCHAIN.pem --tls-key KEY.pem",
            ) from error
        return made


def listen(host: str, port: int, *, for_others: bool = False) -> socket.socket:
    """Return a listening socket; connections wait in its backlog until somebody serves it.

    Args:
        host: a loopback address, unless it is for others.
        port: 0 takes a free one.
        for_others: whether the app asks callers who they are, so that other machines may reach it.

    Raises:
        Invalid: the host is not loopback, or is no address at all.
        Unavailable: the port is taken.
    """
    if host not in LOOPBACK and not for_others:
        raise Invalid(
            "host-not-loopback",
            "The gateway listens on this machine only.",
            where="serve.host",
            why=f"{host!r} is open to others, and callers are not asked who they are",
            fix="ropewalk up --auth --tls-cert FULLCHAIN.pem --tls-key KEY.pem",
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


def address_of(listener: socket.socket, *, tls: bool = False) -> str:
    """Return the base URL of a listening socket, without a slash at its end."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def run(
    app: object,
    listener: socket.socket,
    *,
    drain_seconds_max: int = DRAIN_SECONDS_MAX,
    tls: Tls | None = None,
    admission: Admission | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is under way and return.

    Args:
        app: an ASGI app with lifespan, such as `Gateway`.
        listener: from `listen`.
        drain_seconds_max: longest wait for answers under way.
        tls: certificate and key; plain HTTP when None.
        admission: judges requests before they are parsed; all are let in when None.

    Raises:
        Invalid: the certificate cannot be used.
        Unavailable: the app refused to start; the reason is in the log.
    """
    server = make(app, drain_seconds_max=drain_seconds_max, tls=tls, admission=admission)
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


class Server(uvicorn.Server):
    """uvicorn's server on a loop that does not wait for slow TLS handshakes."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        with asyncio.Runner(loop_factory=_loop) as runner:
            runner.run(self.serve(sockets=sockets))


def _loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop with a shorter patience for handshakes than its own minute."""
    import uvloop

    class Loop(uvloop.Loop):
        async def create_server(self, *given: Any, **more: Any) -> asyncio.AbstractServer:  # noqa: ANN401 - asyncio's
            if more.get("ssl") is not None:
                more["ssl_handshake_timeout"] = HANDSHAKE_SECONDS_MAX
            return await super().create_server(*given, **more)

    return Loop()


def make(
    app: object,
    *,
    drain_seconds_max: int = DRAIN_SECONDS_MAX,
    tls: Tls | None = None,
    limits: Limits | None = None,
    admission: Admission | None = None,
) -> Server:
    """Return the server, for callers that run it in a thread and stop it by `should_exit`.

    Args:
        app: an ASGI app with lifespan.
        drain_seconds_max: longest wait for answers under way.
        tls: certificate and key; plain HTTP when None.
        limits: of connections; the defaults when None.
        admission: judges requests before they are parsed; all are let in when None.
    """
    config = uvicorn.Config(
        cast("Any", app),
        loop="uvloop",
        http=cast("Any", protocol(Crowd(limits or Limits(), admission))),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,  # one log, in the form of whoever runs us
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # whoever sends X-Forwarded-* is not believed; the gate knows whom to believe
        date_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=drain_seconds_max,
        backlog=BACKLOG,
    )
    if tls is not None:
        context = tls.context()
        config.load()
        config.ssl = context
    return Server(config)
