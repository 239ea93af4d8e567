"""Runs every measurement of this folder, one after the other, and keeps what it printed in bench/out.

Run: `make bench`, or `.venv/bin/python bench/run.py [NAME ...]` for some of them. `--quick` tries whether they run.
Figures count when nothing else runs on the machine; each script says so when something did.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS_MAX = 1800


def run(script: Path, words: list[str]) -> str:
    """Run one script; print and keep what it says. Returns what went wrong, nothing when all is well."""
    with (HERE / "out" / f"{script.stem}.txt").open("w") as kept:
        command = [sys.executable, "-u", str(script), *words]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
        assert child.stdout is not None
        signal.signal(signal.SIGALRM, lambda *_: child.kill())
        signal.alarm(SECONDS_MAX)
        for line in child.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            kept.write(line)
        status = child.wait()
        signal.alarm(0)
    return f"{script.stem} (status {status})" if status else ""


def main(words: list[str]) -> int:
    names = [word for word in words if not word.startswith("--")]
    flags = [word for word in words if word.startswith("--")]
    known = [path for path in sorted(HERE.glob("*.py")) if path.name != "run.py"]
    unknown = sorted(set(names) - {path.stem for path in known})
    if unknown or set(flags) - {"--quick", "--peers"}:
        print(f"there are {', '.join(path.stem for path in known)}, and --quick; for pipelines and serving --peers too")
        return 2
    (HERE / "out").mkdir(exist_ok=True)
    failed: list[str] = []
    for script in known:
        if not names or script.stem in names:
            print(f"\n== {script.stem}", flush=True)
            failed += [wrong for wrong in [run(script, flags)] if wrong]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
