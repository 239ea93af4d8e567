"""The app of one project: the gateway for predictions, MLflow's protocol, native routes, and the pages it is given."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ropewalk.api.document import document
from ropewalk.api.mlflow.dispatch import Dispatch
from ropewalk.api.mlflow.spending import Till
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.api.routes import Door, problem_response, starlette_routes
from ropewalk.api.standing import Standing
from ropewalk.endpoints import openapi
from ropewalk.endpoints.gateway import Gateway
from ropewalk.endpoints.problems import Receive, Scope, Send
from ropewalk.endpoints.sources import Source
from ropewalk.errors import Invalid, NotFound, RopewalkError
from ropewalk.house import House
from ropewalk.refs import uuid7

log = logging.getLogger(__name__)
Show = Callable[[Request, RopewalkError], Response]


class ProjectApp:
    """Sends each request to the gateway or to the routes; the gateway owns start and end.

    Args:
        house: the open project.
        doors: its native routes.
        environment: whose endpoints are served.
        pages: routes for people.
        show: how an error is shown where a page was asked for; JSON when None.
        on_ready: called when requests may come.
        source: who answers predictions; the project's traffic when None.
        till: asks whether what is added fits the project's quota.
    """

    def __init__(
        self,
        house: House,
        *,
        doors: tuple[Door, ...],
        environment: str = "production",
        pages: Sequence[BaseRoute] = (),
        show: Show | None = None,
        on_ready: Callable[[], None] | None = None,
        source: Source | None = None,
        till: Till | None = None,
    ) -> None:
        # Where callers are asked who they are, or a proxy's word is believed, the gate has to see every request.
        auth = house.settings.auth
        alone = not (house.guest or auth.enabled or auth.proxies)
        self.gateway = Gateway(
            house.site, house.settings, environment=environment, on_ready=on_ready, source=source, plane=alone
        )
        self.gateway.meters.standing = Standing(house, self.gateway.board.names)
        self._house = house
        self._show = show
        self._doors = doors
        self._routes = Starlette(
            routes=[*starlette_routes(house, doors), *pages],
            exception_handlers={
                404: self._lost,
                405: self._lost,
                RopewalkError: self._error,
                Exception: self._unforeseen,
            },
        )
        self.mlflow = Dispatch(house, ROUTES, till=till)

    @property
    def busy(self) -> bool:
        """Whether it serves models, which take long to start again."""
        return bool(self.gateway.board.names())

    def close(self) -> None:
        """End its threads."""
        self.mlflow.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what the gate has let in."""
        if scope["type"] == "lifespan":
            await self.gateway(scope, receive, send)
        elif scope["path"] == "/openapi.json":
            await self._document(scope, receive, send)
        elif _is_prediction(scope["path"]):
            await self.gateway(scope, receive, send)
        elif self.mlflow.serves(scope["path"]):
            await self.mlflow(scope, receive, send)
        else:
            await self._routes(scope, receive, send)

    @cached_property
    def _own(self) -> dict[str, Any]:
        return document(self._house.settings.name, self._doors, ROUTES)

    async def _document(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the OpenAPI document of everything that is served here."""
        if scope["method"] not in ("GET", "HEAD"):
            raise Invalid("method-not-allowed", "This path is not served for that verb.", why="it takes GET, HEAD")
        whole = openapi.document(self.gateway.board.routes)
        own = self._own
        merged: dict[str, Any] = {**whole, **own, "paths": {**whole["paths"], **own["paths"]}}
        schemas = {**whole.get("components", {}).get("schemas", {}), **own["components"]["schemas"]}
        merged["components"] = {**whole.get("components", {}), **own["components"], "schemas": schemas}
        await Response(msgspec.json.encode(merged), media_type="application/json")(scope, receive, send)

    async def _lost(self, request: Request, _error: Exception) -> Response:
        found = NotFound(
            "route-not-found", "Nothing is served here.", where=request.url.path[:200], fix="GET /openapi.json"
        )
        return self._told(request, found)

    async def _error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RopewalkError), error
        return self._told(request, error)

    async def _unforeseen(self, request: Request, _error: Exception) -> Response:
        """Say no more than an id; Starlette raises the error again, so that the server's log has all of it."""
        name = uuid7(self._house.site.clock.now_us())
        log.error("request %s: %s %s", name, request.method, request.url.path)
        told = RopewalkError(
            "internal",
            "Something that we did not foresee went wrong.",
            where=request.url.path[:200],
            why=f"the server's log has all of it under the id {name}",
            fix="see the log of `ropewalk up`",
        )
        return self._told(request, told)

    def _told(self, request: Request, error: RopewalkError) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        return self._show(request, error) if self._show and wants_page else problem_response(error)


_PREDICTION = re.compile(
    r"/v2(/.*)?|/metrics|/docs|/ping|/invocations|/endpoints/[^/]+/(predict|invocations|ping|health|version)"
)


def _is_prediction(path: str) -> bool:
    return _PREDICTION.fullmatch(path) is not None
