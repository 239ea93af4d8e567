"""`ropewalk init` makes a project that runs: settings, a pipeline, a test; it never writes over a file."""

from __future__ import annotations

import argparse
import json
import shlex
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid
from ropewalk.ledger.sign import Signer
from ropewalk.refs import is_name
from ropewalk.settings import schema
from ropewalk.site import HIDDEN, who

EXAMPLE = """
ropewalk init churn
cd churn && ropewalk run && ropewalk ship && ropewalk up
"""
SAMPLES = ("ropewalk.toml", "pipeline.py", "tests/test_pipeline.py")
LIBRARIES = ("sklearn", "pandas", "skops")
IGNORED = ".ropewalk/\n__pycache__/\n"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="made if not there; . when left out")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Write what is not there yet, and the project's key.

    Raises:
        Invalid: the folder's name cannot name a project.
    """
    root = Path(options.folder).resolve()
    if not is_name(root.name):
        raise Invalid(
            "settings-invalid",
            "This folder's name cannot name a project.",
            where=root.name,
            why="a name is letters, digits, '.', '_' and '-', 128 at most",
            fix="ropewalk init my-project",
        )
    if root.exists() and not root.is_dir():
        raise Invalid(
            "settings-invalid",
            "A project is a folder, and a file has this name.",
            where=options.folder,
            why=f"{root.name} is a file",
            fix=f"ropewalk init {root.stem}-project",
        )
    root.mkdir(parents=True, exist_ok=True)
    fresh = not (root / "ropewalk.toml").exists() and not (root / "pipeline.py").exists()
    written = [name for name in SAMPLES if (fresh or name == "ropewalk.toml") and _write(root, name)]
    if not (root / ".gitignore").exists():
        (root / ".gitignore").write_text(IGNORED)
        written.append(".gitignore")
    hidden = root / HIDDEN
    Signer.create(hidden / "keys")
    (hidden / "ropewalk.schema.json").write_text(json.dumps(schema(), indent=1) + "\n")
    for name in written:
        out.line(f"wrote {name}")
    if not written:
        out.line("nothing to write: the project's files are there")
    out.result({"folder": root.name, "written": written})
    steps = ["ropewalk run", "ropewalk ship", "ropewalk up"]
    if "pipeline.py" in written and not all(find_spec(name) for name in LIBRARIES):
        steps.insert(0, f'pip install "ropewalk[sklearn]"   # the example needs {", ".join(LIBRARIES)}')
    out.next(*([f"cd {shlex.quote(options.folder)}"] if options.folder != "." else []), *steps)


def _write(root: Path, name: str) -> bool:
    target = root / name
    if target.exists():
        return False
    text = (files("ropewalk.cli") / "sample" / name).read_text(encoding="utf-8")
    target.parent.mkdir(exist_ok=True)
    target.write_text(text.replace("NAME", root.name).replace("OWNER", who(root)))
    return True
