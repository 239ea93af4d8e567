"""The gateway: one ASGI app that answers for every endpoint of an environment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from math import isfinite
from typing import Any

from ropewalk import __version__
from ropewalk.clock import Clock
from ropewalk.endpoints import openapi, plain, protocol
from ropewalk.endpoints.asking import Patience, Refusals, ask, pinned
from ropewalk.endpoints.batching import Lane
from ropewalk.endpoints.capture import Capture
from ropewalk.endpoints.guard import Guard, read_body
from ropewalk.endpoints.meters import Meters
from ropewalk.endpoints.problems import (
    JSON_HEADERS,
    Headers,
    Receive,
    Scope,
    Send,
    answer,
    answer_error,
    answer_json,
    status_of,
)
from ropewalk.endpoints.recorder import Recorder
from ropewalk.endpoints.runtime import COMMAND, start_worker
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.sources import SiteSource, Source
from ropewalk.endpoints.switchboard import Route, Switchboard, Warm
from ropewalk.errors import Invalid, NotFound, RopewalkError, Unavailable
from ropewalk.settings import Serve, Settings
from ropewalk.site import Site

RELEASE_HEADER = b"x-ropewalk-release"
DEADLINE_HEADER = b"x-ropewalk-deadline-ms"
Form = Callable[[Route, bytes, Patience], Awaitable[dict[str, Any]]]


class Doorway:
    """Answers HTTP for whatever a source says; `Gateway` is this around a project.

    Args:
        source: who answers.
        serve: limits of `ropewalk.toml`.
        clock: the time.
        capture: where predictions are written down, or None (staging).
        command: argv of a worker.
        on_ready: called when the first releases stand and requests may come.
    """

    def __init__(
        self,
        source: Source,
        *,
        serve: Serve,
        clock: Clock,
        capture: Capture | None,
        command: tuple[str, ...] = COMMAND,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self.board = Switchboard(source, self._lane)
        self.meters = Meters(self._gauges)
        self._source = source
        self._serve = serve
        self._clock = clock
        self._capture = capture
        self._command = command
        self._on_ready = on_ready
        self._guarded = Guard(self._answer, hosts=(serve.host,), body_bytes_max=serve.body_bytes_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._guarded(scope, receive, send)

    # ------------------------------------------------------------------------------------------------ life
    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            if self._capture is not None:
                await asyncio.to_thread(self._capture.start)
            await self.board.start()
        except RopewalkError as error:
            await send({"type": "lifespan.startup.failed", "message": f"{error.code}: {error.what} {error.why}"})
            return
        await send({"type": "lifespan.startup.complete"})
        if self._on_ready is not None:
            self._on_ready()
        await receive()
        await self.board.stop()
        if self._capture is not None:
            await asyncio.to_thread(self._capture.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _lane(self, endpoint: str, served: Served) -> Lane:
        async def start() -> Any:  # noqa: ANN401 - a Worker; the lane knows no other
            if served.broken is not None:
                raise served.broken
            try:
                load = await asyncio.to_thread(self._source.load, served)
                return await start_worker(load, command=self._command)
            except OSError as error:  # no process to be had, no room for the code: it may be another in a moment
                raise _not_started(error) from error

        record = Recorder(endpoint, served.release, capture=self._capture, meters=self.meters, clock=self._clock)
        return Lane(
            start, record=record, clock=self._clock, workers=self._serve.workers, queue_max=self._serve.queue_max
        )

    def _gauges(self) -> Iterator[tuple[str, str, dict[tuple[str, str], float]]]:
        lanes = {
            (name, release): warm.lane
            for name, route in self.board.routes.items()
            for release, warm in route.warm.items()
        }
        yield "ropewalk_queue_rows", "Rows that wait.", {key: lane.queued_rows for key, lane in lanes.items()}
        yield "ropewalk_workers", "Workers that stand.", {key: len(lane.pids) for key, lane in lanes.items()}
        yield "ropewalk_worker_restarts", "Workers started again.", {key: lane.restarts for key, lane in lanes.items()}
        yield (
            "ropewalk_dropped_requests",
            "Requests too late to be asked.",
            {key: lane.expired for key, lane in lanes.items()},
        )
        weights: dict[tuple[str, str], float] = {}
        for name, route in self.board.routes.items():
            share = route.traffic.canary_weight_bp / 10_000
            weights[name, route.traffic.champion] = 1 - share
            if route.traffic.canary:
                weights[name, route.traffic.canary] = share
        if self._capture is not None:
            failing = float(self._capture.problem is not None)
            yield "ropewalk_capture_failing", "1 while captured rows cannot be sealed.", {("", ""): failing}
        yield "ropewalk_traffic_share", "Share of the traffic, 0 to 1.", weights

    # --------------------------------------------------------------------------------------------- answers
    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        try:
            match path.split("/"):
                case ["", "endpoints", name, "predict"]:
                    await self._predict(name, "", self._plain, scope=scope, receive=receive, send=send)
                case ["", "v2", "models", name, "infer"]:
                    await self._predict(name, "", self._infer, scope=scope, receive=receive, send=send)
                case ["", "v2", "models", name, "versions", version, "infer"]:
                    await self._predict(name, version, self._infer, scope=scope, receive=receive, send=send)
                case _:
                    await self._look(path, scope, send)
        except RopewalkError as error:
            more: dict[str, object] = {"problems": error.problems} if isinstance(error, Refusals) else {}
            if path.startswith("/v2/"):
                more["error"] = f"{error.what} {error.why}".strip()
            await answer_error(send, error, _headers_of(error), **more)
        except ConnectionResetError:
            return

    async def _look(self, path: str, scope: Scope, send: Send) -> None:
        """Answer what is only read."""
        _method(scope, b"GET, HEAD")
        routes = self.board.routes
        match path.split("/"):
            case ["", ""]:
                await answer_json(send, 200, {"endpoints": {name: _state(route) for name, route in routes.items()}})
            case ["", "openapi.json"]:
                await answer_json(send, 200, openapi.document(routes))
            case ["", "docs"]:
                await answer(send, 200, openapi.page(routes), openapi.PAGE_HEADERS)
            case ["", "metrics"]:
                await answer(
                    send, 200, self.meters.text(), ((b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),)
                )
            case ["", "v2"]:
                await answer_json(send, 200, {"name": "ropewalk", "version": __version__, "extensions": []})
            case ["", "v2", "health", "live"]:
                await answer_json(send, 200, {"live": True})
            case ["", "v2", "health", "ready"]:
                await self._ready(send, ready=self.board.ready)
            case ["", "v2", "models", name, *rest]:
                await self._model(name, rest, send)
            case _:
                raise NotFound("route-not-found", "Nothing is served here.", where=path[:200], fix="GET /openapi.json")

    async def _ready(self, send: Send, *, ready: bool) -> None:
        problems = {name: problem.record() for name, problem in self.board.problems.items()}
        await answer(send, 200 if ready else 503, openapi.encode({"ready": ready, "problems": problems}), JSON_HEADERS)

    async def _model(self, name: str, rest: list[str], send: Send) -> None:
        route = self._route(name)
        match rest:
            case []:
                served = route.champion.served
            case ["ready"]:
                await self._ready(send, ready=route.champion.lane.ready)
                return
            case ["versions", version]:
                served = _version(route, version).served
            case ["versions", version, "ready"]:
                await self._ready(send, ready=_version(route, version).lane.ready)
                return
            case _:
                raise NotFound("route-not-found", "Nothing is served here.", fix="GET /openapi.json")
        versions = [release.rpartition("/")[2] for release in route.warm]
        await answer_json(send, 200, protocol.describe(name, served, versions))

    def _route(self, name: str) -> Route:
        route = self.board.routes.get(name)
        if route is not None:
            return route
        if name in self.board.names():
            problem = self.board.problems.get(name)
            why = f"{problem.code}: {problem.what} {problem.why}" if problem else "it is being warmed"
            raise Unavailable("release-not-warm", "The release does not stand yet.", where=name, why=why)
        known = ", ".join(self.board.routes) or "none: nothing is live yet"
        raise NotFound(
            "endpoint-not-found",
            "There is no such endpoint.",
            where=f"endpoint {name[:80]}",
            why=f"those served here: {known}",
            fix="ropewalk ship",
        )

    async def _predict(
        self, name: str, version: str, form: Form, *, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a prediction: the body is read first, then the route is chosen and asked without a pause between."""
        _method(scope, b"POST")
        headers = dict(scope["headers"])
        _media(headers)
        body = await read_body(receive)
        seconds = _deadline(headers.get(DEADLINE_HEADER), self._serve.deadline_ms) / 1000
        status = 200
        try:
            route = self._route(name)
            pin = headers.get(RELEASE_HEADER, b"").decode("latin-1")
            if version:
                pin = _version(route, version).served.release
            answered = await form(route, body, Patience(pin=pin, seconds=seconds, receive=receive))
        except RopewalkError as error:
            status = status_of(error)
            raise
        finally:
            self.meters.answered(name if name in self.board.routes else "", status)
        await answer(send, 200, openapi.encode(answered))

    async def _plain(self, route: Route, body: bytes, patience: Patience) -> dict[str, Any]:
        asked = plain.decode(body, self._clock.now_us())
        return plain.encode(await ask(route, asked, patience, clock=self._clock))

    async def _infer(self, route: Route, body: bytes, patience: Patience) -> dict[str, Any]:
        served = pinned(route, patience.pin).served if patience.pin else route.champion.served
        asked, inference = protocol.decode(body, served)
        given = await ask(route, asked, patience, clock=self._clock)
        return protocol.encode(given, inference, route.traffic.endpoint)


