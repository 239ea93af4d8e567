"""A shipped release, read once, and what is written of it for each target."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

from ropewalk.demo.server import free_port
from ropewalk.exports.deliver import MAKERS, Order, deliver, read_ordered
from ropewalk.exports.released import Released
from ropewalk.house import open_house

TEXTS = tuple(name for name in MAKERS if name != "bundle")
START_SECONDS_MAX = 60


def read_shipped(root: Path, target: str, **words: str) -> Released:
    """Return the live release of a project, as it is read for a target."""
    with open_house(root, create=False) as house:
        return read_ordered(house.site, house.settings, Order(target=target, **words))


def files_of(root: Path, target: str, **words: str) -> dict[str, str | bytes]:
    """Return what would be written for a target; nothing is."""
    with open_house(root, create=False) as house:
        found = read_ordered(house.site, house.settings, Order(target=target, **words))
        return dict(MAKERS[target](house.site.blobs, found))


def written(root: Path, target: str, **words: str) -> Path:
    """Write a target's files; return their folder."""
    with open_house(root, create=False) as house:
        return deliver(house.site, house.settings, Order(target=target, **words)).folder


class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        headers: by name in lower case.
        body: its bytes.
    """

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        """Return the body, read."""
        return json.loads(self.body)


def asked(port: int, verb: str, path: str, body: object = None, **headers: str) -> Answer:
    """Send one request to this machine and return its answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(verb, path, data, {"Content-Type": "application/json", **named})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


@contextmanager
def answering(folder: Path, environ: dict[str, str], *words: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run `ropewalk serve --bundle` on a free port, as a container would, and wait until its model stands."""
    port = free_port()
    known = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "ROPEWALK_BUNDLE": str(folder), **environ}
    given = {name: value.replace("{port}", str(port)) for name, value in known.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "ropewalk", "serve", *words], env=given, cwd="/", stdout=subprocess.PIPE
    )
    try:
        _wait(process, port)
        yield port, process
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = monotonic() + START_SECONDS_MAX
    for line in process.stdout:  # it says so when it answers
        if b" answers at " in line:
            return
        assert monotonic() < until, line
    raise AssertionError(f"it ended with {process.wait()} and never answered at {port}")
