from __future__ import annotations

import asyncio
import http.client
import json
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from endpoints.live import ROW, Caller, add_release, serving, split
from ropewalk.endpoints.guard import Guard, decode_json, depth_within, read_body
from ropewalk.endpoints.server import listen
from ropewalk.errors import Invalid, Unavailable
from ropewalk.site import Site


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "", "[::1"])
def test_a_foreign_host_is_refused_on_every_verb(flights: Caller, host: str) -> None:
    found = [
        flights.ask(verb, path, Host=host)[0]
        for verb in ("GET", "POST", "DELETE", "OPTIONS", "PUT")
        for path in ("/", "/endpoints/flights/predict")
    ]

    assert set(found) == {403}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1"])
def test_a_foreign_origin_is_refused(flights: Caller, origin: str) -> None:
    status, answer = flights.predict(headers={"Origin": origin})

    assert (status, answer["code"]) == (403, "origin-foreign")


def test_the_own_origin_and_localhost_are_served(flights: Caller) -> None:
    port = urlsplit(flights.url).port

    own, _ = flights.predict(headers={"Origin": flights.url})
    local, _, _ = flights.ask("GET", "/v2", Host=f"localhost:{port}")
    crossing, _, _ = flights.ask("GET", "/v2", Sec_Fetch_Site="cross-site")

    assert (own, local, crossing) == (200, 200, 403)


def test_a_host_that_comes_twice_is_refused(flights: Caller) -> None:
    parts = urlsplit(flights.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.putrequest("GET", "/")
    connection.putheader("Host", "evil.example")
    connection.endheaders()

    response = connection.getresponse()
    connection.close()

    assert response.status == 403


def test_listens_on_this_machine_only_and_says_when_a_port_is_taken() -> None:
    with pytest.raises(Invalid, match="this machine only"):
        listen("0.0.0.0", 0)
    with listen("127.0.0.1", 0) as taken, pytest.raises(Unavailable) as error:
        listen("127.0.0.1", taken.getsockname()[1])

    assert error.value.code == "port-taken"


def test_a_defect_is_told_as_one_and_shows_nothing_of_itself() -> None:
    sent: list[dict] = []

    async def app(scope, receive, send) -> None:
        raise ZeroDivisionError("secret")

    async def send(message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost:80")]
    scope = {"type": "http", "path": "/", "headers": headers, "server": ("127.0.0.1", 80), "scheme": "http"}
    asyncio.run(Guard(app)(scope, send, send))

    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["code"] == "internal"
    assert b"secret" not in sent[1]["body"]


def test_a_body_above_the_cap_is_refused_announced_or_not(real: Site) -> None:
    split(real, add_release(real, 1))
    with serving(real, body_bytes_max=2048) as caller:
        announced, _, body = caller.ask("POST", "/endpoints/flights/predict", b"x" * 4096)
        parts = urlsplit(caller.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        connection.request(
            "POST", "/endpoints/flights/predict", iter([b"x" * 1000] * 4), {"Content-Type": "application/json"}
        )
        chunked = connection.getresponse().status
        connection.close()
        after, _ = caller.predict(ROW)

    assert (announced, json.loads(body)["code"]) == (413, "body-too-large")
    assert chunked == 413
    assert after == 200


def test_a_huge_announced_body_is_refused_without_being_read(flights: Caller) -> None:
    parts = urlsplit(flights.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.putrequest("POST", "/endpoints/flights/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(1 << 30))
    connection.endheaders()

    response = connection.getresponse()
    connection.close()

    assert (response.status, response.getheader("connection")) == (413, "close")


def test_a_body_that_trickles_is_given_up() -> None:
    sent: list[dict] = []

    async def app(scope, receive, send) -> None:
        await read_body(receive)

    async def receive() -> dict:
        return await asyncio.get_running_loop().create_future()

    async def send(message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": "/",
        "headers": [(b"host", b"localhost:80")],
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }
    asyncio.run(Guard(app, body_seconds_max=0.01)(scope, receive, send))

    assert sent[0]["status"] == 408


def test_a_websocket_of_a_foreign_origin_is_closed() -> None:
    sent: list[dict] = []

    async def app(scope, receive, send) -> None:
        raise AssertionError("it must not get here")

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost:80"), (b"origin", b"http://evil.example")]
    scope = {"type": "websocket", "path": "/", "headers": headers, "server": ("127.0.0.1", 80), "scheme": "ws"}
    asyncio.run(Guard(app)(scope, receive, send))

    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_depth_counts_brackets_but_not_those_in_strings() -> None:
    assert depth_within(b"[" * 64 + b"]" * 64)
    assert not depth_within(b"[" * 65)
    assert depth_within(b'["' + b"[" * 500 + b'\\"{"]')
    assert depth_within(b"[" + b"[]," * 500 + b"{}]")
    with pytest.raises(Invalid, match="nests"):
        decode_json(b'{"a":' * 100_000)


PIECES = ("[", "[", "{", "]", "]", "}", '""', '"a"', '"[]"', '"]"', '"["', '"\\\\"', '"\\"]"')


@example(["[", '"]"', "[", '"]"'], 1)
@example(["[", '"\\"]"', "[", '"\\"]"'], 1)
@given(st.lists(st.sampled_from(PIECES), max_size=30), st.integers(1, 4))
def test_depth_is_the_same_however_it_is_found(pieces, most) -> None:
    text = "".join(pieces)

    depth, deepest, inside, escaped = 0, 0, False, False
    for mark in text:
        if inside:
            inside, escaped = escaped or mark != '"', mark == "\\" and not escaped
        elif mark == '"':
            inside = True
        else:
            depth += (mark in "[{") - (mark in "]}")
            deepest = max(deepest, depth)

    assert depth_within(text.encode(), most) == (deepest <= most)
