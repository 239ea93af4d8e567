"""Prints what starts cost: commands, the server to its first answer, a worker with its model, the memory they hold.

Run: `.venv/bin/python bench/start.py [--quick]`. Goals (performance.md, issue 2): `import ropewalk` adds < 100 ms,
`ropewalk --help` < 150 ms, `ropewalk up` answers < 1.5 s after its start, memory < 120 MiB for everything (without a
live model), a worker < 1 s beyond its framework's import and < 150 MiB. Rounds are interleaved, so that a busy machine
slows all of them alike; beside each thing stands the least that it could cost: python, a bare server, the import.
"""

from __future__ import annotations

import asyncio
import http.client
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from urllib.parse import urlsplit

from measure.figures import OUT, Cell, Sheet, Stopwatch, is_quick
from measure.models import KINDS, make_project
from measure.servers import Server, serving

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import ropewalk": ["-c", "import ropewalk"],
    "ropewalk --version": ["-m", "ropewalk", "--version"],
    "ropewalk --help": ["-m", "ropewalk", "--help"],
    "ropewalk explain usage": ["-m", "ropewalk", "explain", "usage"],
    "import onnxruntime": ["-c", "import numpy, onnxruntime"],
    "import scikit-learn": ["-c", "import sklearn.ensemble"],
}
GOALS = {"import ropewalk": "< 100 above", "ropewalk --help": "< 150"}
ENGINES = {"onnx": "import onnxruntime", "native": "import scikit-learn"}


def ask(server: Server, body: bytes | None) -> None:
    """Ask once: the model for a row where there is one, the server for its health where not."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    method, path = ("GET", "/v2/health/live") if body is None else ("POST", "/endpoints/flights/predict")
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{method} {path} was answered {answer.status}: {said[:300]!r}")


def serve_once(
    watch: Stopwatch, memory: dict[str, list[float]], name: str, words: list[str], body: bytes | None
) -> None:
    """Start a server, ask it once, and note how long that took and what memory it then holds."""
    start = perf_counter()
    with serving(words) as server:
        ask(server, body)
        watch.seconds.setdefault(name, []).append(perf_counter() - start)
        memory[name] = server.memory_mib()


async def load_worker(watch: Stopwatch, memory: dict[str, list[float]], folder: Path, engine: str) -> None:
    """Start one confined worker with the live model, by the engine that is asked for."""
    from ropewalk.endpoints.runtime import start_worker
    from ropewalk.endpoints.sources import SiteSource
    from ropewalk.house import open_house

    with open_house(folder) as house:
        source = SiteSource(house.site, "production")
        message = source.load(source.served("flights/1")) | {"engine": engine}
        with watch.time(f"worker, {engine}"):
            worker = await start_worker(message)
        memory[f"worker, {engine}"] = Server(url="", pid=worker.pid, start_seconds=0).memory_mib()
        found = worker.facts["engine"]
        await worker.stop()
    if found != engine:
        raise SystemExit(f"the worker took {found}, not {engine}")


def main(rounds: int, trees: int) -> None:
    sheet, watch = Sheet("start"), Stopwatch()
    memory: dict[str, list[float]] = {}
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=OUT) as folder:
        empty, live = Path(folder) / "empty", Path(folder) / "live"
        empty.mkdir()
        (empty / "ropewalk.toml").write_text('name = "empty"\n')
        body = make_project(live, KINDS[1], trees=trees)
        ups = {
            "ASGI echo": (["-m", "measure.servers", "echo", "."], b"{}"),
            "up, nothing live": (["-m", "ropewalk", "--project", str(empty), "up", "--port", "0"], None),
            "up, champion and canary": (["-m", "ropewalk", "--project", str(live), "up", "--port", "0"], body),
        }
        for _ in range(rounds):
            for name, words in COMMANDS.items():
                with watch.time(name):
                    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
            for name, (words, asked) in ups.items():
                serve_once(watch, memory, name, words, asked)
            for engine in ENGINES:
                asyncio.run(load_worker(watch, memory, live, engine))
    tell(sheet, watch, memory)
    first_minute(sheet)
    sheet.keep()


def first_minute(sheet: Sheet) -> None:
    """Type the three lines in a new environment, pip's cache left out, and print what each took."""
    root = Path(__file__).resolve().parent.parent
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=OUT) as folder:
        place = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place], cwd=root, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
        script = shutil.copy(root / "examples" / "scripts" / "breast_cancer.py", place / "train.py")
        ropewalk, pip = (place / "venv" / "bin" / name for name in ("ropewalk", "pip"))
        wheel = next(place.glob("*.whl"))
        began = perf_counter()
        install = [pip, "install", "--quiet", "--no-cache-dir", wheel, "scikit-learn", "pandas"]
        subprocess.run(install, check=True)
        installed = perf_counter()
        subprocess.run([ropewalk, "run", script], cwd=place, check=True, stdout=subprocess.DEVNULL)
        ran = perf_counter()
        with subprocess.Popen(
            [ropewalk, "serve", "--port", "0"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            assert server.stdout is not None
            line = next(line for line in server.stdout if line.strip().startswith("curl"))
            subprocess.run(shlex.split(line), check=True, stdout=subprocess.DEVNULL)
            answered = perf_counter()
            server.terminate()
            server.communicate()
    times = {"pip install": installed - began, "ropewalk run": ran - installed, "serve, to the answer": answered - ran}
    rows: list[tuple[Cell, ...]] = [(name, seconds, "") for name, seconds in times.items()]
    sheet.table("three lines to an answer, s", ("", "s", "goal"), [*rows, ("together", answered - began, "<= 60")])


def tell(sheet: Sheet, watch: Stopwatch, memory: dict[str, list[float]]) -> None:
    """Print the three tables."""
    bare = watch.median("python -c pass")
    rows: list[tuple[Cell, ...]] = [
        (name, watch.median(name) * 1e3, (watch.median(name) - bare) * 1e3, GOALS.get(name, ""), watch.spread(name))
        for name in COMMANDS
    ]
    sheet.table("whole commands, median ms", ("", "ms", "above python", "goal", "least-most"), rows)
    least = watch.median("ASGI echo")
    rows = [
        (name, watch.median(name) * 1e3, watch.median(name) / least, goal, watch.spread(name))
        for name, goal in (("ASGI echo", ""), ("up, nothing live", "< 1500"), ("up, champion and canary", ""))
    ]
    sheet.table("from start to the first answer, median ms", ("", "ms", "of echo", "goal", "least-most"), rows)
    rows = []
    for engine, framework in ENGINES.items():
        name = f"worker, {engine}"
        beyond = (watch.median(name) - watch.median(framework)) * 1e3
        rows.append((name, watch.median(name) * 1e3, beyond, "< 1000 beyond", watch.spread(name)))
    sheet.table("a worker until its model stands, median ms", ("", "ms", "beyond import", "goal", "least-most"), rows)
    goals = {"up, nothing live": "< 120", "worker, onnx": "< 150", "worker, native": "< 150"}
    rows = [
        (name, sum(sizes[:-1]), sizes[-1], len(sizes) - 1, " + ".join(f"{size:.0f}" for size in sizes[:-1]), goal)
        for name, sizes in memory.items()
        for goal in (goals.get(name, ""),)
    ]
    sheet.table("memory after the first answer, MiB", ("", "RSS", "PSS", "processes", "RSS of each", "goal"), rows)


if __name__ == "__main__":
    if is_quick():
        main(1, 5)
    else:
        main(5, 100)
