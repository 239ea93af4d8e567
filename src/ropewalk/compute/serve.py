"""The worker's side: dies with its parent, takes a job at a time, prints into the job's log."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from ropewalk.compute.channel import Frames, receive, send

PR_SET_PDEATHSIG = 1
Handler = Callable[[dict[str, Any]], dict[str, Any]]


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def serve(handle: Handler) -> None:
    """Answer jobs until the parent closes the socket: `python -m MODULE FD PARENT`.

    Args:
        handle: given the job's message, returns the answer; what it raises ends the worker.
    """
    fd, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    # Ctrl-C belongs to the process that the user started; it ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A process that a job leaves behind must not keep the socket open.
    os.set_inheritable(fd, False)
    frames = Frames()
    with socket.socket(fileno=fd) as channel:
        while (order := receive(channel, frames)) is not None:
            if order["log"]:
                _print_into(order["log"])
            os.environ.update(order.get("environ", {}))
            answer = _answer(handle, order)
            try:
                send(channel, answer)
            except (BrokenPipeError, ConnectionResetError):
                return


def _answer(handle: Handler, order: dict[str, Any]) -> dict[str, Any]:
    """Do the job, its secrets behind a veil where it has some."""
    secrets: dict[str, str] = order.get("secrets", {})
    if not secrets:
        answer = handle(order["job"])
        sys.stdout.flush()
        sys.stderr.flush()
        return answer
    from ropewalk.compute.hide import Veil, hidden

    veil = Veil(secrets)
    try:
        answer = handle(order["job"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        veil.lift()
    return hidden(answer, secrets)


def _print_into(path: str) -> None:
    """Let everything this process prints, native code too, go to the end of a file."""
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib costs the worker's start
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
