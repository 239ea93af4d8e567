"""The whole server asked directly, as uvicorn asks it, without a socket between."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ropewalk.access import tokens, users
from ropewalk.access.roles import Grant
from ropewalk.console.app import build
from ropewalk.house import House
from ropewalk.settings import Auth, Settings
from ropewalk.site import Site

PORT = 8470
HOST = f"127.0.0.1:{PORT}"
PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Asked:
    """A server in its own event loop; close it at the end."""

    def __init__(self, site: Site, **auth: Any) -> None:
        settings = Settings(name="churn", auth=Auth(**auth))
        self.house = House(site=site, settings=settings)
        self.app = build(self.house)
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.close()

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | object = b"",
        *,
        client: str = "127.0.0.1",
        scheme: str = "http",
        headers: Iterable[tuple[str, str]] = (),
        before_end: Callable[[], object] = lambda: None,
        **named: str,
    ) -> Answer:
        """Ask; a body that is no bytes is sent as JSON, headers are named as arguments with `_` for `-`."""
        given = dict({"host": HOST}, **{name.replace("_", "-").lower(): value for name, value in named.items()})
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if not isinstance(body, bytes):
            given.setdefault("content-type", "application/json")
        if data:
            given.setdefault("content-length", str(len(data)))
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "root_path": "",
            "scheme": scheme,
            "server": ("127.0.0.1", PORT),
            "client": (client, 50_000),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in [*given.items(), *headers]
            ],
        }
        return self._runner.run(_asked(self.app, scope, data, before_end))


async def _asked(app: Any, scope: dict[str, Any], body: bytes, before_end: Callable[[], object]) -> Answer:
    sent: list[dict[str, Any]] = []
    waiting = [
        {"type": "http.request", "body": body[1:], "more_body": False},
        {"type": "http.request", "body": body[:1], "more_body": True},
    ]
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting:
            if len(waiting) == 1:
                before_end()
            return waiting.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent, f"nothing was answered to {scope['method']} {scope['path']}"
    headers = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(
        status=sent[0]["status"], headers=headers, body=b"".join(message.get("body", b"") for message in sent[1:])
    )


def person(site: Site, name: str, *roles: Grant, days: int = 90) -> str:
    """Make a user with roles; return a token that may all that he may."""

    def make(tx: Any) -> str:
        users.add(tx, site, name, password=PASSWORD)
        for role in roles:
            users.grant(tx, site, name, role)
        return tokens.create(tx, site, name, scope=Grant(role="admin"), days=days)[1]

    return site.db.write(make)


def bearer(secret: str) -> str:
    return f"Bearer {secret}"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
