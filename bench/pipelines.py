"""Prints what durable steps cost: whole commands, beside a pool of two processes and SQLite in the same run.

Run: `.venv/bin/python bench/run.py pipelines [--quick] [--peers]`. The limit does the same work as durably and does
nothing else: a pool of two processes, WAL with synchronous=FULL, two commits a step (it began, it ended). Both start as
processes of their own on a fresh folder, in turn. Goals (performance.md): a chain of 100 and a fan of 200 within 2x of
the limit, 100 unchanged steps < 0.15 s, one step from start to finish < 0.4 s; ten times the steps cost at most eleven
times, in flat memory. With --peers, other tools do the same in environments of their own below bench/out, made from
requirements/peers-*.in.
"""

from __future__ import annotations

import os
import signal
import sqlite3  # noqa: TID251 - the limit is SQLite without our store
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory

from measure.environments import environment
from measure.figures import OUT, Cell, Sheet, Stopwatch, is_quick

WORKERS = 2
HERE = Path(__file__).resolve().parent
SIZES = (10, 100, 1_000, 10_000)
PEERS = ("luigi", "hamilton", "dvc", "prefect", "metaflow", "dagster", "airflow")
PREPARED = ("airflow",)  # has a database to be made first, which is not counted
PEER_SECONDS_MAX = 120
# Compiled code is kept between starts, as everywhere outside of this machine's test runs.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
PIPELINE = """
from ropewalk import pipeline, step

@step
def more(number: int, by: int = 1) -> int:
    return number + by

@pipeline
def chain(length: int) -> int:
    number = 0
    for _ in range(length):
        number = more(number)
    return number

@pipeline
def fan(width: int) -> list[int]:
    return [more(number) for number in range(width)]

@step
def numbers(width: int) -> list[int]:
    return list(range(width))

@pipeline
def mapped(width: int) -> list[int]:
    return more.map(numbers(width))
"""
# Only the run: the watch starts in a python that has imported nothing of ours yet.
INSIDE = """
import sys
from time import perf_counter
start = perf_counter()
from pathlib import Path
from ropewalk.house import open_house, run
with open_house(Path(sys.argv[1])) as house:
    run(house, target=sys.argv[2], args=dict([sys.argv[3].split("=")]), on_progress=lambda _: None)
print(perf_counter() - start)
"""


def more(number: int) -> int:
    return number + 1


def limit(folder: str, shape: str, steps: int) -> None:
    """Run steps on a bare pool with two commits each."""
    db = sqlite3.connect(Path(folder) / "limit.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS steps (at INTEGER PRIMARY KEY, state TEXT, value INTEGER)")

    def say(at: int, state: str, value: int | None) -> None:
        db.execute("INSERT OR REPLACE INTO steps VALUES (?, ?, ?)", (at, state, value))

    with ProcessPoolExecutor(WORKERS) as pool:
        number = 0
        for at in range(steps if shape == "chain" else 0):
            say(at, "running", None)
            number = pool.submit(more, number).result()
            say(at, "done", number)
        left, running = iter(range(steps if shape == "fan" else 0)), dict[Future[int], int]()
        while True:
            for at in left:
                say(at, "running", None)
                running[pool.submit(more, at)] = at
                if len(running) == WORKERS:
                    break
            if not running:
                break
            for ended in wait(running, return_when=FIRST_COMPLETED).done:
                say(running.pop(ended), "done", ended.result())
    db.close()


def prepare(folder: Path) -> None:
    """Write the project as a user has it: in git, committed."""
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / ".gitignore").write_text(".ropewalk/\n__pycache__/\n")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "b"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


def words_of(who: str, folder: str, shape: str, steps: int) -> list[str]:
    """Return the command that runs a graph."""
    if who == "limit":
        return [__file__, "limit", folder, shape, str(steps)]
    count = f"{'length' if shape == 'chain' else 'width'}={steps}"
    if who == "inside":
        return ["-c", INSIDE, folder, f"pipeline.py:{shape}", count]
    return ["-m", "ropewalk", "--project", folder, "--json", "run", f"pipeline.py:{shape}", count]


def measure(shapes: tuple[tuple[str, int], ...], rounds: int) -> Stopwatch:
    """Run every command, both sides in turn."""
    watch = Stopwatch()

    def command(name: str, who: str, folder: str, shape: str, steps: int) -> None:
        with watch.time(name):
            words = [sys.executable, *words_of(who, folder, shape, steps)]
            said = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True, env=ENVIRON).stdout
        if who == "inside":
            watch.seconds[name][-1] = float(said)

    for _ in range(rounds):
        for shape, steps in shapes:
            with TemporaryDirectory(dir=OUT) as folder:
                command(f"limit {shape} {steps}", "limit", folder, shape, steps)
            with TemporaryDirectory(dir=OUT) as folder:
                prepare(Path(folder))
                command(f"ropewalk {shape} {steps}", "ropewalk", folder, shape, steps)
                command(f"again {shape} {steps}", "ropewalk", folder, shape, steps)
                command(f"inside {shape} {steps}", "inside", folder, shape, steps)
    return watch


