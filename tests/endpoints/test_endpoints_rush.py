"""Over a socket one request too many is turned away, and everybody else is served, on the same connections."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from endpoints.rush import REFUSAL, judge, request
from ropewalk.endpoints import admission as rules
from ropewalk.endpoints.admission import Admission
from ropewalk.endpoints.crowd import Limits
from ropewalk.endpoints.guard import read_body
from ropewalk.endpoints.problems import answer_json
from ropewalk.endpoints.server import Server, listen, make


class Desk:
    """An app that answers what is written only once it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = await read_body(receive)
        if scope["path"] == "/write":
            self.begun.release()
            await asyncio.to_thread(self.go.wait, 20)
        await answer_json(send, 200, {"bytes": len(body)})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are too many."""
    monkeypatch.setattr(rules, "INSIDE_MIN", 2)
    monkeypatch.setattr(rules, "INSIDE_MAX", 2)


@contextmanager
def running(desk: Desk, admission: Admission, keep_alive: int = 15) -> Iterator[tuple[int, Server]]:
    with listen("127.0.0.1", 0) as listener:
        server = make(desk, drain_seconds_max=5, limits=Limits(head_seconds_max=1.0), admission=admission)
        server.config.timeout_keep_alive = keep_alive
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                threading.Event().wait(0.01)
            yield listener.getsockname()[1], server
        finally:
            desk.go.set()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


class Plug(socket.socket):
    """A caller's end of a connection."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.settimeout(10)
        self.connect(("127.0.0.1", port))

    def answer(self) -> bytes:
        """Return the next whole answer, or what came before the end."""
        found = b""
        while b"\r\n\r\n" not in found:
            piece = self.recv(1)
            if not piece:
                return found
            found += piece
        length = int(found.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while length:
            piece = self.recv(length)
            found, length = found + piece, length - len(piece)
        return found


@contextmanager
def full(**more: int) -> Iterator[tuple[Desk, Admission, int, Server, list[Plug]]]:
    """A server inside which two are that wait."""
    desk, admission = Desk(), judge()
    with running(desk, admission, **more) as (port, server):
        inside = [Plug(port) for _ in range(2)]
        try:
            for plug in inside:
                plug.sendall(request())
                assert desk.begun.acquire(timeout=10)
            yield desk, admission, port, server, inside
        finally:
            for plug in inside:
                plug.close()


@pytest.mark.usefixtures("small")
def test_one_too_many_is_turned_away_and_served_on_the_same_connection_once_there_is_room() -> None:
    with full() as (desk, admission, port, _, inside), closing(Plug(port)) as plug:
        plug.sendall(request())
        refused = [plug.answer()]
        plug.sendall(request())
        refused.append(plug.answer())
        plug.sendall(b"GET /read HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read = plug.answer()
        desk.go.set()
        served = [one.answer() for one in inside]
        plug.sendall(request(b"12345"))
        at_last = plug.answer()

    assert refused == [REFUSAL] * 2
    assert read.startswith(b"HTTP/1.1 200 ")
    assert all(one.startswith(b"HTTP/1.1 200 ") for one in served)
    assert at_last.endswith(b'{"bytes":5}')
    assert (admission.inside, admission.turned_away) == (0, 2)


@pytest.mark.usefixtures("small")
def test_a_body_that_comes_after_its_head_is_thrown_away_with_it() -> None:
    body = b"POST /write HTTP/1.1\r\n\r\n" * 1000  # nothing of it may be taken for a request
    with full() as (_, admission, port, _, _), closing(Plug(port)) as plug:
        plug.sendall(request(body)[: -len(body)])
        refused = plug.answer()
        for start in range(0, len(body), 1000):
            plug.sendall(body[start : start + 1000])
        plug.sendall(b"GET /read HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read = plug.answer()

    assert refused == REFUSAL
    assert read.endswith(b'{"bytes":0}')
    assert admission.turned_away == 1


@pytest.mark.usefixtures("small")
def test_answers_come_in_the_order_of_what_was_asked_on_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "TICK_SECONDS", 5.0)
    with full() as (_, admission, port, _, _), closing(Plug(port)) as plug:
        admission._may_tell = 0  # everybody else was told this time
        plug.sendall(request())
        while not admission.turned_away:
            threading.Event().wait(0.01)
        plug.sendall(b"GET /read HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = [plug.answer(), plug.answer()]

    assert answers[0] == REFUSAL
    assert answers[1].endswith(b'{"bytes":0}')


@pytest.mark.usefixtures("small")
def test_a_body_that_holds_a_request_and_comes_late_is_a_body() -> None:
    """The gate answers some before their bodies are whole; what follows is still no request."""
    with full() as (desk, admission, port, _, _), closing(Plug(port)) as plug:
        plug.sendall(b"POST /other HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(request()))
        threading.Event().wait(0.1)
        plug.sendall(request())
        answered = plug.answer()
        desk.go.set()

    assert answered.endswith(b'{"bytes":%d}' % len(request()))
    assert admission.turned_away == 0


@pytest.mark.usefixtures("small")
def test_what_is_not_whole_takes_nobodys_place_and_who_leaves_gives_it_back() -> None:
    desk, admission = Desk(), judge()
    with running(desk, admission) as (port, _):
        slow = [Plug(port) for _ in range(5)]
        for plug in slow:
            plug.sendall(request(b"123")[:-1])
        with closing(Plug(port)) as one, closing(Plug(port)) as two:
            for plug in (one, two):
                plug.sendall(request())
                assert desk.begun.acquire(timeout=10)
            inside = admission.inside
        while admission.inside:
            threading.Event().wait(0.01)
        for plug in slow:
            plug.close()

    assert inside == 2


@pytest.mark.usefixtures("small")
def test_who_is_turned_away_again_and_again_keeps_his_connection_and_who_falls_silent_does_not() -> None:
    with full(keep_alive=1) as (_, _, port, _, _), closing(Plug(port)) as plug:
        answers = []
        for _ in range(8):  # longer than a head may take, and longer than nothing may be asked
            plug.sendall(request())
            answers.append(plug.answer())
            threading.Event().wait(0.3)
        end = plug.recv(1)

    assert [one[:13] for one in answers] == [b"HTTP/1.1 429 "] * 8
    assert end == b""


@pytest.mark.usefixtures("small")
def test_who_is_still_to_be_told_when_the_server_stops_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "TICK_SECONDS", 60.0)
    with full() as (desk, admission, port, server, _), closing(Plug(port)) as plug:
        admission._may_tell = 0
        plug.sendall(request())
        while not admission.turned_away:
            threading.Event().wait(0.01)
        server.should_exit = True
        desk.go.set()
        answer, end = plug.answer(), plug.recv(1)

    assert (answer, end) == (REFUSAL, b"")
