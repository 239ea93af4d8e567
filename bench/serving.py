"""Prints requests a second, waits and processor time of one row and of 256, with everything on, beside other servers.

Run: `.venv/bin/python bench/run.py serving [--quick] [--peers]`; overload needs a C compiler. 20 features a row.
Ours: ids, contract check, capture to disk before the answer, metrics, champion and canary behind one name, the model in
a confined process; with data planes and without, and with parts of it left out. Limits: an ASGI echo on uvicorn, and
httptools with ONNX Runtime and nothing else. With --peers, other model servers serve the same model in environments of
their own below bench/out, made from requirements/peers-serving-*.in; each server is alone in its turn. Goals
(performance.md): >= 0.5 of the limit and >= 30x the best peer; p50 at one connection < 0.4 ms; >= 80 % of capacity at
ten times capacity.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from measure.figures import OUT, Cell, Sheet, is_quick
from measure.load import Load, drive
from measure.models import KINDS, body_of, make_project, rows_of
from measure.openloop import Caller, said
from measure.rivals import RIVALS, body_for, rival
from measure.servers import Server, serving

ROWS = 256
OURS, LIMIT = "ropewalk up, everything", "limit: httptools + ONNX Runtime"
BARE, UNCHECKED = "our gateway, no capture", "our gateway, no contract"
ALONE = "our gateway alone"
PATH = "/endpoints/flights/predict"
PLANE_SECONDS = 2.0
FLOOD_SECONDS, FLOOD_CONNECTIONS, TIMES = 6.0, 1000, 10
NORMAL_MS = 50.0
Bodies = dict[int, bytes]
Start = Callable[[], AbstractContextManager[Server]]


@dataclass(slots=True, kw_only=True)
class Found:
    """What one server came to.

    Attributes:
        start: seconds until it answered.
        memory: MiB that are its own.
        loads: by rows and connections.
        cpu: microseconds of all its processes a request, by the same.
        flood: cells of the table of overload.
    """

    start: float = 0.0
    memory: float = 0.0
    loads: dict[tuple[int, int], Load] = field(default_factory=dict)
    cpu: dict[tuple[int, int], float] = field(default_factory=dict)
    flood: tuple[Cell, ...] = ()


def measure(start: Start, path: str, bodies: Bodies, seconds: float, folder: Path, *, flooded: bool) -> Found:
    """Start a server, ask it in all ways, and end it."""
    found = Found()
    with start() as server:
        url = f"{server.url}{path}"
        drive(url, bodies[1], 8, 0.3, folder)
        sleep(PLANE_SECONDS if path == PATH else 0)  # a data plane comes once somebody asks again and again
        found.start = server.start_seconds
        for rows, connections in ((1, 32), (1, 1), (1, 256), (ROWS, 32), (ROWS, 1)):
            drive(url, bodies[rows], connections, 0.1, folder)
            before = server.cpu_seconds()
            load = drive(url, bodies[rows], connections, seconds if connections > 1 else seconds / 2, folder)
            found.loads[rows, connections] = load
            found.cpu[rows, connections] = (server.cpu_seconds() - before) / max(load.whole, 1) * 1e6
        found.memory = server.memory_mib()[-1]
        if flooded:
            found.flood = flood(server, url, bodies[1], found.loads[1, 32].per_second, folder)
    return found


def flood(server: Server, url: str, body: bytes, capacity: float, folder: Path) -> tuple[Cell, ...]:
    """Ask ten times what it can do; return what became of it, and how soon it answers quickly again."""
    caller = Caller(folder, url, [json.loads(body)])
    before = server.memory_mib()[-1]
    child = caller.begin(TIMES * capacity, 0.5 if is_quick() else FLOOD_SECONDS, FLOOD_CONNECTIONS)
    got = said(child)
    began = perf_counter()
    while perf_counter() - began < 60:
        load = drive(url, body, 1, 0.1, folder)
        if load.answered and load.p50_ms <= NORMAL_MS:
            break
    normal = max(perf_counter() - began - 1.0, 0.0)  # asking takes about a second itself
    more = server.memory_mib()[-1] - before
    good = got.good - got.good_late
    shares = (good / got.seconds, good / got.seconds / max(capacity, 1e-9), got.good_p99_ms)
    return (capacity, got.due / got.seconds, *shares, got.refused / got.seconds, got.refused_p99_ms, got.others,
            got.unanswered, normal, more)  # fmt: skip


def ours(kind: str, folder: Path, trees: int) -> Iterator[tuple[str, Start, Path]]:
    """Yield our servers and the limits, each with how it is started."""
    for at, more in enumerate(({}, {"plane": False}, {"checked": False})):
        make_project(folder / str(at) / "flights", kind, trees=trees, **more)
    whole, home, unchecked = (folder / str(at) / "flights" for at in range(3))

    def up(root: Path) -> Start:
        return partial(serving, ["-m", "ropewalk", "--project", str(root), "up", "--port", "0"])

    def part(word: str, root: Path) -> Start:
        return partial(serving, ["-m", "measure.servers", word, str(root)])

    yield OURS, up(whole), whole
    yield "ropewalk up, no data plane", up(home), home
    yield ALONE, part("gateway", whole), whole
    yield BARE, part("no-capture", whole), whole
    yield UNCHECKED, part("gateway", unchecked), unchecked
    yield "peer: Starlette + sklearn", part("plain", whole), whole
    yield "limit: ASGI echo", part("echo", whole), whole
    yield LIMIT, part("limit", whole), whole


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Go on without a peer that cannot be measured, and say so."""
    try:
        yield
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"{name} cannot be measured: {type(error).__name__}: {error}", flush=True)


