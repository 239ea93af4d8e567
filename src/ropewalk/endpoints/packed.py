"""One release in a folder away from its project: what an image holds, and the gateway that answers with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import Clock
from ropewalk.endpoints.gateway import Doorway
from ropewalk.endpoints.problems import App, Receive, Scope, Send
from ropewalk.endpoints.served import Served, code_folder, read_served
from ropewalk.errors import Corrupt, Invalid, NotFound
from ropewalk.releases.traffic import Traffic
from ropewalk.settings import Serve

FILE = "served.json"
BLOBS = "blobs"
SCHEMA = 1
ANY = "*"
# Vertex AI says in these variables where it looks after a container and where it sends requests.
# Source: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
VERTEX_HEALTH, VERTEX_PREDICT = "AIP_HEALTH_ROUTE", "AIP_PREDICT_ROUTE"
# Vertex AI's and Knative's word for the port, in the order in which they are asked.
PORTS = ("AIP_HTTP_PORT", "PORT")
PORT = 8080
_PORT_MAX = 65_535


class Packed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in `served.json` beside the blobs.

    Attributes:
        schema: number of this format.
        release: id such as `flights/3`.
        bundle: digest of its bundle.
        endpoint: by which name it answers.
        environment: whose configuration counts.
        allowed: globals that the model may import besides the defaults.
        example: a real row.
        workers: processes that hold the model.
        queue_max: rows that may wait.
        deadline_ms: longest that a caller waits, in milliseconds.
        body_bytes_max: largest body.
    """

    schema: int = SCHEMA
    release: str
    bundle: str
    endpoint: str
    environment: str
    allowed: tuple[str, ...] = ()
    example: dict[str, Any] = {}
    workers: int
    queue_max: int
    deadline_ms: float
    body_bytes_max: int


def read_packed(folder: Path) -> Packed:
    """Return what a folder serves.

    Raises:
        NotFound: it holds no release.
        Corrupt: its description cannot be read.
    """
    try:
        data = (folder / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            "bundle-folder-missing",
            "There is no release in this folder.",
            where=str(folder),
            why=f"it holds no {FILE}",
            fix="ropewalk export bundle, and name the folder that it writes",
        ) from None
    try:
        return msgspec.json.decode(data, type=Packed)
    except msgspec.DecodeError as error:
        raise Corrupt("bundle-malformed", "This file describes no release.", where=FILE, why=str(error)) from error


class PackedSource:
    """The release of a folder: all the traffic there is.

    Args:
        folder: with `served.json`, `blobs/` and `code/`; it is never written where its code is whole.

    Raises:
        NotFound: a file is missing.
        Corrupt: a blob does not hold what was recorded.
    """

    def __init__(self, folder: Path) -> None:
        self.packed = read_packed(folder)
        self._folder = folder
        self._blobs = FolderBucket(folder / BLOBS)
        packed = self.packed
        self._served = read_served(
            self._blobs, packed.release, packed.bundle, packed.environment, example=packed.example
        )

    def version(self) -> int:
        """Return 0: the folder never changes."""
        return 0

    def traffic(self) -> dict[str, Traffic]:
        """Return the one endpoint."""
        packed = self.packed
        return {
            packed.endpoint: Traffic(
                endpoint=packed.endpoint,
                generation=0,
                at_us=0,
                actor="",
                champion=packed.release,
                canary="",
                canary_weight_bp=0,
                shadow="",
                previous="",
                salt="",
                reason="a release in a folder of its own",
            )
        }

    def served(self, release: str) -> Served:  # noqa: ARG002 - there is only one
        """Return what the release serves."""
        return self._served

    def load(self, served: Served) -> dict[str, object]:
        """Return the worker's load message."""
        code = code_folder(self._blobs, self._folder, served.code)
        return served.load(self._blobs, code, self.packed.allowed)


def gateway(source: PackedSource, clock: Clock, *, hosts: tuple[str, ...], on_ready: Callable[[], None]) -> Doorway:
    """Return what answers for a folder's release; nothing is captured, for there is no project to keep it.

    Args:
        source: the release.
        clock: the time.
        hosts: names by which callers may reach it besides loopback; `*` for any.
        on_ready: called when the model stands, or cannot.
    """
    packed = source.packed
    serve = Serve(
        workers=packed.workers,
        queue_max=packed.queue_max,
        deadline_ms=packed.deadline_ms,
        body_bytes_max=packed.body_bytes_max,
    )
    return Doorway(source, serve=serve, clock=clock, capture=None, hosts=hosts, on_ready=on_ready)


def port_in(environ: Mapping[str, str]) -> int:
    """Return the port that the platform wants; 8080, as SageMaker and KServe have it, where it says nothing.

    Raises:
        Invalid: it is no port.
    """
    for name in PORTS:
        text = environ.get(name, "")
        if text:
            if text.isascii() and text.isdigit() and 0 < int(text[:6]) <= _PORT_MAX:
                return int(text)
            raise Invalid("usage", "This is no port.", where=name, why=f"found {text[:40]!r}", fix=f"{name}={PORT}")
    return PORT


class Renamed:
    """Answers at a platform's routes too.

    Args:
        app: what answers.
        routes: our path by theirs.
    """

    def __init__(self, app: App, routes: Mapping[str, str]) -> None:
        self._app = app
        self._routes = dict(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        ours = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        await self._app(scope if ours is None else {**scope, "path": ours}, receive, send)


def routes_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Return our path by the one that Vertex AI asks at; nothing elsewhere."""
    wanted = {environ.get(VERTEX_HEALTH, ""): "/ping", environ.get(VERTEX_PREDICT, ""): "/invocations"}
    return {theirs: ours for theirs, ours in wanted.items() if theirs.startswith("/")}
