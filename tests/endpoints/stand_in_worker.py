"""A worker that speaks the real frames and misbehaves on demand: the value of column `x` says how."""

from __future__ import annotations

import math
import os
import socket
import sys
import threading
from pathlib import Path

from ropewalk.endpoints import frames

CRASH, HANG, NOT_A_NUMBER, FAIL, WAIT = -1.0, -2.0, -3.0, -4.0, -5.0


def answer(columns: dict[str, list], gate: Path) -> dict[str, object]:
    xs = columns["x"]
    if CRASH in xs:
        os._exit(9)
    if HANG in xs:
        threading.Event().wait()
    if FAIL in xs:
        return {"error": "the model says no"}
    if WAIT in xs:
        (gate / "waiting").touch()
        with (gate / "go").open() as fifo:  # a named pipe: opening it waits for the test
            fifo.read()
    good = [1 / (1 + math.exp(-max(-30.0, min(30.0, x)))) for x in xs]
    probability = [math.nan if x == NOT_A_NUMBER else value for x, value in zip(xs, good, strict=True)]
    return {"outputs": {"probability": probability, "label": [int(value > 0.5) for value in good]}, "micros": 1}


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[-1]))
    while (message := frames.receive(connection)) is not None:
        match message["op"]:
            case "load":
                gate = Path(message["blobs"]).parent / "gate"
                if (gate / "refuse").exists() and message["manifest"] in (gate / "refuse").read_text():
                    frames.send(connection, {"id": 0, "error": {"code": "blob-corrupt", "what": "A blob was changed."}})
                    return
                frames.send(connection, {"id": 0, "engine": "stand-in"})
            case "predict":
                frames.send(connection, {"id": message["id"], **answer(message["columns"], gate)})
            case _:
                return


if __name__ == "__main__":
    main()
