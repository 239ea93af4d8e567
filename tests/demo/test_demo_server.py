"""The server beside the play: up when it answers, gone with the block, and honest when it does not come up."""

from __future__ import annotations

import socket
import socketserver
import threading
import urllib.request

import pytest

from ropewalk.cli.project import endpoint_of
from ropewalk.demo.client import Arrival, Sender
from ropewalk.demo.server import Server, free_port
from ropewalk.errors import Unavailable
from ropewalk.house import open_house
from ropewalk.observations import labels


def asked(row: dict[str, object], count: int) -> list[Arrival]:
    """Return arrivals a second apart, every second one with an answer that is known ten seconds later."""
    return [
        Arrival(
            at_us=number * 1_000_000,
            key=f"k{number}",
            row=row,
            label=1 if number % 2 else None,
            known_us=(number + 10) * 1_000_000 if number % 2 else None,
        )
        for number in range(count)
    ]


def test_arrivals_are_answered_counted_and_labelled_once_event_time_has_passed(served):
    with open_house(served._root, create=False) as house:
        _, row = endpoint_of(house.site, "churn", "production")
        with house.site.db.read() as rows:
            before = labels.count(rows, "churn")
    sender = Sender("127.0.0.1", served.port, "churn", connections=2)

    sender.play(asked(dict(row), 64))
    sender.play(asked({**row, "mean_radius": "wide"}, 3))

    assert sender.tally.answered == 64
    assert dict(sender.tally.by_release) == {"churn/1": 64}
    assert dict(sender.tally.refused) == {422: 3}
    assert sender.tally.last_us == 63_000_000
    assert 20 <= sender.tally.labels <= 32
    with urllib.request.urlopen(f"{served.url}/v2/health/live", timeout=10) as answer:
        assert answer.status == 200
    with open_house(served._root, create=False) as house, house.site.db.read() as rows:
        assert labels.count(rows, "churn") - before == sender.tally.labels


def test_playing_stops_when_it_is_told_to(served):
    with open_house(served._root, create=False) as house:
        _, row = endpoint_of(house.site, "churn", "production")
    sender = Sender("127.0.0.1", served.port, "churn", connections=1)

    sender.play(asked(dict(row), 64), until=lambda: sender.tally.answered > 0)

    assert 0 < sender.tally.answered < 64


def test_the_server_is_gone_with_its_block_and_its_port_is_free_again(project):
    with Server(project, 0) as server:
        process = server._process
        with urllib.request.urlopen(f"{server.url}/v2/health/live", timeout=10) as answer:
            assert answer.status == 200

    assert process is not None
    assert process.poll() == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
    assert "ask it:" in (project / ".ropewalk" / "log" / "up.log").read_text()


def test_a_server_that_does_not_come_up_says_what_its_log_says(project):
    (project / "ropewalk.toml").write_text("name = 7\n")

    with pytest.raises(Unavailable) as caught, Server(project, 0):
        pass

    assert caught.value.code == "demo-server-silent"
    assert "settings-invalid" in caught.value.why


def test_a_free_port_can_be_listened_on():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))


class Impatient(socketserver.StreamRequestHandler):
    """Answers a batch of predictions and says goodbye, as a server does where nothing came for long."""

    def handle(self):
        for number in range(16):
            length = 0
            while (line := self.rfile.readline().lower()) != b"\r\n":
                if not line:
                    return
                if line.startswith(b"content-length:"):
                    length = int(line.split()[1])
            self.rfile.read(length)
            body = b'{"release": "churn/1", "predictions": [{"id": "%d"}]}' % number
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def finish(self):
        super().finish()
        self.connection.close()
        self.server.gone.set()


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Impatient) as server:
        server.gone = threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sender = Sender("127.0.0.1", server.server_address[1], "churn", connections=1)

        def slowly():
            yield from asked({}, 16)
            assert server.gone.wait(30)
            yield from asked({}, 8)

        sender.play(slowly())
        server.shutdown()

    assert (sender.tally.answered, dict(sender.tally.refused)) == (24, {})
