"""Data planes under kills, floods and an end in the middle of everything."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading

import pytest

from endpoints.plane_stand import GOOD, ROW, Wire, first, given, given_away, has_plane, http, plane_stand
from ropewalk.endpoints import capture, connection, planes
from ropewalk.endpoints.segment import folder_of
from ropewalk.site import Site

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")

ROUNDS = int(os.environ.get("ROPEWALK_KILLS", "2"))
ID = re.compile(rb'"id":"([^"]+)"')


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWERS_MIN", 1)


class Hammer(threading.Thread):
    """Asks again and again, on a new connection where one has ended, until it is told to end or cannot connect."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.end = threading.Event()
        self.ids: list[bytes] = []
        self.statuses: set[int] = set()
        self.broken = 0
        self._url = url

    def run(self) -> None:
        while not self.end.is_set():
            try:
                wire = Wire(self._url)
            except OSError:
                return
            while not self.end.is_set():
                try:
                    wire.send(GOOD)
                except OSError:
                    self.broken += 1
                    break
                came = wire.answer()
                if not came:
                    self.broken += 1
                    break
                self.statuses.add(int(came[9:12]))
                self.ids += ID.findall(came)
                if b"connection: close" in came:
                    break
            wire.close()


@pytest.mark.fault
def test_planes_killed_under_load_lose_no_answer_give_no_other_and_come_again(
    real: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes, "RETRY_SECONDS_MAX", 0.5)
    first(real, 1)
    pids: list[int] = []
    with plane_stand(real) as caller:
        given_away(caller).close()
        before = capture.read(real, "flights").height
        hammers = [Hammer(caller.url) for _ in range(3)]
        for one in hammers:
            one.start()
        for _ in range(ROUNDS):
            caller.until(lambda: has_plane(caller), 60)
            link = caller.gateway.planes.links["flights"]
            caller.until(lambda link=link: link.connections >= 3, 60)
            pids.append(link.pid)
            os.kill(link.pid, signal.SIGKILL)
            caller.until(lambda link=link: not link.live)
        caller.until(lambda: has_plane(caller), 60)
        for one in hammers:
            one.end.set()
            one.join(20)

    ids = [name.decode() for one in hammers for name in one.ids]
    assert (len(set(pids)), {status for one in hammers for status in one.statuses}) == (ROUNDS, {200})
    assert sum(one.broken for one in hammers) <= 3 * ROUNDS
    captured = capture.read(real, "flights")
    assert captured["id"].is_unique().all()
    assert set(ids) <= set(captured["id"])
    # What was written down and not sent any more is at most the one question of each caller.
    assert captured.height - before - len(ids) <= sum(one.broken for one in hammers)
    assert not list(folder_of(real, "flights").glob("*.journal"))


def test_the_end_answers_all_that_was_asked_and_refuses_what_is_new(real: Site) -> None:
    first(real, 1)
    with plane_stand(real) as caller:
        given_away(caller).close()
        hammers = [Hammer(caller.url) for _ in range(4)]
        for one in hammers:
            one.start()
        link = caller.gateway.planes.links["flights"]
        caller.until(lambda: link.connections == 4)
        seen = [len(one.ids) for one in hammers]
        caller.until(lambda: all(len(one.ids) > count + 20 for one, count in zip(hammers, seen, strict=True)))
        address = Wire(caller.url)
        address.close()
    for one in hammers:
        one.join(20)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(tuple(address.host.split(":")), timeout=5)

    assert [(one.statuses, one.broken) for one in hammers] == [({200}, 0)] * 4
    ids = [name.decode() for one in hammers for name in one.ids]
    assert set(ids) <= set(capture.read(real, "flights")["id"])


def test_more_than_may_wait_are_told_when_to_come_again_and_keep_their_connections(real: Site) -> None:
    first(real, 1)
    with plane_stand(real, queue_max=4) as caller:
        wires = [given_away(caller) for _ in range(12)]
        before = capture.read(real, "flights").height
        pid = caller.gateway.planes.links["flights"].pid
        os.kill(pid, signal.SIGSTOP)
        for wire in wires:
            wire.send(GOOD)
        os.kill(pid, signal.SIGCONT)
        came = [wire.answer() for wire in wires]
        after = [wire.ask()[0] for wire in wires]
        for wire in wires:
            wire.close()

    statuses = [int(one[9:12]) for one in came]
    assert {200: statuses.count(200), 503: statuses.count(503)} == {200: 4, 503: 8}
    assert all(b"retry-after: 1\r\n" in one and b'"queue-full"' in one for one in came if one[9:12] == b"503")
    assert after == [200] * 12
    assert capture.read(real, "flights").height == before + 4 + 12


def test_long_bodies_come_whole_to_the_process_that_answers_and_let_short_ones_pass(real: Site) -> None:
    first(real, 1)
    long, rows = http("/endpoints/flights/predict", {"records": [ROW] * 5000}), 5000
    with plane_stand(real) as caller:
        given_away(caller).close()
        link = caller.gateway.planes.links["flights"]
        before, counts = given(caller), []
        wires = [Wire(caller.url) for _ in range(6)]
        for wire in wires:
            counts += [len(ID.findall(wire.ask(each)[1])) for each in (GOOD, long, long)]
        away = (given(caller) - before, link.connections)
        wires.append(given_away(caller))
        os.kill(link.pid, signal.SIGSTOP)
        senders = [threading.Thread(target=wire.send, args=(GOOD if wire is wires[-1] else long,)) for wire in wires]
        for one in senders:
            one.start()
        os.kill(link.pid, signal.SIGCONT)
        for one in senders:
            one.join(20)
        counts += [len(ID.findall(wire.answer())) for wire in wires]
        for wire in wires:
            wire.close()

    assert counts == [1, rows, rows] * 6 + [rows] * 6 + [1]
    assert away == (6, 6)
    captured = capture.read(real, "flights")
    assert captured["id"].is_unique().all()
    assert captured.height >= 18 * rows
