"""The gateway: one ASGI app that answers for every endpoint of an environment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any, cast

from ropewalk.clock import Clock
from ropewalk.endpoints.asking import Patience, Refusals
from ropewalk.endpoints.batching import Lane
from ropewalk.endpoints.capture import Capture
from ropewalk.endpoints.forms import INFER, PLAIN, SCORE, Form, Question, form_of, media_of
from ropewalk.endpoints.guard import Guard, decode_json, read_body
from ropewalk.endpoints.looking import Looking, version_of
from ropewalk.endpoints.meters import Meters
from ropewalk.endpoints.planes import LENDER, Planes
from ropewalk.endpoints.problems import Headers, Receive, Scope, Send, answer, answer_json, status_of
from ropewalk.endpoints.recorder import Recorder
from ropewalk.endpoints.requests import ROUTE
from ropewalk.endpoints.runtime import COMMAND, start_worker
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.serving import tell_of
from ropewalk.endpoints.sources import SiteSource, Source
from ropewalk.endpoints.switchboard import Route, Switchboard
from ropewalk.endpoints.telling import pattern_of, tell
from ropewalk.errors import Invalid, NotFound, RopewalkError, Unavailable
from ropewalk.settings import Serve, Settings
from ropewalk.site import Site
from ropewalk.telemetry.context import HEADER, PARENT, parent_of
from ropewalk.telemetry.spans import Spans

RELEASE_HEADER = b"x-ropewalk-release"
DEADLINE_HEADER = b"x-ropewalk-deadline-ms"


class Doorway:
    """Answers HTTP for whatever a source says; `Gateway` is this around a project.

    Args:
        source: who answers.
        serve: limits of `ropewalk.toml`.
        clock: the time.
        capture: where predictions are written down, or None (staging).
        command: argv of a worker.
        on_ready: called when the first releases stand and requests may come.
        hosts: names by which callers may reach it besides loopback; the address of `serve` when empty, `*` for any.
        plane: whether connections may be given to data planes: not where callers have to be asked who they are.

    Attributes:
        spans: who is told of every answer's trace, or None.
    """

    def __init__(
        self,
        source: Source,
        *,
        serve: Serve,
        clock: Clock,
        capture: Capture | None,
        command: tuple[str, ...] = COMMAND,
        plane: bool = True,
        on_ready: Callable[[], None] | None = None,
        hosts: tuple[str, ...] = (),
    ) -> None:
        self.board = Switchboard(source, self._lane, before=self._before)
        self.meters = Meters(self._gauges, clock)
        self.planes = Planes(self.board, source, serve=serve, clock=clock, meters=self.meters, capture=capture)
        self.spans: Spans | None = None
        self._plane = plane and serve.plane and not hosts  # a plane knows loopback's names alone
        self._looking = Looking(self.board, self.meters)
        self._source = source
        self._serve = serve
        self._clock = clock
        self._capture = capture
        self._command = command
        self._on_ready = on_ready
        self._guarded = Guard(
            self._answer,
            hosts=hosts or (serve.host,),
            ports_any=bool(hosts),
            body_bytes_max=serve.body_bytes_max,
            tell=tell,
        )

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
        await self.planes.stop()
        await self.board.stop()
        if self._capture is not None:
            await asyncio.to_thread(self._capture.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _before(self, name: str, route: Route) -> None:
        await self.planes.switch(name, route)

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
            yield from self._capture.gauges()
        yield "ropewalk_traffic_share", "Share of the traffic, 0 to 1.", weights

    # --------------------------------------------------------------------------------------------- answers
    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        scope[ROUTE] = pattern_of(path)
        try:
            match path.split("/"):
                case ["", "endpoints", name, "predict"]:
                    await self._predict(name, "", PLAIN, scope=scope, receive=receive, send=send)
                case ["", "v2", "models", name, "infer"]:
                    await self._predict(name, "", form_of(scope, INFER), scope=scope, receive=receive, send=send)
                case ["", "v2", "models", name, "versions", version, "infer"]:
                    await self._predict(name, version, form_of(scope, INFER), scope=scope, receive=receive, send=send)
                case ["", "endpoints", name, "invocations"]:
                    await self._predict(name, "", SCORE, scope=scope, receive=receive, send=send)
                case ["", "invocations"]:
                    _method(scope, b"POST")
                    await self._predict(self._looking.only(), "", SCORE, scope=scope, receive=receive, send=send)
                case ["", "v2", "repository", *rest]:
                    await self._repository(rest, scope, receive, send)
                case _:
                    _method(scope, b"GET, HEAD")
                    accepts = b",".join(value for name, value in scope["headers"] if name == b"accept")
                    await self._looking(path, send, accepts.decode("latin-1"))
        except RopewalkError as error:
            more: dict[str, object] = {"problems": error.problems} if isinstance(error, Refusals) else {}
            await tell(scope, send, error, _headers_of(error), **more)
        except ConnectionResetError:
            return

    async def _predict(
        self, name: str, version: str, form: Form, *, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a prediction: the body is read first, then the route is chosen and asked without a pause between."""
        _method(scope, b"POST")
        began_us = self._clock.now_us()
        headers = dict(scope["headers"])
        media = media_of(headers, form)
        scope[PARENT] = parent = parent_of(headers.get(HEADER))
        body = await read_body(receive)
        seconds = _deadline(headers.get(DEADLINE_HEADER), self._serve.deadline_ms) / 1000
        trace = parent.trace if parent else ""
        patience = Patience(pin="", seconds=seconds, receive=receive, trace=trace)
        status, lends = 200, self._plane
        try:
            route = self._looking.route(name)
            patience.pin = headers.get(RELEASE_HEADER, b"").decode("latin-1")
            if version:
                patience.pin = version_of(route, version).served.release
            reply = await form.answer(
                Question(route, body, media=media, headers=headers, patience=patience, clock=self._clock)
            )
        except RopewalkError as error:
            status = status_of(error)
            lends = lends and error.code == "queue-full"  # there is another queue
            raise
        finally:
            if lends:  # whoever asks again and again may do so without this process in between
                scope[LENDER] = (self.planes, headers.get(b"host", b""))
            known = name if name in self.board.routes else ""
            self.meters.answered(known, status)
            if self.spans is not None:
                given, now_us = patience.given, self._clock.now_us()
                tell_of(self.spans, scope, endpoint=known, status=status, given=given, began_us=began_us, now_us=now_us)
        await answer(send, 200, reply.body, reply.headers)

    async def _repository(self, rest: Sequence[str], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the protocol's extension for repositories: what is there may be asked, but comes and goes by releases.

        Raises:
            Invalid: it was asked to load or unload a model.
            NotFound: nothing is there.
        """
        _method(scope, b"POST")
        match rest:
            case ["index"]:
                body = await read_body(receive)
                said: object = decode_json(body) if body else None
                ready = isinstance(said, dict) and bool(cast("dict[str, object]", said).get("ready"))
                await answer_json(send, 200, self._looking.index(ready=ready))
            case ["models", name, ("load" | "unload") as verb]:
                await read_body(receive)
                raise Invalid(
                    "repository-by-line",
                    f"Models are not {verb}ed by callers: they come and go by releases.",
                    where=name[:80],
                    why="what answers here has walked the nine stages, and the ledger says so",
                    fix="ropewalk ship" if verb == "load" else "ropewalk rollback",
                )
            case _:
                raise NotFound("route-not-found", "Nothing is served here.", fix="GET /openapi.json")


class Gateway(Doorway):
    """The gateway of a project: follows its traffic, captures what it answers.

    Args:
        site: the project.
        settings: its `ropewalk.toml`.
        environment: whose endpoints it serves; empty for those of every environment.
        command: argv of a worker.
        on_ready: called when the first releases stand.
        source: who answers; the project's traffic when None.
        plane: as for a doorway.
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
        plane: bool = True,
    ) -> None:
        super().__init__(
            source or SiteSource(site, environment, allowed=settings.scan.globals),
            serve=settings.serve,
            clock=site.clock,
            capture=Capture(site),
            command=command,
            on_ready=on_ready,
            plane=plane,
        )


def _not_started(error: OSError) -> Unavailable:
    return Unavailable(
        "worker-not-started",
        "The machine would not start a model's process.",
        why=error.strerror or str(error),
        fix="ropewalk status",
    )


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
