"""The door finds routes, reads what they take, answers as MLflow's clients expect, and never with a traceback."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ropewalk.api.mlflow import dispatch as dispatch_room
from ropewalk.api.mlflow import room, server
from ropewalk.api.mlflow.dispatch import Dispatch
from ropewalk.api.mlflow.message import Message, Nothing, Number, number, spoken
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.endpoints import admission
from ropewalk.errors import Conflict, NotFound
from ropewalk.house import House
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction


class Said(Message):
    """What a test sends."""

    name: str
    value: Number = 0.0
    ids: list[str] = []  # noqa: RUF012 - msgspec copies defaults


class Heard(Message):
    """What comes back."""

    name: str = ""
    value: Number = 0.0
    ids: list[str] = []  # noqa: RUF012 - msgspec copies defaults
    actor: str = ""
    path: dict[str, str] = {}  # noqa: RUF012 - msgspec copies defaults


def echo(call: Call) -> Heard:
    """Return what was understood."""
    body = call.body
    return Heard(
        name=body.name, value=spoken(number(body.value, "value")), ids=body.ids, actor=call.site.actor, path=call.path
    )


def told(tx: Transaction, call: Call) -> Heard:
    """Write an event."""
    tx.run("events.insert", at_us=1, kind="check", subject=call.body.name, body="{}")
    if call.body.name == "bad":
        raise Conflict("log-value-changed", "A param keeps its first value.", where="bad")
    return Heard(name=call.body.name)


def count(reader: Reader, _call: Call) -> dict[str, int]:
    """Count events."""
    return {"events": len(reader.rows("events.after", seq=0, count=100))}


def lost(_call: Call) -> None:
    """Miss something."""
    raise NotFound("run-not-found", "There is no such run.", where="run:x", why="nobody made it", fix="ropewalk runs")


def broken(_call: Call) -> None:
    """Be defective."""
    raise ZeroDivisionError


def _route(method: str, path: str, work: Callable[..., Any], how: How = How.PLAIN, **more: Any) -> Route:
    return Route(method=method, path=path, work=work, how=how, action="write", summary="a test's", **more)


ROUTES = (
    _route("POST", "/mlflow/echo", echo, body=Said, result=Heard),
    _route("GET", "/mlflow/echo", echo, body=Said, result=Heard),
    _route("DELETE", "/mlflow/echo", echo, body=Said, result=Heard),
    _route("POST", "/mlflow/tell", told, How.WRITE, body=Said, result=Heard),
    _route("GET", "/mlflow/count", count, How.READ, body=Nothing, result=dict),
    _route("GET", "/mlflow/things/search", lambda _call: {"which": "search"}),
    _route("GET", "/mlflow/things/{thing}", lambda call: call.path),
    _route("GET", "/mlflow/things/{thing}/tags/{key}", lambda call: call.path),
    _route("GET", "/mlflow/files/{path:rest}", lambda call: call.path),
    _route("GET", "/mlflow/lost", lost),
    _route("GET", "/mlflow/broken", broken),
    *server.ROUTES,
)


class Caller:
    """Somebody with one right."""

    def __init__(self, name: str, right: str) -> None:
        self.name, self.right = name, right

    def may(self, action: str) -> bool:
        """Say whether it is his."""
        return action == self.right


@pytest.fixture
def ask(site: Site) -> Callable[..., httpx.Response]:
    dispatch = Dispatch(House(site=site, settings=Settings(name="check")), ROUTES)

    def asked(method: str, path: str, caller: Caller | None = None, **more: Any) -> httpx.Response:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await dispatch({**scope, "ropewalk.caller": caller}, receive, send)

        async def once() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **more)

        return asyncio.run(once())

    return asked


@pytest.mark.parametrize("door", ["api", "ajax-api"])
def test_a_body_is_read_and_its_answer_leaves_out_what_is_default(ask, site, door):
    answer = ask("POST", f"/{door}/2.0/mlflow/echo", json={"name": "a", "value": "1.5", "unknown": 1})

    assert answer.status_code == 200
    assert answer.json() == {"name": "a", "value": 1.5, "actor": site.actor}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_cannot_say_come_and_go_as_texts(ask, text):
    answer = ask("POST", "/api/2.0/mlflow/echo", json={"name": "a", "value": text})

    assert answer.json()["value"] == text


def test_a_query_is_read_like_a_body_and_lists_come_by_repeating(ask):
    answer = ask("GET", "/api/2.0/mlflow/echo?name=a&ids=1&ids=2&value=3")

    assert answer.json()["ids"] == ["1", "2"]
    assert float(answer.json()["value"]) == 3


@pytest.mark.parametrize("how", [{"json": {"name": "a"}}, {"params": {"name": "a"}}])
def test_a_delete_takes_a_body_or_a_query(ask, how):
    assert ask("DELETE", "/api/2.0/mlflow/echo", **how).json()["name"] == "a"


def test_a_write_is_one_transaction_that_an_error_undoes(ask):
    assert ask("POST", "/api/2.0/mlflow/tell", json={"name": "a"}).status_code == 200
    refused = ask("POST", "/api/2.0/mlflow/tell", json={"name": "bad"})

    assert refused.status_code == 400
    assert refused.json() == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "A param keeps its first value. [bad]",
    }
    assert ask("GET", "/api/2.0/mlflow/count").json() == {"events": 1}


def test_a_write_with_an_idempotency_key_happens_once_and_answers_the_same(ask):
    headers = {"Idempotency-Key": "k1"}

    answers = [ask("POST", "/api/2.0/mlflow/tell", json={"name": "a"}, headers=headers) for _ in range(3)]

    assert [one.json() for one in answers] == [{"name": "a"}] * 3
    assert ask("GET", "/api/2.0/mlflow/count").json() == {"events": 1}


def test_a_key_that_is_used_again_for_something_else_loses_no_write(ask):
    headers = {"Idempotency-Key": "k1"}

    answers = [ask("POST", "/api/2.0/mlflow/tell", json={"name": name}, headers=headers) for name in "aba"]

    assert [one.json()["name"] for one in answers] == ["a", "b", "a"]
    assert ask("GET", "/api/2.0/mlflow/count").json() == {"events": 2}


def test_what_waits_for_somebody_keeps_no_reader_waiting(site):
    wait = threading.Event()
    slow = _route("GET", "/mlflow/slow", lambda _call: wait.wait(20) and None)
    dispatch = Dispatch(House(site=site, settings=Settings(name="check")), (*ROUTES, slow))

    async def together() -> int:
        transport = httpx.ASGITransport(dispatch)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            waiting = [asyncio.create_task(client.get("/api/2.0/mlflow/slow")) for _ in range(dispatch_room.READERS)]
            await asyncio.sleep(0.1)
            try:
                return (await asyncio.wait_for(client.get("/api/2.0/mlflow/count"), 10)).status_code
            finally:
                wait.set()
                await asyncio.gather(*waiting)

    assert asyncio.run(together()) == 200


def test_a_whole_path_goes_before_one_with_a_name_in_it(ask):
    assert ask("GET", "/api/2.0/mlflow/things/search").json() == {"which": "search"}
    assert ask("GET", "/api/2.0/mlflow/things/x").json() == {"thing": "x"}


def test_an_encoded_slash_stays_in_its_segment(ask):
    assert ask("GET", "/api/2.0/mlflow/things/x/tags/a%2Fb").json() == {"thing": "x", "key": "a/b"}
    assert ask("GET", "/api/2.0/mlflow/files/a/b/c%20d.txt").json() == {"path": "a/b/c d.txt"}


@pytest.mark.parametrize(
    ("body", "media", "status", "word"),
    [
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b'{"value": 1}', "application/json", 400, "INVALID_PARAMETER_VALUE"),
        (b'{"name": "\xff"}', "application/json", 400, "BAD_REQUEST"),
        (b'{"name": "a\\u0000"}', "application/json", 400, "INVALID_PARAMETER_VALUE"),
        (b'{"name": "a", "value": "x"}', "application/json", 400, "BAD_REQUEST"),
        (b'{"name": ' + b"[" * 100_000, "application/json", 400, "INVALID_PARAMETER_VALUE"),
        (b'{"name": "a"}', "text/plain", 415, "BAD_REQUEST"),
        (b"", "application/json", 400, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_bad_bodies_get_an_error_of_mlflows_form(ask, body, media, status, word):
    answer = ask("POST", "/api/2.0/mlflow/echo", content=body, headers={"content-type": media})

    assert answer.status_code == status
    assert answer.json()["error_code"] == word
    assert answer.json()["message"]


def test_errors_of_the_rooms_have_mlflows_words_and_say_what_to_do(ask):
    answer = ask("GET", "/api/2.0/mlflow/lost")

    assert answer.status_code == 404
    assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert answer.json()["message"] == "There is no such run. [run:x] nobody made it. Fix: ropewalk runs"


def test_the_word_for_nul_is_no_nul_where_its_backslash_is_one(ask):
    answer = ask("POST", "/api/2.0/mlflow/echo", json={"name": "C:\\u0000"})

    assert answer.json()["name"] == "C:\\u0000"


def test_a_defect_shows_a_number_and_no_traceback(ask, caplog):
    answer = ask("GET", "/api/2.0/mlflow/broken")

    assert answer.status_code == 500
    assert answer.json()["error_code"] == "INTERNAL_ERROR"
    assert "ZeroDivision" not in answer.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("how", ["reads", "writes", "slow writes"])
def test_what_cannot_be_done_in_time_is_turned_away_at_once(site, monkeypatch, how):
    """While two are under way, three more are refused before their bodies are read, and all is well afterwards."""
    monkeypatch.setattr(room, "READS_WAITING_MAX", 2)
    monkeypatch.setattr(room, "SLACK", 1.0)
    monkeypatch.setattr(admission, "INSIDE_MIN", 2)
    limit, value = ("INSIDE_SECONDS_MAX", 0.0) if how == "slow writes" else ("INSIDE_MAX", 2)
    monkeypatch.setattr(admission, limit, value)
    held, method = threading.Event(), "GET" if how == "reads" else "POST"
    work = (lambda _call: held.wait(10) and None) if how == "reads" else (lambda _tx, _call: held.wait(10) and None)
    route = _route(method, "/mlflow/wait", work, how=How.PLAIN if how == "reads" else How.WRITE)
    dispatch = Dispatch(House(site=site, settings=Settings(name="check")), (route,))

    async def all_at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(dispatch), base_url="http://127.0.0.1") as client:

            def ask():
                return client.request(method, "/api/2.0/mlflow/wait")

            held.set()
            first = await ask()  # so that the door knows how long the last one took
            held.clear()
            asked = [asyncio.ensure_future(ask()) for _ in range(5)]
            refused = asyncio.as_completed(asked)
            for _ in range(3):
                await next(refused)
            held.set()
            return [first, *await asyncio.gather(*asked), await ask()]

    answers = asyncio.run(all_at_once())

    assert sorted(one.status_code for one in answers) == [200] * 4 + [429] * 3
    assert answers[-1].status_code == 200
    refused = [one for one in answers if one.status_code == 429]
    assert {one.headers["retry-after"] for one in refused} == {"1"}
    assert {one.json()["error_code"] for one in refused} == {"REQUEST_LIMIT_EXCEEDED"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/2.0/mlflow/nowhere", 404),
        ("PUT", "/api/2.0/mlflow/echo", 405),
        ("PUT", "/api/2.0/mlflow/lost", 405),
    ],
)
def test_what_is_not_served_says_so(ask, method, path, status):
    assert ask(method, path).status_code == status


@pytest.mark.parametrize("name", server.NOT_OFFERED)
def test_what_we_do_not_offer_is_named(ask, name):
    for path in (f"/api/3.0/mlflow/{name}", f"/ajax-api/3.0/mlflow/{name}/a/b"):
        answer = ask("POST", path, json={})

        assert answer.status_code == 501
        assert answer.json()["error_code"] == "NOT_IMPLEMENTED"
        assert name in answer.json()["message"]


def test_a_caller_without_the_right_is_refused_and_one_with_it_is_the_actor(ask):
    refused = ask("POST", "/api/2.0/mlflow/echo", caller=Caller("bob", "read"), json={"name": "a"})
    allowed = ask("POST", "/api/2.0/mlflow/echo", caller=Caller("eve", "write"), json={"name": "a"})

    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert allowed.json()["actor"] == "eve"


def test_the_handshake_tells_what_clients_ask_for(ask):
    assert ask("GET", "/health").text == "OK"
    assert ask("GET", "/version").text == server.SPOKEN_VERSION
    info = ask("GET", "/api/3.0/mlflow/server-info").json()
    assert info["store_type"] == "SqlStore"
    assert info["workspaces_enabled"] is True


def test_number_reads_what_spoken_says():
    for value in (1.5, math.inf, -math.inf):
        assert number(spoken(value), "value") == value
    assert math.isnan(number(spoken(math.nan), "value"))
