"""The process that a model runs in: it reads the model's bytes, confines itself, loads, and answers rows until told."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import perf_counter_ns
from typing import Any, cast

from ropewalk.blobs.folder import FolderBucket
from ropewalk.endpoints.frames import Frames, encode
from ropewalk.errors import Conflict, Invalid, RopewalkError
from ropewalk.models.predictor import Predictor, prepare
from ropewalk.models.sandbox import Confinement, confine
from ropewalk.models.trust import project_modules

PIECE_BYTES = 1 << 18
WORDS_MAX = 300
Message = Mapping[str, Any]


class Desk:
    """Answers messages; holds one model, because a confined process cannot read another one.

    Args:
        wall: confines this process, given the folders that stay readable.
    """

    def __init__(self, wall: Callable[[Iterable[Path]], Confinement] = confine) -> None:
        self._wall = wall
        self._predictor: Predictor | None = None

    def answer(self, message: Message) -> dict[str, Any]:
        """Return the answer to `load` or `predict`; an error of any kind is an answer too, under `error`."""
        began = perf_counter_ns()
        number = message.get("id", 0)
        try:
            found: dict[str, Any]
            if message.get("op") == "predict":
                found = {"outputs": self._predict(message)}
            elif message.get("op") == "load":
                found = self._load(message)
            else:
                found = {"error": Invalid("worker-message-unknown", "A worker knows load, predict and stop.").record()}
        except RopewalkError as error:
            found = {"error": error.record()}
        except Exception as error:  # noqa: BLE001 - the model's own code may raise anything; it becomes the answer
            found = {"error": _raised(error)}
        return {"id": number, **found, "micros": (perf_counter_ns() - began) // 1000}

    def _predict(self, message: Message) -> dict[str, list[Any]]:
        if self._predictor is None:
            raise Conflict("worker-empty", "The worker has loaded no model yet.")
        return self._predictor.predict(message["columns"], message["rows"])

    def _load(self, message: Message) -> dict[str, Any]:
        if self._predictor is not None:
            raise Conflict("worker-taken", "The worker has loaded its model already.", fix="start another worker")
        prepared = prepare(
            FolderBucket(Path(message["blobs"])),
            message["manifest"],
            engine=message.get("engine") or "auto",
            allow_pickle=bool(message.get("allow_pickle", True)),
        )
        allowed = [str(name) for name in cast("Iterable[object]", message.get("allowed") or ())]
        readable: list[Path] = [*prepared.readable]
        if message.get("code_folder"):
            code = Path(message["code_folder"])
            sys.path.insert(0, str(code))
            readable.append(code)
            allowed += project_modules(code)
        held = self._wall(readable)
        self._predictor = prepared.open(allowed)
        gc.collect()
        gc.freeze()  # the model stays; the collector need not look at it again
        return {
            "engine": prepared.engine,
            "part": prepared.part,
            "model": prepared.manifest.name,
            "confinement": held.record(),
        }


def _raised(error: Exception) -> dict[str, str]:
    words = " ".join(str(error).split())[:WORDS_MAX]
    return Invalid("model-raised", "The model raised an error.", why=f"{type(error).__name__}: {words}").record()


def serve(connection: socket.socket, desk: Desk) -> None:
    """Answer messages in order until `stop` comes or the other side closes."""
    frames = Frames()
    while piece := connection.recv(PIECE_BYTES):
        for message in frames.feed(piece):
            if message.get("op") == "stop":
                return
            connection.sendall(encode(desk.answer(message)))


def main(arguments: list[str]) -> None:
    """Serve on the inherited socket whose number is the only argument."""
    # `python -m` puts the folder it was started in first; a model's process shall not see a project that way.
    if sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]
    sys.dont_write_bytecode = True
    os.environ["JOBLIB_MULTIPROCESSING"] = "0"  # there will be no other processes, so it need not try
    os.dup2(2, 1)  # what a model prints is not an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(arguments[0])) as connection:
        serve(connection, Desk())
    sys.stderr.flush()
    os._exit(0)  # nothing at exit may want to write files any more


if __name__ == "__main__":
    main(sys.argv[1:])