class Gateway(Doorway):
    """The gateway of a project: follows its traffic, captures what it answers.

    Args:
        site: the project.
        settings: its `ropewalk.toml`.
        environment: whose endpoints it serves; empty for those of every environment.
        command: argv of a worker.
        on_ready: called when the first releases stand.
        source: who answers; the project's traffic when None.
    """

    def __init__(
        self,
        site: Site,
        settings: Settings,
        *,
        environment: str = "production",
        command: tuple[str, ...] = COMMAND,
        on_ready: Callable[[], None] | None = None,
        source: Source | None = None,
    ) -> None:
        super().__init__(
            source or SiteSource(site, environment, allowed=settings.scan.globals),
            serve=settings.serve,
            clock=site.clock,
            capture=Capture(site),
            command=command,
            on_ready=on_ready,
        )


def _not_started(error: OSError) -> Unavailable:
    return Unavailable(
        "worker-not-started",
        "The machine would not start a model's process.",
        why=error.strerror or str(error),
        fix="ropewalk status",
    )


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


def _method(scope: Scope, allowed: bytes) -> None:
    if scope["method"] not in allowed.decode().split(", "):
        raise Invalid(
            "method-not-allowed",
            "This route does not know the method.",
            where=str(scope["method"])[:20],
            why=f"it knows {allowed.decode()}",
        )