def compare(kind: str, folder: Path, seconds: float, trees: int) -> dict[str, Found]:
    """Measure every server with one model."""
    rows = rows_of(ROWS)
    found: dict[str, Found] = {}
    bodies = {1: body_of(rows[:1]), ROWS: body_of(rows)}
    for name, start, root in ours(kind, folder, trees):
        found[name] = measure(start, PATH, bodies, seconds, root, flooded=name == OURS)
    for name in RIVALS if "--peers" in sys.argv else ():
        asked = {count: body_for(name, rows[:count]) for count in bodies}
        with _named(name):
            start = partial(rival, name, folder / "0" / "flights", rows[:1])
            flooded = name in ("mlflow", "bentoml", "fastapi")
            found[f"peer: {name}"] = measure(start, RIVALS[name][0], asked, seconds, folder, flooded=flooded)
    return found


def tables(sheet: Sheet, kind: str, found: dict[str, Found]) -> None:
    """Print one model's tables."""
    peers = [one for name, one in found.items() if name.startswith("peer")]

    def ratios(one: Found, key: tuple[int, int]) -> tuple[Cell, Cell]:
        best = max(peer.loads[key].per_second for peer in peers)
        per_second = one.loads[key].per_second
        return per_second / max(best, 1e-9), per_second / found[LIMIT].loads[key].per_second

    head = ("", "requests/s at 32", "x best peer", "of limit", "p99 ms", "at 256", "at 1", "p50 ms at 1",
            "CPU us at 32", "CPU us at 1", "others", "start s", "MiB")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for name, one in found.items():
        many, alone, crowd = one.loads[1, 32], one.loads[1, 1], one.loads[1, 256]
        rows.append((name, many.per_second, *ratios(one, (1, 32)), many.p99_ms, crowd.per_second, alone.per_second,
                     alone.p50_ms, one.cpu[1, 32], one.cpu[1, 1], many.others + alone.others + crowd.others, one.start,
                     one.memory))  # fmt: skip
    sheet.table(f"{kind}, 1 row a request", head, rows)
    head = ("", "requests/s at 32", "x best peer", "of limit", "p99 ms", "p50 ms at 1", "CPU us at 1", "others")
    rows = []
    for name, one in found.items():
        many, alone = one.loads[ROWS, 32], one.loads[ROWS, 1]
        rows.append((name, many.per_second, *ratios(one, (ROWS, 32)), many.p99_ms, alone.p50_ms, one.cpu[ROWS, 1],
                     many.others + alone.others))  # fmt: skip
    sheet.table(f"{kind}, {ROWS} rows a request", head, rows)
    head = ("", "capacity", "due/s", "answered 200/s", "of capacity", "their p99 ms", "refused/s", "their p99 ms",
            "anything else", "without answer", "s to normal", "MiB more")  # fmt: skip
    floods = [(name, *one.flood) for name, one in found.items() if one.flood]
    sheet.table(f"{kind}, ten times capacity", head, floods)
    costs: list[tuple[Cell, ...]] = []
    for word, without in (("capture", BARE), ("the contract check", UNCHECKED)):
        one, two = found[ALONE], found[without]
        lost = 1 - one.loads[1, 32].per_second / two.loads[1, 32].per_second
        costs.append((word, lost * 100, *(one.cpu[1, at] - two.cpu[1, at] for at in (32, 1))))
    sheet.table(f"{kind}, what parts cost", ("", "% of requests/s", "CPU us at 32", "CPU us at 1"), costs)


def main(seconds: float, trees: int) -> None:
    sheet = Sheet("serving")
    OUT.mkdir(exist_ok=True)
    for kind in KINDS:
        with TemporaryDirectory(dir=OUT) as folder:
            found = compare(kind, Path(folder), seconds, trees)
        tables(sheet, kind, found)
        sheet.keep()
        many = {name: one.loads[1, 32] for name, one in found.items() if name.startswith(("ropewalk", "our"))}
        wrong = {name: one.others for name, one in many.items() if one.others or not one.answered}
        if wrong:
            raise SystemExit(f"answers that were not 200: {wrong}")


if __name__ == "__main__":
    if is_quick():
        main(0.3, 5)
    else:
        main(1.5, 100)
