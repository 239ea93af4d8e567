"""The servers that are measured, each a process of its own: ours whole, ours without parts, a plain peer, an echo.

`python -m measure.servers KIND FOLDER` takes a free port, prints it when requests may come, and serves until SIGTERM.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from measure import limit

if TYPE_CHECKING:
    from ropewalk.endpoints.problems import App, Receive, Scope, Send

HERE = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers.

    Attributes:
        url: where, without a slash at its end.
        pid: its process.
        start_seconds: from its start to its word that requests may come.
    """

    url: str
    pid: int
    start_seconds: float

    def processes(self) -> list[int]:
        """Return the process and all below it."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """Return what all its processes have used."""
        total = 0
        for pid in self.processes():
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(words[11]) + int(words[12])
        return total / TICK

    def memory_mib(self) -> list[float]:
        """Return the resident memory of each process, and after it what no other process shares, summed over all."""
        resident, own = [], 0
        for pid in self.processes():
            rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {row.split()[0]: int(row.split()[1]) for row in rows}
            resident.append(sizes["Rss:"] / 1024)
            own += sizes["Pss:"]
        return [*resident, own / 1024]


@contextmanager
def serving(words: list[str]) -> Iterator[Server]:
    """Start `python WORDS`, wait for the first line with an address, and end it by SIGTERM afterwards."""
    start = perf_counter()
    process = subprocess.Popen([sys.executable, "-u", *words], stdout=subprocess.PIPE, text=True, cwd=HERE)
    assert process.stdout is not None
    try:
        url = ""
        for line in process.stdout:
            found = [word for word in line.split() if word.startswith("http://")]
            if found:
                url = found[0].rstrip("/")
                break
        if not url:
            raise SystemExit(f"{' '.join(words)} ended with {process.wait()} before it served")
        yield Server(url=url, pid=process.pid, start_seconds=perf_counter() - start)
    finally:
        process.terminate()
        for _ in process.stdout:  # it may print more than a pipe holds while it leaves
            pass
        process.wait(30)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer each body with itself: what HTTP alone costs here."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body = await _body(receive)
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def plain(folder: Path) -> App:
    """Return what one writes by hand: Starlette, the pickled model asked in the same process, no checks, no records."""
    import pickle

    import numpy as np
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    model = pickle.loads((folder / "model.pkl").read_bytes())
    names = (folder / "names.txt").read_text().split()

    async def predict(request: Request) -> JSONResponse:
        asked = await request.json()
        rows = np.array([[row[name] for name in names] for row in asked["records"]])
        return JSONResponse({"predictions": [{"probability": float(p)} for p in model.predict_proba(rows)[:, 1]]})

    return Starlette(routes=[Route("/endpoints/{name}/predict", predict, methods=["POST"])])


def memory(folder: Path) -> App:
    """Return a server that asks another one, which FOLDER/origin names, once for each answer and then knows it."""
    import http.client
    from urllib.parse import urlsplit

    origin = urlsplit((folder / "origin").read_text())
    known: dict[tuple[str, bytes], tuple[int, bytes]] = {}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path, body = str(scope["path"]), await _body(receive)
        target = f"{path}?{scope['query_string'].decode()}"
        key = (f"{scope['method']} {target}", body)
        if key not in known:
            asked = http.client.HTTPConnection(str(origin.hostname), origin.port, timeout=60)
            asked.request(scope["method"], target, body or None, {"content-type": "application/json"})
            found = asked.getresponse()
            known[key] = (found.status, found.read())
            asked.close()
        status, data = known[key]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    return answer


def gateway(opened: ExitStack, folder: Path, *, captures: bool) -> App:
    """Return our gateway alone, with or without capture."""
    from ropewalk.endpoints.capture import Capture
    from ropewalk.endpoints.gateway import Doorway
    from ropewalk.endpoints.sources import SiteSource
    from ropewalk.house import open_house

    house = opened.enter_context(open_house(folder))
    site = house.site
    capture = Capture(site) if captures else None
    source = SiteSource(site, "production")
    return Doorway(source, serve=house.settings.serve, clock=site.clock, capture=capture)


def main(kind: str, folder: Path) -> None:
    if kind == "limit":
        limit.serve(folder)
        return
    from ropewalk.endpoints import server

    with ExitStack() as opened:
        app = {
            "echo": lambda: echo,
            "plain": lambda: plain(folder),
            "memory": lambda: memory(folder),
            "gateway": lambda: gateway(opened, folder, captures=True),
            "no-capture": lambda: gateway(opened, folder, captures=False),
        }[kind]()
        listener = server.listen("127.0.0.1", 0)

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            async def say(message: MutableMapping[str, Any]) -> None:
                await send(message)
                if message["type"] == "lifespan.startup.complete":
                    print(server.address_of(listener), flush=True)

            await app(scope, receive, say if scope["type"] == "lifespan" else send)

        server.run(told, listener)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
