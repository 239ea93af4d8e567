"""What the gate costs, and what it does with requests that are no HTTP requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from access.conftest import PASSWORD
from api.asked import HOST, PORT, Asked, basic, bearer, person
from ropewalk.access import passwords
from ropewalk.access.keeper import Keeper
from ropewalk.access.roles import Grant
from ropewalk.api.directory import Directory
from ropewalk.site import Site


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    server = Asked(site, enabled=True)
    yield server
    server.close()


def test_a_password_is_checked_once_for_many_requests(
    site: Site, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(site, "ann", Grant(role="viewer"))
    checked = []
    fits = passwords.fits
    monkeypatch.setattr(passwords, "fits", lambda *given: checked.append(1) or fits(*given))

    statuses = {asked.ask("GET", "/api/v1/runs", authorization=basic("ann", PASSWORD)).status for _ in range(20)}

    assert statuses == {200}
    assert len(checked) == 1


def test_the_list_of_workspaces_is_read_once_for_all_who_wait_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a hundred that come at once waited for every look before its own, seconds in all while much is to do."""
    looked: list[int] = []
    look = Directory.look
    monkeypatch.setattr(Directory, "look", lambda self: looked.append(1) or look(self))
    server = Asked(site)
    looked.clear()
    site.clock.advance(60)

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            answers = await asyncio.gather(*(client.get("/api/v1/runs") for _ in range(100)))
        return [one.status_code for one in answers]

    statuses = server._runner.run(all_at_once())
    server.close()

    assert statuses == [200] * 100
    assert looked == [1]


def test_too_many_logins_at_once_are_told_to_come_again(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked.app._gate, "_logins", 64)

    answer = asked.ask("GET", "/api/v1/runs", authorization=basic("ann", PASSWORD))

    assert (answer.status, answer.json()["code"]) == (503, "login-busy")
    assert answer.headers["retry-after"] == "1"


def test_a_flood_of_strangers_keeps_nobody_waiting_who_is_known(
    site: Site, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = person(site, "ann", Grant(role="viewer"))
    known = asked.ask("GET", "/api/v1/runs", authorization=bearer(token)).status
    monkeypatch.setattr(asked.app._gate, "_strangers", 256)

    stranger = asked.ask("GET", "/api/v1/runs", authorization=bearer("rw_" + "A" * 43))

    assert (stranger.status, stranger.json()["code"]) == (503, "login-busy")
    assert known == asked.ask("GET", "/api/v1/runs", authorization=bearer(token)).status == 200


def test_when_the_store_cannot_be_asked_nobody_gets_in(site: Site, monkeypatch) -> None:
    from ropewalk.errors import Unavailable

    token = person(site, "ann", Grant(role="admin"))

    def broken(_self: Keeper) -> None:
        raise Unavailable("store-io", "The disk refused a read or a write.")

    monkeypatch.setattr(Keeper, "look", broken)
    monkeypatch.setattr(Keeper, "fresh", lambda _self: False)
    server = Asked(site, enabled=True)

    answer = server.ask("GET", "/api/v1/runs", authorization=bearer(token))
    server.close()

    assert (answer.status, answer.json()["code"]) == (503, "store-io")


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("origin", [f"http://{HOST}", "http://evil.example", ""])
def test_a_websocket_is_closed_whoever_opens_it(site: Site, enabled: bool, origin: str) -> None:
    token = person(site, "ann", Grant(role="admin"))
    server = Asked(site, enabled=enabled)
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"host", HOST.encode()), (b"authorization", bearer(token).encode())]
    headers += [(b"origin", origin.encode())] if origin else []
    scope = {
        "type": "websocket",
        "path": "/live/overview",
        "headers": headers,
        "server": ("127.0.0.1", PORT),
        "client": ("127.0.0.1", 1),
        "scheme": "ws",
    }
    asyncio.run(server.app(scope, receive, send))
    server.close()

    assert sent == [{"type": "websocket.close", "code": 1008}]
