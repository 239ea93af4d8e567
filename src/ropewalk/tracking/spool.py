"""Keeps a training alive when its tracking server is not: `enable()`, or `python -m ropewalk.tracking.spool train.py`.

Nothing of MLflow is replaced: what its client asks the tracking server by `requests` goes through a carrier, which
sends it as it is while the server answers. When it does not, calls are written down, flushed to the disk and answered
here; a thread sends them in their order as soon as the server is back, each counted once. What is left when the
process ends is sent by `ropewalk spool sync`.
"""

from __future__ import annotations

import atexit
import os
import runpy
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ropewalk.errors import Invalid
from ropewalk.tracking import wire
from ropewalk.tracking.carrier import Carrier, Request, Response

FOLDER = Path(".ropewalk") / "spool"
HEARTBEAT_SECONDS = 15
USAGE = 2

_carriers: dict[str, Carrier] = {}


def enable(url: str = "", *, folder: Path | None = None, heartbeat_seconds: int = HEARTBEAT_SECONDS) -> Carrier:
    """Let no outage of the tracking server end this process's training; call it before or after `import mlflow`.

    Args:
        url: the server; what `MLFLOW_TRACKING_URI` says when empty.
        folder: where calls are written down; `.ropewalk/spool` below the current folder when None.
        heartbeat_seconds: a run whose process says nothing for so long is marked by the server; 0 for no heartbeat.

    Returns:
        What carries the calls; `enable` again gives the same.

    Raises:
        Invalid: no server is named, or its address is not one of HTTP.
        Missing: the `requests` library of MLflow's client is not installed.
    """
    address = wire.bare(url or os.environ.get("MLFLOW_TRACKING_URI", ""))
    if not address.startswith(("http://", "https://")):
        raise Invalid(
            "spool-without-server",
            "There is no tracking server to keep calls for.",
            where="MLFLOW_TRACKING_URI",
            why=f"wanted an address of HTTP, found {address!r}",
            fix="export MLFLOW_TRACKING_URI=http://127.0.0.1:8470",
        )
    if address not in _carriers:
        carrier = Carrier(
            address, (folder or Path.cwd() / FOLDER).resolve(), heartbeat_seconds=heartbeat_seconds, tell=_tell
        )
        _carriers[address] = carrier
        _intercept()
        atexit.register(carrier.close)
        os.register_at_fork(after_in_child=carrier.begin_anew)
    return _carriers[address]


def _tell(words: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"ropewalk: {words}\n")
        sys.stderr.flush()


def _intercept() -> None:
    """Put ourselves between the client and its HTTP library, once."""
    try:
        from requests import adapters
    except ModuleNotFoundError as error:
        from ropewalk.errors import Missing

        raise Missing(
            "extra-not-installed",
            "MLflow's client is not installed.",
            where="ropewalk.tracking.spool",
            why="it brings the library `requests`, whose calls are kept",
            fix="pip install mlflow-skinny",
        ) from error
    kind = cast("Any", adapters.HTTPAdapter)
    if getattr(kind.send, "of_ropewalk", False):
        return
    original = cast("Callable[..., Any]", kind.send)
    quick = cast("Any", adapters.HTTPAdapter(max_retries=0))

    def send(self: Any, request: Any, **options: Any) -> Any:  # noqa: ANN401 - the library ships without types
        carrier = next((one for url, one in _carriers.items() if _below(str(request.url), url)), None)
        if carrier is None:
            return original(self, request, **options)
        return _carried(
            carrier, request, lambda: original(quick, request, **options), lambda: original(self, request, **options)
        )

    cast("Any", send).of_ropewalk = True
    kind.send = send


def _below(url: str, server: str) -> bool:
    return url == server or url.startswith((f"{server}/", f"{server}?"))


def _carried(carrier: Carrier, request: Any, once: Callable[[], Any], patiently: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Hand a request of `requests` to the carrier in our words, and give the answer back in theirs."""
    from requests import exceptions

    def try_now(changed: Request) -> Response | None:
        _changed(request, carrier.url, changed)
        try:
            answer = once()
        except (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError):
            return None
        if answer.status_code in wire.AWAY:
            answer.close()
            return None
        content = b"" if changed.streams else cast("bytes", answer.content)
        return Response(status=answer.status_code, body=content, whole=answer)

    body = request.body
    asked = Request(
        method=str(request.method).upper(),
        target=str(request.url)[len(carrier.url) :],
        headers={key: str(value) for key, value in request.headers.items() if key.lower() in KEPT_HEADERS},
        body=body.encode() if isinstance(body, str) else body,
    )
    found = carrier.carry(asked, try_now)
    if found is None:
        return patiently()
    return found.whole if found.whole is not None else _response(request, found)


KEPT_HEADERS = frozenset(("content-type", "content-encoding", "x-mlflow-experiment-id", "x-mlflow-workspace"))


def _changed(request: Any, url: str, changed: Request) -> None:  # noqa: ANN401 - the library ships without types
    request.url = url + changed.target
    if isinstance(changed.body, bytes):
        request.body = changed.body
        request.headers.pop("Transfer-Encoding", None)
        if changed.body or "Content-Length" in request.headers:
            request.headers["Content-Length"] = str(len(changed.body))


def _response(request: Any, found: Response) -> Any:  # noqa: ANN401 - the library ships without types
    from requests import Response as Theirs

    answer = cast("Any", Theirs())
    answer.status_code = found.status
    answer.headers["Content-Type"] = "application/json"
    answer.encoding = "utf-8"
    answer.url = request.url
    answer.request = request
    answer._content = found.body  # noqa: SLF001 - the library offers no other way to build one
    return answer


def main(words: list[str]) -> int:
    """Run a script as Python would, its tracking calls kept safe; returns the exit status for a wrong command line."""
    if not words or words[0] in ("-h", "--help"):
        _tell("usage: python -m ropewalk.tracking.spool SCRIPT.py [ARGUMENTS ...]  (or: -m MODULE [ARGUMENTS ...])")
        return 0 if words else USAGE
    enable()
    if words[0] == "-m" and len(words) > 1:
        sys.argv = words[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return 0
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).resolve().parent))
    runpy.run_path(words[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    from importlib import import_module

    # The module that the script imports, not this copy of it that is called __main__.
    sys.exit(import_module("ropewalk.tracking.spool").main(sys.argv[1:]))
