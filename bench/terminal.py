"""Prints what a command costs before it does anything: whole processes, beside python itself in the same run.

Run: `.venv/bin/python bench/terminal.py [ROUNDS]`. Budgets (performance.md, issue 2): `import ropewalk` adds less than
100 ms, `ropewalk --help` ends within 150 ms. Rounds are interleaved, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

CASES = {
    "python -c pass": ["-c", "pass"],
    "import ropewalk": ["-c", "import ropewalk"],
    "ropewalk --version": ["-m", "ropewalk", "--version"],
    "ropewalk --help": ["-m", "ropewalk", "--help"],
    "ropewalk explain usage": ["-m", "ropewalk", "explain", "usage"],
}


def main(rounds: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, words in CASES.items():
            start = perf_counter()
            subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
            taken[name].append((perf_counter() - start) * 1000)
    bare = median(taken["python -c pass"])
    print(f"{'ms, whole process':26}{'median':>8}{'least':>8}{'most':>8}{'above python':>14}")
    for name, times in taken.items():
        print(f"{name:26}{median(times):>8.0f}{min(times):>8.0f}{max(times):>8.0f}{median(times) - bare:>14.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
