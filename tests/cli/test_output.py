"""What people see, what machines read, and where colour ends."""

from __future__ import annotations

import io
import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.cli.output import Output


def answer(*, json: bool = False) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Output(json=json, stdout=out, stderr=err), out, err


def on_a_terminal(code: str, **environment: str) -> str:
    """Run Python code whose streams are a real terminal; return all that it shows."""
    ours, theirs = pty.openpty()
    plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**plain, "TERM": "xterm", **environment},
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # Linux says EIO when the last writer has gone
        pass
    finally:
        os.close(ours)
    assert child.wait() == 0, shown
    return shown.decode()


FAIL = "from ropewalk.cli import main; main(['explian'])"
TABLE = "from ropewalk.cli.output import Output; Output(json=False).table(('name', 'n'), [('[red]x', 1)])"
BAR = """
from ropewalk.cli.output import Output
with Output(json=False).progress('copying', total=3) as bar:
    bar.note('[part] 2'); bar.advance(3)
"""


def test_a_table_without_a_terminal_is_plain_aligned_text():
    out, text, _ = answer()

    out.table(("run", "loss", "note"), [("a", 0.25, None), ("longer", 12, "x\ny")], title="Runs")

    assert text.getvalue() == "Runs\nrun     loss  note\na       0.25\nlonger    12  x y\n"


def test_a_table_without_rows_still_shows_its_columns():
    out, text, _ = answer()

    out.table(("run", "loss"), [])

    assert text.getvalue() == "run  loss\n"


def test_nothing_but_the_envelope_is_printed_for_machines():
    out, text, err = answer(json=True)
    out.command = "runs"

    out.line("hello")
    out.fields({"a": 1})
    out.table(("a",), [(1,)])
    with out.progress("working") as bar:
        bar.advance()
        bar.note("still")
    out.result({"runs": []})
    out.next("ropewalk diff")
    out.finish()

    assert json.loads(text.getvalue()) == {
        "command": "runs",
        "ok": True,
        "result": {"runs": []},
        "next": ["ropewalk diff"],
    }
    assert text.getvalue().count("\n") == 1
    assert err.getvalue() == ""


def test_what_json_cannot_say_becomes_null_or_text():
    out, text, _ = answer(json=True)

    out.result({"loss": math.nan, "best": -math.inf, "at": Path("a/b"), "pair": (1, 2.5), 3: True})
    out.finish()

    assert json.loads(text.getvalue())["result"] == {
        "loss": None,
        "best": None,
        "at": "a/b",
        "pair": [1, 2.5],
        "3": True,
    }
    assert "NaN" not in text.getvalue()


def test_an_error_leaves_out_the_lines_that_say_nothing():
    out, _, err = answer()

    out.fail({"code": "c", "what": "What.", "where": "", "why": "", "fix": "ropewalk up"})

    assert err.getvalue() == "error[c]: What.\n  fix:   ropewalk up\n"


def test_progress_without_a_terminal_is_one_line_on_stderr():
    out, text, err = answer()

    with out.progress("copying", total=3) as bar:
        bar.advance(3)

    assert err.getvalue() == "copying ...\n"
    assert text.getvalue() == ""


def test_names_and_values_are_aligned():
    out, text, _ = answer()

    out.fields({"run": "r1", "commit": "abc"})

    assert text.getvalue() == "run     r1\ncommit  abc\n"


@pytest.mark.parametrize(
    ("code", "told"), [(FAIL, "error[command-unknown]:"), (TABLE, "[red]x"), (BAR, "copying: [part] 2")]
)
def test_a_terminal_gets_colour_or_drawing(code, told):
    shown = on_a_terminal(code)

    assert "\x1b[" in shown
    assert told in shown


def test_no_color_is_honoured_on_a_terminal():
    shown = on_a_terminal(FAIL, NO_COLOR="1")

    assert "\x1b" not in shown
    assert "error[command-unknown]" in shown


def test_a_dumb_terminal_gets_plain_text():
    shown = on_a_terminal(FAIL + ";" + TABLE, TERM="dumb")

    assert "\x1b" not in shown
    assert "[red]x" in shown
