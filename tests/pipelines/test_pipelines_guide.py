"""The guide to steps is tried as it stands: its project is run by its commands, and says what it says there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "steps.md"


def test_every_command_of_the_guide_prints_what_the_guide_says(tmp_path):
    blocks = dict(re.findall(r"```(python|console)\n(.*?)```", GUIDE.read_text(), re.DOTALL))
    (tmp_path / "pipeline.py").write_text(blocks["python"])
    environ = {**os.environ, "COLUMNS": "200"}
    said = ""

    for line in blocks["console"].splitlines():
        words = shlex.split(line.removeprefix("$ "))
        if line.startswith("$ export "):
            name, _, value = words[1].partition("=")
            environ[name] = value
        elif line.startswith("$ "):
            assert words[0] == "ropewalk"
            command = [sys.executable, "-m", "ropewalk", "--project", str(tmp_path), *words[1:]]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            said = done.stdout + done.stderr
        else:
            assert line in said, said
