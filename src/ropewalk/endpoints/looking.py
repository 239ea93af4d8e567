"""What is only looked at: endpoints, descriptions, metrics, and what each protocol asks before it predicts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from ropewalk import __version__
from ropewalk.endpoints import openapi, protocol
from ropewalk.endpoints.asking import pinned
from ropewalk.endpoints.meters import Meters
from ropewalk.endpoints.problems import JSON_HEADERS, Send, answer, answer_json
from ropewalk.endpoints.scoring import SPOKEN_VERSION
from ropewalk.endpoints.switchboard import Route, Switchboard, Warm
from ropewalk.errors import Invalid, NotFound, Unavailable

EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))


class Looking:
    """Answers what is only read.

    Args:
        board: who answers predictions.
        meters: what was counted.
    """

    def __init__(self, board: Switchboard, meters: Meters) -> None:
        self._board = board
        self._meters = meters

    async def __call__(self, path: str, send: Send, accept: str = "") -> None:
        """Answer a GET.

        Args:
            path: asked for.
            send: ASGI's.
            accept: media types that the caller takes.

        Raises:
            NotFound: nothing is there.
        """
        match path.split("/"):
            case ["", "v2", *rest]:
                await self._inference(rest, send)
            case ["", "endpoints", name, "ping" | "health"]:
                await _pinged(send, ready=self.route(name).champion.lane.ready)
            case ["", "ping" | "health"]:
                await _pinged(send, ready=self._board.ready)
            case ["", "endpoints", name, "version"]:
                self.route(name)
                await answer(send, 200, SPOKEN_VERSION.encode(), _TEXT)
            case ["", "version"]:
                await answer(send, 200, SPOKEN_VERSION.encode(), _TEXT)
            case ["", "metrics"]:
                await asyncio.to_thread(self._meters.look)
                body, media = self._meters.encoded(accept)
                await answer(send, 200, body, ((b"content-type", media.encode()), (b"cache-control", b"no-store")))
            case _:
                await self._page(path, send)

    async def _page(self, path: str, send: Send) -> None:
        routes = self._board.routes
        match path:
            case "/":
                await answer_json(send, 200, {"endpoints": {name: _state(route) for name, route in routes.items()}})
            case "/openapi.json":
                await answer_json(send, 200, openapi.document(routes))
            case "/docs":
                await answer(send, 200, openapi.page(routes), openapi.PAGE_HEADERS)
            case _:
                raise _nothing(path)

    async def _inference(self, rest: Sequence[str], send: Send) -> None:
        """Answer what the Open Inference Protocol asks."""
        match rest:
            case []:
                await answer_json(send, 200, {"name": "ropewalk", "version": __version__, "extensions": EXTENSIONS})
            case ["health", "live"]:
                await answer_json(send, 200, {"live": True})
            case ["health", "ready"]:
                await self._ready(send, ready=self._board.ready)
            case ["models", "stats"]:
                await answer_json(send, 200, {"model_stats": self._stats(*self._board.routes)})
            case ["models", name, "versions", version, *more] if len(more) < 2:  # noqa: PLR2004 - one word at most
                await self._model(name, version, "".join(more), send)
            case ["models", name, *more] if len(more) < 2:  # noqa: PLR2004
                await self._model(name, "", "".join(more), send)
            case _:
                raise _nothing("/".join(("/v2", *rest)))

    async def _ready(self, send: Send, *, ready: bool) -> None:
        problems = {name: problem.record() for name, problem in self._board.problems.items()}
        body = msgspec.json.encode({"ready": ready, "problems": problems})
        await answer(send, 200 if ready else 503, body, JSON_HEADERS)

    async def _model(self, name: str, version: str, what: str, send: Send) -> None:
        route = self.route(name)
        warm = version_of(route, version) if version else route.champion
        match what:
            case "":
                versions = [release.rpartition("/")[2] for release in route.warm]
                await answer_json(send, 200, protocol.describe(name, warm.served, versions))
            case "ready":
                await self._ready(send, ready=warm.lane.ready)
            case "config":
                await answer_json(send, 200, protocol.configuration(name, warm.served))
            case "stats":
                stats = [one for one in self._stats(name) if not version or one["version"] == version]
                await answer_json(send, 200, {"model_stats": stats})
            case _:
                raise _nothing(f"/v2/models/{name}/{what}")

    def _stats(self, *names: str) -> list[dict[str, Any]]:
        """Return what was counted of each release that stands, in the words of Triton's extension."""
        found: list[dict[str, Any]] = []
        for name in names:
            for release in self._board.routes[name].warm:
                counted = self._meters.counted(name, release)
                spent = {"count": counted.answered, "ns": counted.micros * 1000}
                found.append(
                    {
                        "name": name,
                        "version": release.rpartition("/")[2],
                        "inference_count": counted.answered,
                        "execution_count": counted.batches,
                        "inference_stats": {"success": spent, "fail": {"count": counted.failed, "ns": 0}},
                        "batch_stats": [],
                    }
                )
        return found

    def index(self, *, ready: bool) -> list[dict[str, str]]:
        """Return every version that is or should be there; with `ready` those alone that answer."""
        found: list[dict[str, str]] = []
        for name, route in self._board.routes.items():
            for release, warm in route.warm.items():
                why = "" if warm.lane.ready or warm.lane.problem is None else warm.lane.problem.what
                state = "READY" if warm.lane.ready else "UNAVAILABLE"
                found.append({"name": name, "version": release.rpartition("/")[2], "state": state, "reason": why})
        for name in self._board.names():
            if name not in self._board.routes:
                problem = self._board.problems.get(name)
                why = problem.what if problem else "it is being warmed"
                found.append({"name": name, "version": "", "state": "UNAVAILABLE", "reason": why})
        return [one for one in found if one["state"] == "READY"] if ready else found

    def route(self, name: str) -> Route:
        """Return who answers at an endpoint.

        Raises:
            NotFound: there is no such endpoint.
            Unavailable: its release does not stand yet.
        """
        route = self._board.routes.get(name)
        if route is not None:
            return route
        if name in self._board.names():
            problem = self._board.problems.get(name)
            why = f"{problem.code}: {problem.what} {problem.why}" if problem else "it is being warmed"
            raise Unavailable("release-not-warm", "The release does not stand yet.", where=name, why=why)
        known = ", ".join(self._board.routes) or "none: nothing is live yet"
        raise NotFound(
            "endpoint-not-found",
            "There is no such endpoint.",
            where=f"endpoint {name[:80]}",
            why=f"those served here: {known}",
            fix="ropewalk ship",
        )

    def only(self) -> str:
        """Return the name of the endpoint that is meant where none is named.

        Raises:
            NotFound: there is none.
            Invalid: there are several.
        """
        names = self._board.names()
        if len(names) > 1:
            raise Invalid(
                "endpoint-unclear",
                "Several endpoints are served here.",
                where="/invocations",
                why=f"they are {', '.join(names)}",
                fix=f"POST /endpoints/{names[0]}/invocations",
            )
        return names[0] if names else self.route("").traffic.endpoint


def version_of(route: Route, version: str) -> Warm:
    """Return the release of an endpoint with this number.

    Raises:
        NotFound: it does not stand warm.
    """
    return pinned(route, f"{route.traffic.champion.rpartition('/')[0]}/{version}")


async def _pinged(send: Send, *, ready: bool) -> None:
    """Say whether the model stands, as MLflow's server and SageMaker's containers do."""
    await answer(send, 200 if ready else 503, b"\n", _TEXT)


def _nothing(path: str) -> NotFound:
    return NotFound("route-not-found", "Nothing is served here.", where=path[:200], fix="GET /openapi.json")


def _state(route: Route) -> dict[str, Any]:
    traffic = route.traffic
    return {
        "generation": traffic.generation,
        "champion": traffic.champion,
        "canary": traffic.canary,
        "canary_percent": traffic.canary_weight_bp / 100,
        "shadow": traffic.shadow,
        "predict": f"/endpoints/{traffic.endpoint}/predict",
    }