def _headers_of(error: RopewalkError) -> Headers:
    if error.code == "method-not-allowed":
        return ((b"allow", error.why.removeprefix("it knows ").encode()),)
    return ((b"retry-after", b"1"),) if error.kind == "unavailable" else ()


def _media(headers: dict[bytes, bytes]) -> None:
    """Refuse a body that is not JSON: a page of another site cannot send JSON unasked, a form it can."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Invalid(
            "media-type-unsupported",
            "The body must be JSON.",
            where="Content-Type",
            why=f"found {kind.decode('latin-1')[:80]!r}",
            fix="send the header Content-Type: application/json",
        )
    if b"inference-header-content-length" in headers:
        raise Invalid(
            "media-type-unsupported",
            "Binary tensors are not served here yet.",
            where="Inference-Header-Content-Length",
            fix="send the tensors' data as JSON (binary_data=False)",
        )


def _version(route: Route, version: str) -> Warm:
    return pinned(route, f"{route.traffic.champion.rpartition('/')[0]}/{version}")


def _deadline(given: bytes | None, ms_max: float) -> float:
    """Return the caller's patience in milliseconds, at most the endpoint's own."""
    if given is None:
        return ms_max
    try:
        wanted = float(given)
    except ValueError:
        wanted = 0.0
    if not isfinite(wanted) or wanted <= 0:
        raise Invalid(
            "request-malformed", "The deadline is not a number of milliseconds.", where="X-Ropewalk-Deadline-Ms"
        )
    return min(wanted, ms_max)
