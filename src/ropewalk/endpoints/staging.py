"""A bundle alone behind a gateway of its own, for the staging and qa stages: `with serve_bundle(...) as url`."""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ropewalk.endpoints.server import address_of, listen
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.refs import short
from ropewalk.site import Site

START_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 15.0


@contextmanager
def serve_bundle(
    site: Site, bundle_digest: str, *, environment: str = "staging", allowed: tuple[str, ...] = ()
) -> Generator[str]:
    """Serve a bundle on a free port of this machine; nothing is captured.

    The gateway is a process of its own; it ends with the block, and by itself when this process dies.

    Args:
        site: the project whose blobs hold the bundle.
        bundle_digest: which.
        environment: whose configuration counts.
        allowed: globals that the model may import besides the defaults (`scan.globals`).

    Yields:
        The base URL, once the model stands warm.

    Raises:
        RopewalkError: the bundle cannot be served; the error is the gateway's own.
    """
    listener = listen("127.0.0.1", 0)
    ours, theirs = os.pipe()
    with tempfile.TemporaryDirectory(prefix="ropewalk-staging-") as scratch:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ropewalk.endpoints.staging"),
                *("--blobs", site.blobs.address, "--bundle", bundle_digest, "--environment", environment),
                *("--listener", str(listener.fileno()), "--ready", str(theirs), "--scratch", scratch),
                *(word for name in allowed for word in ("--allowed", name)),
            ],
            stdin=subprocess.PIPE,
            pass_fds=(listener.fileno(), theirs),
        )
        os.close(theirs)
        try:
            with listener:
                url = address_of(listener)
                _wait(ours, process, bundle_digest)
            yield url
        finally:
            os.close(ours)
            _end(process)


def _wait(ready: int, process: subprocess.Popen[bytes], bundle: str) -> None:
    """Wait for the gateway's word: `{}` for ready, an error's record otherwise, nothing when it died."""
    with selectors.DefaultSelector() as selector:
        selector.register(ready, selectors.EVENT_READ)
        said = os.read(ready, 65536) if selector.select(START_SECONDS_MAX) else b""
    if said:
        words = json.loads(said)
        if not words:
            return
        raise RopewalkError(words["code"], words["what"], where=words["where"], why=words["why"], fix=words["fix"])
    raise Unavailable(
        "gateway-not-started",
        "The staging gateway did not come up.",
        where=f"bundle {short(bundle)}",
        why=f"it ended with status {process.poll()}" if process.poll() is not None else "it said nothing in time",
        fix="send the same command again",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_parent() -> None:
    """End this process when the one that started it has gone: its end of our standard input closes."""

    def watch() -> None:
        while sys.stdin.buffer.read(1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="ropewalk-parent", daemon=True).start()


def main(argv: list[str] | None = None) -> int:
    """Serve a bundle on an inherited socket until SIGTERM (internal; `serve_bundle` starts it)."""
    from ropewalk.blobs.place import open_at
    from ropewalk.clock import SystemClock
    from ropewalk.endpoints.gateway import Doorway
    from ropewalk.endpoints.server import run
    from ropewalk.endpoints.sources import BundleSource
    from ropewalk.settings import Serve

    parser = argparse.ArgumentParser()
    for name in ("blobs", "bundle", "environment", "scratch"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("listener", "ready"):
        parser.add_argument(f"--{name}", required=True, type=int)
    parser.add_argument("--allowed", action="append", default=[])
    given = parser.parse_args(argv)
    _end_with_parent()
    listener = socket.socket(fileno=given.listener)
    try:
        source = BundleSource(
            open_at(given.blobs),
            bundle=given.bundle,
            environment=given.environment,
            scratch=Path(given.scratch),
            allowed=tuple(given.allowed),
        )
    except RopewalkError as error:
        os.write(given.ready, json.dumps(error.record()).encode())
        return 1
    app: Doorway

    def ready() -> None:
        problem = next(iter(app.board.problems.values()), None)
        os.write(given.ready, json.dumps(problem.record() if problem else {}).encode())

    app = Doorway(source, serve=Serve(plane=False), clock=SystemClock(), capture=None, on_ready=ready)
    run(app, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
