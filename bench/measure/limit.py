"""The least that answering from an ONNX model over HTTP costs in Python: one call for what one turn brought.

No id, no record, no contract, no split, no metrics, no walls: what is asked is believed, and answered.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

Waiting = list[tuple["Bare", bytes]]


class Engine:
    """Answers everything that one round of the event loop brought with one call of the model.

    Args:
        folder: with `model.onnx` and `names.txt`.
    """

    def __init__(self, folder: Path) -> None:
        import msgspec
        import numpy as np
        import onnxruntime

        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._run = onnxruntime.InferenceSession(
            (folder / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
        ).run
        self._names = (folder / "names.txt").read_text().split()
        self._waiting: Waiting = []
        self._decode, self._encode = msgspec.json.decode, msgspec.json.encode
        self._array = np.array
        self._loop = asyncio.get_running_loop()

    def ask(self, caller: Bare, body: bytes) -> None:
        """Have it answered at the end of the round."""
        if not self._waiting:
            self._loop.call_soon(self._turn)
        self._waiting.append((caller, body))

    def _turn(self) -> None:
        waiting, self._waiting = self._waiting, []
        asked = [self._decode(body)["records"] for _, body in waiting]
        rows = [[row[name] for name in self._names] for records in asked for row in records]
        labels, chances = self._run(None, {"X": self._array(rows, "float32")})[:2]
        found = zip(labels.tolist(), chances[:, 1].tolist(), strict=True)
        for (caller, _), records in zip(waiting, asked, strict=True):
            answers = [
                {"probability": chance, "label": label} for _, (label, chance) in zip(records, found, strict=False)
            ]
            caller.say(self._encode({"predictions": answers}))


class Bare(asyncio.Protocol):
    """One connection.

    Args:
        engine: answers.
    """

    def __init__(self, engine: Engine) -> None:
        import httptools

        self._engine = engine
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse on."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Ask."""
        body, self._body = self._body, b""
        self._engine.ask(self, body)

    def say(self, body: bytes) -> None:
        """Answer."""
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )


async def _serve(folder: Path) -> None:
    engine = Engine(folder)
    server = await asyncio.get_running_loop().create_server(lambda: Bare(engine), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def serve(folder: Path) -> None:
    """Serve until SIGTERM."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(folder))
