"""Connections that are slow, greedy or not HTTP end by themselves, and others are answered meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ropewalk.endpoints.crowd import Limits, network_of
from ropewalk.endpoints.guard import Guard, read_body
from ropewalk.endpoints.problems import answer_json
from ropewalk.endpoints.server import Server, Tls, listen, make
from ropewalk.errors import Invalid

LIMITS = Limits(head_seconds_max=1.0, head_bytes_max=8192, stall_seconds_max=1.0)


async def echo(scope, receive, send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] == "/wait":
        await receive()
        message = await receive()  # the caller's leaving
        assert message["type"] == "http.disconnect"
    elif scope["path"] == "/large":
        await answer_json(send, 200, "x" * (64 << 20))
    else:
        await answer_json(send, 200, {"bytes": len(await read_body(receive))})


@contextmanager
def running(limits: Limits = LIMITS, tls: Tls | None = None, **guard) -> Iterator[tuple[int, Server]]:
    with listen("127.0.0.1", 0) as listener:
        server = make(Guard(echo, **guard), drain_seconds_max=1, limits=limits, tls=tls)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                threading.Event().wait(0.01)
            yield listener.getsockname()[1], server
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def ask(port: int, path: str = "/", body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST" if body is not None else "GET", path, body)
    status = connection.getresponse().status
    connection.close()
    return status


def raw(port: int, data: bytes, seconds: float = 10) -> bytes:
    """Return all that is answered until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as plug:
        with suppress(ConnectionError):
            plug.sendall(data)
        answered = b""
        with suppress(ConnectionError):
            while piece := plug.recv(65536):
                answered += piece
        return answered


HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


def test_a_head_that_is_not_whole_in_time_ends_with_408() -> None:
    with running() as (port, _):
        started = time.monotonic()
        answered = raw(port, HALF)
        took = time.monotonic() - started

    assert answered.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answered.partition(b"\r\n\r\n")[2])["code"] == "header-too-slow"
    assert 0.9 < took < 8


@pytest.mark.parametrize("drip", [b"a", b"\r\n"])
def test_a_head_that_trickles_gets_no_more_time_than_one_that_stops(drip: bytes) -> None:
    with running() as (port, _), socket.create_connection(("127.0.0.1", port), timeout=10) as plug:
        plug.sendall(HALF if drip == b"a" else b"")
        started = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - started < 15:
                plug.sendall(drip)
                threading.Event().wait(0.1)

    assert time.monotonic() - started < 8


def test_a_connection_that_asks_nothing_is_closed_without_a_word() -> None:
    with running() as (port, _):
        assert raw(port, b"") == b""


@pytest.mark.fault
def test_hundreds_of_half_open_connections_end_in_time_and_others_are_answered_meanwhile() -> None:
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 200  # both ends of each are ours
    count = min(int(os.environ.get("ROPEWALK_HALF_OPEN", "500")), max(room, 100))
    limits = Limits(head_seconds_max=max(2.0, count / 1000), connections_max=4 * count, per_address_max=2 * count)
    with running(limits) as (port, server):
        plugs = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]
        for plug in plugs:
            plug.sendall(HALF)
        started = time.monotonic()
        probes = []
        while server.server_state.connections and time.monotonic() - started < 10:
            at = time.monotonic()
            assert ask(port) == 200
            probes.append(time.monotonic() - at)
        took = time.monotonic() - started
        told = [plug.recv(4096)[:12] for plug in plugs]
        for plug in plugs:
            plug.close()

    print(  # noqa: T201 - the figures
        f"{count} half-open heads ended after {took:.1f} s, {len(probes)} probes meanwhile, half of them within "
        f"{sorted(probes)[len(probes) // 2] * 1000:.0f} ms, the slowest {max(probes) * 1000:.0f} ms"
    )
    assert took < 10
    assert len(probes) > 1
    assert set(told) == {b"HTTP/1.1 408"}
    assert sorted(probes)[len(probes) // 2] < 1
    assert max(probes) < 5


def test_who_only_waits_makes_room_for_a_newcomer_and_who_is_answered_does_not() -> None:
    with running(Limits(head_seconds_max=60, per_address_max=3)) as (port, _):
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        first = ask(port)
        ended = waiting[0].recv(1) if _ended(waiting[0]) else b"?"
        busy = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        for plug in busy:
            plug.sendall(b"GET /wait HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
        threading.Event().wait(0.3)
        refused = raw(port, b"")
        for plug in [*waiting, *busy]:
            plug.close()

    assert first == 200
    assert ended == b""
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"connections-full" in refused


def _ended(plug: socket.socket) -> bool:
    try:
        return plug.recv(1, socket.MSG_PEEK) == b""
    except ConnectionError:
        return False


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000, 431),
        (b"GET /" + b"a" * 20_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_a_head_too_large_or_malformed_is_answered_in_json_and_ends(data: bytes, status: int) -> None:
    with running() as (port, _):
        answered = raw(port, data)
        after = ask(port)

    head, _, body = answered.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(body)["code"] in ("header-too-large", "http-malformed")
    assert after == 200


def test_a_body_that_trickles_a_byte_at_a_time_ends_with_408() -> None:
    with running(body_seconds_max=0.5) as (port, _), socket.create_connection(("127.0.0.1", port), timeout=10) as plug:
        plug.sendall(b"POST / HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 5000\r\n\r\n" % port)
        started = time.monotonic()
        answered = b""
        plug.settimeout(0.1)
        while not answered and time.monotonic() - started < 15:
            with suppress(TimeoutError):
                plug.sendall(b"x")
                answered = plug.recv(4096)

    assert answered.startswith(b"HTTP/1.1 408 ")


def test_a_caller_who_reads_nothing_of_his_answer_is_let_go() -> None:
    with running() as (port, server), socket.create_connection(("127.0.0.1", port), timeout=10) as plug:
        plug.sendall(b"GET /large HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
        end = time.monotonic() + 15
        threading.Event().wait(0.3)
        held = len(server.server_state.connections)
        while server.server_state.connections and time.monotonic() < end:
            threading.Event().wait(0.05)

        assert held == 1
        assert not server.server_state.connections


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words = ["req", "-x509", *kind, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", *words, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True
    )
    return Tls(certificate=folder / "cert.pem", key=folder / "key.pem")


def test_tls_is_1_2_or_newer_and_a_handshake_that_stops_keeps_nobody_waiting(certificate: Tls) -> None:
    with running(tls=certificate) as (port, _), socket.create_connection(("127.0.0.1", port)):
        trusting = ssl.create_default_context(cafile=certificate.certificate)
        connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=trusting)
        connection.request("GET", "/")
        status = connection.getresponse().status
        connection.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port)) as plug, pytest.raises(OSError, match=r"."):
            old.wrap_socket(plug)

    assert status == 200


def test_a_certificate_that_cannot_be_used_is_told_before_anything_listens(certificate: Tls, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    words = ["openssl", "ec", "-in", certificate.key, "-out", locked, "-aes128", "-passout", "pass:secret"]
    subprocess.run(words, check=True, capture_output=True)

    for key in (tmp_path / "gone.pem", certificate.certificate, locked):
        with pytest.raises(Invalid) as error:
            Tls(certificate=certificate.certificate, key=key).context()
        assert error.value.code == "tls-unreadable"
