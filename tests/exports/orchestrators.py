"""Runs an exported pipeline by the orchestrators themselves, in `.venv-orchestrators`, and reads what came of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from exports.lettered import PIPELINE
from ropewalk.cli import main
from ropewalk.house import open_house
from ropewalk.pipelines import outcomes
from ropewalk.runs import run as runs

ROOT = Path(__file__).parent.parent.parent
BIN = ROOT / ".venv-orchestrators" / "bin"


def made(root: Path, target: str, *words: str) -> Path:
    """Make a project and write its pipeline out; return the file."""
    root.mkdir(parents=True)
    (root / "pipeline.py").write_text(PIPELINE)
    (root / "ropewalk.toml").write_text('name = "letters"\n')
    if target:
        assert main(["--project", str(root), "export", target, "pipeline.py:plain", *words]) == 0
    return root / f"exports/{target}/plain.py"


def said(words: list[str], home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the other environment, in a home of its own, with our own command on its PATH."""
    mine = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        "NO_COLOR": "1",
        # What is called from there is counted by the tests of `ropewalk step`.
        "COVERAGE_PROCESS_START": "",
        "COVERAGE_PROCESS_CONFIG": "",
        **environ,
    }
    home.mkdir(exist_ok=True)
    command = [str(BIN / words[0]), *words[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=home, env=mine, timeout=500)


def results(root: Path) -> list[dict[str, tuple[str, str]]]:
    """Return state and digest of each step of each run of a project that has finished or failed, oldest first."""
    found = []
    with open_house(root, create=False) as house, house.site.db.read() as rows:
        every = [run for state in runs.MOVES for run in rows.all(runs.Run, "runs.of_state", state=state)]
        for run in sorted(every, key=lambda run: run.id):
            states = {"": (run.state, "")}
            for row in outcomes.steps_of(rows, run.id, running=False):
                outcome = outcomes.find(rows, row.key)
                states[row.node] = (row.state, outcome.digest if outcome is not None else "")
            found.append(states)
    return found
