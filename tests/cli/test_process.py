"""The command as a process: what it imports, and how it ends when its reader or its user goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

HEAVY = (
    "polars msgspec starlette uvicorn rich jinja2 cryptography numpy pandas sklearn onnxruntime pyarrow asyncio "
    "sqlite3 subprocess tempfile argparse"
)
PLANT = """
import signal, sys, types
from ropewalk import cli
from ropewalk.cli import commands
def handle(options, out):
    print("ready", flush=True)
    {body}
planted = types.ModuleType("ropewalk.cli.planted")
planted.EXAMPLE, planted.arguments, planted.handle = "ropewalk planted", lambda parser: None, handle
sys.modules["ropewalk.cli.planted"] = planted
commands.COMMANDS += (commands.Command(name="planted", summary="wait", group="Help", module="planted"),)
sys.exit(cli.main(["planted"]))
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run the code in a process that nobody measures: the coverage tool would import modules of its own."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=bare)


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(word):
    code = (
        f"import sys; from ropewalk.cli import main; main([{word!r}]); print(set({HEAVY.split()}) & set(sys.modules))"
    )

    assert python(code).stdout.splitlines()[-1] == "set()"


def test_a_command_imports_neither_the_others_nor_rich_without_a_terminal():
    code = (
        "import sys; from ropewalk.cli import main; main(['explain', 'usage']);"
        "print(sorted(one for one in sys.modules if one.startswith(('ropewalk.cli.', 'rich', 'msgspec', 'polars'))))"
    )

    assert python(code).stdout.splitlines()[-1] == str(
        [
            "ropewalk.cli.commands",
            "ropewalk.cli.explain",
            "ropewalk.cli.output",
            "ropewalk.cli.parse",
            "ropewalk.cli.terminal",
            "ropewalk.cli.typed",
        ]
    )


def test_it_can_be_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "ropewalk", "explain", "usage"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("usage\n")


@pytest.mark.parametrize("words", [["--help"], ["explain"], ["explain", "--help"], ["--json", "explain"]])
def test_a_reader_that_goes_away_ends_it_quietly(words):
    ours, theirs = os.pipe()
    os.close(ours)

    done = subprocess.run(
        [sys.executable, "-m", "ropewalk", *words], stdout=theirs, stderr=subprocess.PIPE, check=False
    )

    os.close(theirs)
    assert done.returncode == 141
    assert done.stderr == b""


def test_ctrl_c_ends_it_with_130_and_no_traceback():
    child = subprocess.Popen(
        [sys.executable, "-c", PLANT.format(body="signal.pause()")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"

    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=30)

    assert child.returncode == 130
    assert told.startswith("error[interrupted]: ")
    assert "Traceback" not in told
