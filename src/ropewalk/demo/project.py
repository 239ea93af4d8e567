"""The stage: a copy of the example project in a folder of its own, under git, as a team would have it."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path
from types import ModuleType

from ropewalk.errors import Conflict, missing_extra

AUTHOR = ("-c", "user.name=Ann Author", "-c", "user.email=ann@flights.example")
# The play's own parts stay behind: the copy is what a team would have.
PLAY = (
    "traffic.py",
    "variants.py",
    "findings.py",
    "judged.py",
    "test_play.py",
    "test_findings.py",
    "FINDINGS.md",
)
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".ropewalk", ".pytest_cache", "*.pyc", *PLAY)
MARK = ".ropewalk-demo"


def source() -> Path:
    """Return the example project: inside the installed package, or beside the sources.

    Raises:
        Missing: this installation has no example.
    """
    with as_file(files("ropewalk.demo") / "project") as packed:
        if packed.is_dir():
            return packed
    beside = Path(__file__).parents[3] / "examples" / "flights"
    if beside.is_dir():
        return beside
    raise missing_extra("the flights example", "demo")


def lay_out(root: Path, *, fresh: bool) -> None:
    """Copy the example into a folder and make its first commit.

    Raises:
        Conflict: the folder holds something, and `fresh` was not said or it is no demo's.
    """
    if root.exists() and any(root.iterdir()):
        if not (root / MARK).exists():
            raise Conflict(
                "demo-folder-taken",
                "The demo's folder holds something else.",
                where=str(root.name),
                why="a demo writes into a folder of its own",
                fix="ropewalk demo another-folder",
            )
        if not fresh:
            raise Conflict(
                "demo-played",
                "The demo has been played in this folder.",
                where=str(root.name),
                why="what it left is there to be explored",
                fix=f"ropewalk demo {root.name} --fresh",
            )
        shutil.rmtree(root)
    shutil.copytree(source(), root, ignore=LEFT_OUT, dirs_exist_ok=True)
    (root / MARK).write_text("Made by `ropewalk demo`; may be deleted whole.\n")
    (root / ".gitignore").write_text(".ropewalk/\n__pycache__/\n.pytest_cache/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "Ann Author")
    git(root, "config", "user.email", "ann@flights.example")
    commit(root, "Predict which flights land late")


def commit(root: Path, message: str) -> str:
    """Commit everything; return the commit's id."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


def git(root: Path, *words: str) -> str:
    """Run git in the project; return what it printed."""
    done = subprocess.run(["git", *AUTHOR, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def module(name: str) -> ModuleType:
    """Import one of the example's own modules, such as its traffic, from where the example lies."""
    place = str(source())
    if place not in sys.path:
        sys.path.insert(0, place)
    return importlib.import_module(name)
