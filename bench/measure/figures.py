"""Tables of figures: printed as they are measured, kept as JSON in bench/out with a word on the machine."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from statistics import median
from time import perf_counter

OUT = Path(__file__).resolve().parent.parent / "out"
QUIET = 0.3  # load per core above which wall times are not to be quoted
LIBRARIES = ("polars", "uvicorn", "uvloop", "starlette", "scikit-learn", "onnxruntime", "numpy")
Cell = str | float | None


def is_quick() -> bool:
    """Whether this is only a try at tiny sizes, whose figures mean nothing."""
    return "--quick" in sys.argv


class Sheet:
    """What one script measured.

    Args:
        name: of the script; the JSON file is called like it.
    """

    def __init__(self, name: str) -> None:
        load = os.getloadavg()[0]
        self._name = name
        self._facts = {
            "name": name,
            "quick": is_quick(),
            "cores": os.cpu_count(),
            "load_before": round(load, 2),
            "quiet": load / (os.cpu_count() or 1) < QUIET,
            "python": platform.python_version(),
            "kernel": platform.release(),
            "libraries": {each: version(each) for each in LIBRARIES},
        }
        self._tables: list[dict[str, object]] = []
        if is_quick():
            print("QUICK: tiny sizes, the figures mean nothing")
        elif not self._facts["quiet"]:
            print(f"LOADED: load {load:.1f} before this began; only the ratios hold, and those roughly")

    def table(self, title: str, head: tuple[str, ...], rows: Iterable[tuple[Cell, ...]]) -> None:
        """Print a table and keep it; the first column is text, None is a figure that makes no sense there."""
        rows = list(rows)
        texts = [[_text(cell) for cell in row] for row in rows]
        first = max(len(head[0]), *(len(row[0]) for row in texts))
        widths = [max(len(word), *(len(row[at]) for row in texts)) for at, word in enumerate(head)][1:]
        print(f"\n{title}")
        for row in (list(head), *texts):
            cells = "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths, strict=True))
            print(f"{row[0]:{first}}{cells}", flush=True)
        self._tables.append({"title": title, "rows": [dict(zip(head, row, strict=True)) for row in rows]})

    def keep(self) -> None:
        """Write bench/out/NAME.json."""
        OUT.mkdir(exist_ok=True)
        path = OUT / f"{self._name}.json"
        path.write_text(json.dumps({**self._facts, "tables": self._tables}, indent=1) + "\n")


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    size = abs(cell)
    if not isfinite(size):
        return str(cell)
    return f"{cell:,.0f}" if size >= 100 or cell == int(cell) else f"{cell:.1f}" if size >= 10 else f"{cell:.3g}"


class Stopwatch:
    """Seconds of each named thing, one of them for every round."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Take the wall time of the block."""
        start = perf_counter()
        yield
        self.seconds.setdefault(name, []).append(perf_counter() - start)

    def median(self, name: str) -> float:
        """Return the median of a thing's rounds in seconds."""
        return median(self.seconds[name])

    def spread(self, name: str) -> str:
        """Return the least and most of a thing's rounds, in the unit that fits."""
        least, most = min(self.seconds[name]), max(self.seconds[name])
        return f"{least:.2f}-{most:.2f} s" if most >= 1 else f"{least * 1e3:.3g}-{most * 1e3:.3g} ms"
