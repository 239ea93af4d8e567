"""A small pipeline with everything that an export has to carry: loops, a map, retries, limits, secrets, a schedule."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

PIPELINE = """
import os
from pathlib import Path

from ropewalk import log_metric, pipeline, step


def note(word):
    with open("notes.txt", "a") as file:
        file.write(word + "\\n")
    if Path(f"kill-in-{word}").exists():
        os.remove(f"kill-in-{word}")
        os.kill(os.getppid(), 9)
        import time
        time.sleep(60)
    if Path(f"fail-in-{word}").exists():
        os.remove(f"fail-in-{word}")
        raise ValueError(f"{word} was told to fail")


@step
def load(month: int) -> list[int]:
    note("load")
    print("loading month", month)
    return list(range(month))


@step(retries=1, backoff="1s", timeout="5m", cpu=2, memory="300MB", priority=3)
def double(item: int, times: int) -> int:
    note("double")
    return item * times


@step(retries=1, backoff="1s", timeout="90s", memory="100MB", cpu=0.5)
def fit(rows: list[int], leaves: int) -> int:
    note("fit")
    log_metric(f"fit_{leaves}", sum(rows) * leaves)
    return sum(rows) * leaves


@step
def best(trials: list[int]) -> int:
    note("best")
    return max(trials)


@step(secrets=["DB_PASSWORD"], cache=False)
def publish(value: int) -> None:
    note("publish")
    assert os.environ["DB_PASSWORD"]


@pipeline(schedule="0 6 * * MON", timezone="Europe/Berlin", catch_up="all", start="2026-01-01")
def train(month: int = 4, leaves: tuple[int, ...] = (7, 15), word: str = "it's") -> None:
    rows = double.map(load(month), times=2)
    publish(best([fit(rows, count) for count in leaves]))


@pipeline
def plain(month: int = 4, leaves: tuple[int, ...] = (7, 15)) -> int:
    rows = load(month)
    return best([fit(rows, count) for count in leaves])
"""


def notes(root: Path) -> Counter[str]:
    """Return how often each step has run."""
    path = root / "notes.txt"
    return Counter(path.read_text().split()) if path.exists() else Counter()