def usage(words: list[str]) -> tuple[float, float, float]:
    """Run a command; return its seconds, those of processors that it and its children took, and its peak MiB."""
    from time import perf_counter

    begun = perf_counter()
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=ENVIRON)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {child.returncode}")
    return perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def scale(sheet: Sheet, sizes: tuple[int, ...]) -> None:
    """Print what ten times the steps cost: as an ordinary loop, and as a map in one row."""
    rows: list[tuple[Cell, ...]] = []
    for shape, word in (("fan", "fan"), ("mapped", "map")):
        before: float | None = None
        for size in sizes:
            with TemporaryDirectory(dir=OUT) as folder:
                prepare(Path(folder))
                first = usage([sys.executable, *words_of("ropewalk", folder, shape, size)])
                again = usage([sys.executable, *words_of("ropewalk", folder, shape, size)])
            growth = None if before is None else first[1] / before
            goal = "<= 11x" if growth else ""
            rows.append((f"{word} of {size:,}", first[0] * 1e3, first[1] * 1e3, growth, goal, again[0] * 1e3, first[2]))
            before = first[1]
    head = ("", "ms", "CPU ms", "x the size before", "goal", "again, ms", "peak MiB")
    sheet.table("ten times the steps, whole commands", head, rows)


def compare(sheet: Sheet, chain: int, fan: int) -> None:
    """Print what other tools take for the same, each in an environment of its own."""
    rows: list[tuple[Cell, ...]] = []
    for name in PEERS:
        try:
            venv = environment(name)
            rows.append((name, *_peer(name, venv, chain, fan)))
        except (subprocess.SubprocessError, OSError) as error:
            print(f"{name} cannot be measured: {type(error).__name__}", flush=True)
            rows.append((name, None, None, None, None))
    sheet.table("others, whole commands, ms", ("", f"chain of {chain}", "again", f"fan of {fan}", "chain of 1"), rows)


def _peer(name: str, venv: Path, chain: int, fan: int) -> list[float | None]:
    """Return milliseconds of a chain, the chain again, a fan and a chain of one; None where it took too long."""
    found: list[float | None] = []
    with TemporaryDirectory(dir=OUT, ignore_cleanup_errors=True) as folder:
        found.append(_timed(name, venv, folder, "chain", chain))
        found.append(None if found[0] is None else _timed(name, venv, folder, "chain", chain))
    for shape, steps in (("fan", fan), ("chain", 1)):
        with TemporaryDirectory(dir=OUT, ignore_cleanup_errors=True) as folder:
            # Whoever did not end a chain in time is not asked for the twice as large fan.
            late = steps > 1 and found[0] is None
            found.append(None if late else _timed(name, venv, folder, shape, steps))
    return found


def _timed(name: str, venv: Path, folder: str, shape: str, steps: int) -> float | None:
    from time import perf_counter

    script = [str(venv / "bin/python"), str(HERE / "peers" / f"{name}_steps.py"), folder]
    # Each tool's own programs are found first, as in an environment that is active.
    environ = ENVIRON | {"PATH": f"{venv / 'bin'}{os.pathsep}{ENVIRON['PATH']}"}
    if name in PREPARED and not (Path(folder) / name).exists():
        subprocess.run([*script, "prepare", "0"], cwd=folder, env=environ, check=True, capture_output=True)
    begun = perf_counter()
    # A session of its own: what the tool started goes with it where it takes too long.
    child = subprocess.Popen(
        [*script, shape, str(steps)],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said = child.communicate(timeout=PEER_SECONDS_MAX)[1]
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        print(f"{name}: a {shape} of {steps} took more than {PEER_SECONDS_MAX} s", flush=True)
        return None
    if child.returncode:
        print(said.decode(errors="replace")[-500:], flush=True)
        raise subprocess.CalledProcessError(child.returncode, script)
    return (perf_counter() - begun) * 1e3


def main(chain: int, fan: int, rounds: int, sizes: tuple[int, ...]) -> None:
    sheet = Sheet("pipelines")
    OUT.mkdir(exist_ok=True)
    shapes = (("chain", 1), ("chain", chain), ("fan", fan))
    watch = measure(shapes, rounds)
    rows: list[tuple[Cell, ...]] = []
    for shape, steps in shapes:
        ours, least = watch.median(f"ropewalk {shape} {steps}"), watch.median(f"limit {shape} {steps}")
        goal = "< 400 ms" if steps == 1 else "<= 2x"
        span = watch.spread(f"ropewalk {shape} {steps}")
        rows.append((f"{shape} of {steps}", ours * 1e3, least * 1e3, ours / least, goal, span))
    for shape, steps in shapes:
        for name, told in (("again", "unchanged, again"), ("inside", "the same without python's start")):
            key = f"{name} {shape} {steps}"
            goal = "< 150 ms" if (shape, steps) == ("chain", chain) else ""
            rows.append((f"{shape} of {steps}, {told}", watch.median(key) * 1e3, None, None, goal, watch.spread(key)))
    sheet.table("whole commands, median ms", ("", "ropewalk", "limit", "ratio", "goal", "least-most"), rows)
    further: list[tuple[Cell, ...]] = []
    for shape, steps in shapes[1:]:
        ours, least = (
            (watch.median(f"{who} {shape} {steps}") - watch.median(f"{who} chain 1")) / (steps - 1) * 1e3
            for who in ("ropewalk", "limit")
        )
        further.append((f"{shape} of {steps}", ours, least, ours / least, "<= 2x"))
    sheet.table("each further step, ms", ("", "ropewalk", "limit", "ratio", "goal"), further)
    scale(sheet, sizes)
    if "--peers" in sys.argv:
        compare(sheet, chain, fan)
    sheet.keep()


if __name__ == "__main__":
    if sys.argv[1:2] == ["limit"]:
        limit(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif is_quick():
        main(5, 6, 1, (2, 20))
    else:
        main(100, 200, 5, SIZES)
