"""Asks routes of MLflow's door as a client does, through the dispatch, on a project's own folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx

from ropewalk.api.mlflow.dispatch import Dispatch
from ropewalk.api.mlflow.route import Route
from ropewalk.house import House
from ropewalk.settings import Settings
from ropewalk.site import Site

API = "/api/2.0/mlflow/"


class Client:
    """A client of some routes.

    Args:
        site: the project.
        routes: what is served.
        settings: what its `ropewalk.toml` says.
    """

    def __init__(self, site: Site, routes: Iterable[Route], settings: Settings | None = None) -> None:
        self._dispatch = Dispatch(House(site=site, settings=settings or Settings(name="check")), routes)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request; `path` is below the API's prefix unless it begins with a slash."""
        url = path if path.startswith("/") else API + path

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self._dispatch)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, url, **more)

        return asyncio.run(once())

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to a GET that is to go well."""
        return _good(self.ask("GET", path, params=query))

    def send(self, method: str, path: str, **body: Any) -> Any:
        """Return the answer to a request with a JSON body that is to go well."""
        return _good(self.ask(method, path, json=body))

    def refused(self, method: str, path: str, **body: Any) -> tuple[int, str]:
        """Return status and error code of a request that is to be refused."""
        found = self.ask(method, path, **({"params": body} if method == "GET" else {"json": body}))
        assert found.status_code >= 400, found.text
        return found.status_code, found.json()["error_code"]


def _good(found: httpx.Response) -> Any:
    assert found.status_code == 200, found.text
    return found.json()
