"""Runs every measurement of this folder, one after the other, and keeps what it printed in bench/out.

Run: `make bench`, or `.venv/bin/python bench/run.py [NAME ...]` for some of them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(names: list[str]) -> int:
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    scripts = [
        path for path in sorted(HERE.glob("*.py")) if path.name != "run.py" and (not names or path.stem in names)
    ]
    failed: list[str] = []
    for script in scripts:
        print(f"\n== {script.stem}", flush=True)
        with (out / f"{script.stem}.txt").open("w") as kept:
            child = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
            assert child.stdout is not None
            for line in child.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                kept.write(line)
            if child.wait():
                failed.append(script.stem)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed or not scripts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
