"""Prints requests a second and the wait for one row, with everything on, beside a plain peer and a bare echo.

Run: `.venv/bin/python bench/serving.py [--quick]`. One row of 20 features a request. Ours: ids, contract check, capture
to disk before the answer, metrics, champion and canary behind one name, the model in a confined process. Peer:
Starlette with the same scikit-learn model in the same process and none of that. Limit: an ASGI echo, same uvicorn.
Goals (performance.md): with everything on >= 0.5 of the limit; p50 at one connection < 0.4 ms; capture <= 5 %.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from measure.figures import OUT, Cell, Sheet, is_quick
from measure.load import Load, drive
from measure.models import KINDS, make_project
from measure.servers import serving

CONNECTIONS = 32
SERVERS = {
    "ropewalk up, everything": "up",
    "our gateway alone": "gateway",
    "our gateway, no capture": "no-capture",
    "peer: Starlette + sklearn": "plain",
}
HEAD = ("", "requests/s at 32", "x peer", "of limit", "p50 ms", "p99 ms", "p50 ms at 1", "CPU us a request")


def measure(kind: str, folder: Path, body: bytes, seconds: float) -> tuple[Load, Load, float]:
    """Return the load at 32 connections, the one at 1, and the server's CPU microseconds a request at 32."""
    words = ["-m", "measure.servers", kind, str(folder)]
    if kind == "up":
        words = ["-m", "ropewalk", "--project", str(folder), "up", "--port", "0"]
    with serving(words) as server:
        url = f"{server.url}/endpoints/flights/predict"
        drive(url, body, CONNECTIONS, 0.2, folder)  # every lane and cache is warm after this
        before = server.cpu_seconds()
        many = drive(url, body, CONNECTIONS, seconds, folder)
        used = server.cpu_seconds() - before
        alone = drive(url, body, 1, max(seconds / 2, 0.5), folder)
    return many, alone, used / max(many.whole, 1) * 1e6


def rows_of(found: dict[str, tuple[Load, Load, float]]) -> list[tuple[Cell, ...]]:
    """Return a row for each server; ratios are against the peer and the limit of the same table."""
    peer, limit = (found[next(name for name in found if name.startswith(word))][0] for word in ("peer", "limit"))
    return [
        (
            name,
            many.per_second,
            many.per_second / peer.per_second,
            many.per_second / limit.per_second,
            many.p50_ms,
            many.p99_ms,
            alone.p50_ms,
            cpu,
        )
        for name, (many, alone, cpu) in found.items()
    ]


def main(seconds: float, trees: int) -> None:
    sheet = Sheet("serving")
    OUT.mkdir(exist_ok=True)
    costs: list[tuple[Cell, ...]] = []
    echo: tuple[Load, Load, float] | None = None
    with TemporaryDirectory(dir=OUT) as folder:
        for at, kind in enumerate(KINDS):
            root = Path(folder) / str(at) / "flights"
            body = make_project(root, kind, trees=trees)
            found = {name: measure(word, root, body, seconds) for name, word in SERVERS.items()}
            echo = echo or measure("echo", root, body, seconds)
            found["limit: ASGI echo"] = echo
            wrong = {name: many.others for name, (many, _, _) in found.items() if many.others or not many.answered}
            if wrong:
                raise SystemExit(f"answers that were not 200: {wrong}")
            sheet.table(f"{kind}, 1 row a request", HEAD, rows_of(found))
            with_, without = (found[name] for name in ("our gateway alone", "our gateway, no capture"))
            lost = 1 - with_[0].per_second / without[0].per_second
            costs.append((kind, lost * 100, with_[2] - without[2], (with_[1].p50_ms - without[1].p50_ms) * 1e3))
    sheet.table("what capture costs", ("", "% of requests/s", "CPU us a request", "us at 1 connection"), costs)
    sheet.keep()


if __name__ == "__main__":
    if is_quick():
        main(0.3, 5)
    else:
        main(1.5, 100)
