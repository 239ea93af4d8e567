"""A start's run in a process of its own: who serves does not wait for it, and no user code comes near the key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any, cast

from ropewalk.errors import Interrupted, RopewalkError
from ropewalk.leases import FIRE, PARENT
from ropewalk.schedules.fire import Fire
from ropewalk.site import Site

HALT_SECONDS = 0.2


def run_apart(site: Site, pipeline: str, found: Fire, halt: threading.Event, *, hidden: tuple[str, ...] = ()) -> str:
    """Run a start's pipeline to its end and return the run's id.

    Once `halt` is set the process is ended: who stops shall not wait, and the same command goes on with the run.

    Args:
        site: the project.
        pipeline: `FILE.py:FUNCTION`.
        found: the start, claimed.
        halt: breaks it off when set.
        hidden: variables of the environment that are not the project's.

    Raises:
        Interrupted: it was broken off.
        RopewalkError: the run failed; the error is its own.
    """
    words = [f"{name}={typed(value)}" for name, value in found.arguments().items()]
    command = [sys.executable, "-m", "ropewalk", "--project", str(site.root), "--json", "run", pipeline, *words]
    told = {"ROPEWALK_ACTOR": found.actor, PARENT: str(os.getpid()), FIRE: f"{found.id}:{found.fence}"}
    own = {name: value for name, value in os.environ.items() if name not in hidden}
    with subprocess.Popen(
        command, cwd=site.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**own, **told}
    ) as child:
        said = _listened(child, halt)
    try:
        answer = json.loads(said)
    except ValueError:
        raise Interrupted(
            "fire-broken-off", "The run of a start ended without a word.", where=found.subject, fix="ropewalk run"
        ) from None
    if answer["ok"]:
        return str(answer["result"]["run"])
    error = answer["error"]
    raise RopewalkError(error["code"], error["what"], where=error["where"], why=error["why"], fix=error["fix"])


def typed(value: object) -> str:
    """Return a value as one types it behind `NAME=`; what is no text is JSON, which every parameter reads."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return json.dumps(list(cast("list[Any]", value)))
    return json.dumps(value)


def _listened(child: subprocess.Popen[bytes], halt: threading.Event) -> bytes:
    """Return what a process says until its end; it is asked to end once `halt` is set."""
    while True:
        try:
            return child.communicate(timeout=HALT_SECONDS)[0]
        except subprocess.TimeoutExpired:
            if halt.is_set():
                child.terminate()
