"""Decides for each call whether it goes to the server or into the journal, and sends the journal when it can."""

from __future__ import annotations

import io
import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, cast

from ropewalk.clock import SystemClock
from ropewalk.errors import RopewalkError
from ropewalk.tracking import refused, wire
from ropewalk.tracking.journal import Body, Journal, Standing
from ropewalk.tracking.replay import API, JSON, Json, renamed, replay
from ropewalk.tracking.shadow import HEARTBEAT, Shadow, Told, decoded

LOOK_SECONDS = 1.0
LOOK_SECONDS_MAX = 15.0
EXIT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
# A run says that it lives somewhat more often than it promised to.
BEAT_SHARE = 0.6
ENDED = ("FINISHED", "FAILED", "KILLED")
_RUN = re.compile(r'"run_(?:id|uuid)"\s*:\s*"([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call of the client.

    Attributes:
        method: of HTTP.
        target: path and query below the server's address.
        headers: those that say what the body is.
        body: bytes, a file to be read from where it stands, pieces of bytes, or None.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = None

    @property
    def kind(self) -> str:
        """What is asked for: the path below `/mlflow/`."""
        return self.target.partition("?")[0].partition("/mlflow/")[2]

    @property
    def streams(self) -> bool:
        """Whether the answer is a file that is read in pieces."""
        return self.method == "GET" and "/mlflow-artifacts/" in self.target

    @property
    def writes(self) -> bool:
        """Whether it changes something; searches are questions whatever their method."""
        return self.method != "GET" and not self.kind.endswith(("search", "get-latest-versions", "traces/batchGet"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer.

    Attributes:
        status: of HTTP.
        body: its bytes.
        whole: the answer as the client's own library gave it; None when it is ours.
    """

    status: int
    body: bytes
    whole: Any = None


class Carrier:
    """What stands between one process's client and one server.

    Args:
        url: the server's address.
        folder: where journals lie, one folder each.
        heartbeat_seconds: see `spool.enable`.
        tell: says a sentence to who looks on.
    """

    def __init__(self, url: str, folder: Path, *, heartbeat_seconds: int, tell: Callable[[str], None]) -> None:
        self.url = url
        self.folder = folder
        self._beat_seconds = heartbeat_seconds
        self._tell = tell
        self._clock = SystemClock()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the journal and the thread: a forked child has neither."""
        self._lock = threading.RLock()
        self._sending = threading.RLock()
        self._wake = threading.Event()
        self._halt = False
        self._shadows: dict[str, Shadow] = {}
        self._journal: Journal | None = None
        self._ids: Mapping[str, str] = {}
        # With the workspace in which each began, wherever this process is now.
        self._running: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many calls are written down and not sent."""
        journal = self._journal
        return journal.waiting if journal is not None else 0

    def carry(self, request: Request, try_now: Callable[[Request], Response | None]) -> Response | None:
        """Return the answer to a call: the server's, or ours when the server is away and the call is kept.

        Args:
            request: what the client asks.
            try_now: sends it once; None when the server is away.

        Returns:
            None where only the server can answer and it is away: the client shall ask in its own patient way.
        """
        request = self._prepared(request)
        if not request.writes and self.waiting:
            with suppress(RopewalkError, OSError):
                self.sync(LOOK_SECONDS)
        # While calls wait, a later one must not pass them by.
        if not self.waiting:
            found = try_now(self._renamed(request))
            if found is not None:
                self._learn(request, found)
                return found
            request = _rewound(request)
        return self._kept(request)

    def sync(self, seconds: float = ANSWER_SECONDS) -> int:
        """Send what is kept, for as long as the server takes it.

        Args:
            seconds: longest wait for one answer.

        Returns:
            How many calls are left.

        Raises:
            Refused: the server does not know who asks.
            Corrupt: the journal is damaged.
            Unavailable: another process sends it.
        """
        with self._sending:
            journal = self._journal
            while journal is not None and journal.waiting:
                with journal.held():
                    sent = replay(journal, url=self.url, seconds=seconds, on_call=self._know)
                    kept = refused.bury(journal) if not sent.waiting else None
                if sent.refused:
                    self._tell(f"the server refused {sent.refused} calls: ropewalk spool status")
                if kept is not None:
                    self._tell(f"what it refused is kept in {kept.folder}")
                if sent.away:
                    return journal.waiting
                self._tell(f"the tracking server is back; {sent.sent} calls were sent to it")
        return 0

    def _know(self, standing: Standing) -> None:
        # The journal's own, which grows while we look things up in it.
        self._ids = standing.ids

    def close(self) -> None:
        """At the end of the process: try once more to send what is kept, and say what is left."""
        self._halt = True
        self._wake.set()
        left = self.waiting
        if left:
            with suppress(RopewalkError, OSError):
                left = self.sync(EXIT_SECONDS)
        with self._lock:
            journal = self._journal
        if journal is None:
            return
        if left:
            self._tell(f"{left} calls are kept in {journal.folder}; ropewalk spool sync sends them")
        else:
            journal.remove()

    def _prepared(self, request: Request) -> Request:
        if not request.writes or "/mlflow-artifacts/" in request.target:
            return request if request.body is None or isinstance(request.body, bytes) else _seekable(request)
        said = decoded(request.body) if isinstance(request.body, bytes) else {}
        changed = self._shadow(request).mark(request.kind, said)
        if request.kind == "runs/create" and self._beat_seconds:
            beat = {"key": HEARTBEAT, "value": str(self._beat_seconds)}
            changed = {**changed, "tags": [*cast("list[Json]", changed.get("tags") or []), beat]}
        if changed is said or changed == said:
            return request
        return replace(request, body=json.dumps(changed).encode())

    def _shadow(self, request: Request) -> Shadow:
        """Return what was seen in the workspace that a call names: in another one the same names mean other things."""
        workspace = wire.workspace_of(request.headers) or ""
        with self._lock:
            if workspace not in self._shadows:
                self._shadows[workspace] = Shadow(lambda: uuid.uuid4().hex, self._clock.now_us)
            return self._shadows[workspace]

    def _renamed(self, request: Request) -> Request:
        if not self._ids:
            return request
        body = request.body
        if isinstance(body, bytes) and "/mlflow-artifacts/" not in request.target:
            with suppress(UnicodeDecodeError):
                body = renamed(body.decode(), self._ids).encode()
        return replace(request, target=renamed(request.target, self._ids), body=body)

    def _learn(self, request: Request, found: Response) -> None:
        if not wire.Answer(status=found.status, body=b"").fine or request.streams:
            return
        plain = isinstance(request.body, bytes) and "/mlflow-artifacts/" not in request.target
        with self._lock:
            self._shadow(request).learn(request.kind, decoded(request.body) if plain else {}, decoded(found.body))
        if request.kind == "runs/create":
            info = cast("Json", cast("Json", decoded(found.body).get("run", {})).get("info", {}))
            self._begin_beating(str(info.get("run_id", "")), request)
        elif request.kind == "runs/update":
            self._end_beating(request)

    def _kept(self, request: Request) -> Response | None:
        """Answer a call here, and write it down if it changes something."""
        plain = isinstance(request.body, bytes) and "/mlflow-artifacts/" not in request.target
        with self._lock:
            said = decoded(request.body) if plain else {}
            told = self._shadow(request).answer(request.method, request.target, said)
            if told is None:
                return None
            if told.keep:
                self._write(request, told)
        data = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
        return Response(status=told.status, body=data)

    def _write(self, request: Request, told: Told) -> None:
        if self._journal is None:
            now = self._clock.now_us()
            name = f"{now:016d}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
            self._journal = Journal.create(self.folder / name, self.url, now)
            self._tell(f"the tracking server does not answer; its calls are kept in {self._journal.folder}")
        body = Body(text="")
        if told.sent is not None:
            body = Body(text=json.dumps(told.sent))
        elif isinstance(request.body, bytes) and request.headers.get("Content-Type", "").startswith("application/json"):
            body = Body(text=request.body.decode())
        elif request.body:
            source = io.BytesIO(request.body) if isinstance(request.body, bytes) else request.body
            body = Body(source=cast("IO[bytes]", source))
        self._journal.append(
            at_us=self._clock.now_us(),
            method=request.method,
            target=request.target,
            headers=request.headers,
            body=body,
            made=told.made,
        )
        if request.kind == "runs/create":
            self._begin_beating(told.made, request)
        elif request.kind == "runs/update":
            self._end_beating(request)
        self._start()

    def _begin_beating(self, run: str, request: Request) -> None:
        if self._beat_seconds and run:
            self._running[run] = wire.workspace_of(request.headers) or ""
            self._start()

    def _end_beating(self, request: Request) -> None:
        said = decoded(request.body) if isinstance(request.body, bytes) else {}
        if said.get("status") in ENDED:
            for found in _RUN.findall(request.body.decode()):
                for ended in (found, *(mine for mine, theirs in tuple(self._ids.items()) if theirs == found)):
                    self._running.pop(ended, None)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._turn, name="ropewalk-spool", daemon=True)
            self._thread.start()

    def _turn(self) -> None:
        """Send what is kept as soon as it can be, and say of running runs that they live."""
        pause, beaten = LOOK_SECONDS, self._clock.monotonic()
        while not self._halt:
            self._wake.wait(pause)
            if self._halt:
                return
            left = self.waiting
            if left:
                with suppress(RopewalkError, OSError):
                    left = self.sync()
            pause = min(pause * 2, LOOK_SECONDS_MAX) if left else LOOK_SECONDS
            if not left and self._clock.monotonic() - beaten >= self._beat_seconds * BEAT_SHARE:
                beaten = self._clock.monotonic()
                self._beat()

    def _beat(self) -> None:
        for run, workspace in tuple(self._running.items()):
            said = {"run_id": self._ids.get(run, run), "key": HEARTBEAT, "value": str(self._beat_seconds)}
            with suppress(wire.Away, OSError):
                headers = {**JSON, wire.WORKSPACE: workspace}
                wire.send(self.url, "POST", f"{API}/runs/set-tag", headers=headers, body=json.dumps(said).encode())


def _seekable(request: Request) -> Request:
    """Return the request with a body that can be sent twice: pieces are gathered first."""
    body = request.body
    if hasattr(body, "seek") and hasattr(body, "tell"):
        return replace(request, body=_At(body))
    return replace(request, body=b"".join(body))


class _At:
    """A file from where it stands."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self._start = file.tell()

    def rewind(self) -> None:
        """Go back to where it stood."""
        self.file.seek(self._start)

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        return self.file.read(size)


def _rewound(request: Request) -> Request:
    if isinstance(request.body, _At):
        request.body.rewind()
    return request
