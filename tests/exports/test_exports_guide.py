"""The guide to exports is tried as it stands: its commands print what it says, and one of its files is compiled."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from exports.orchestrators import BIN, said
from ropewalk.cli import main

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "export.md"


def test_every_command_of_the_guide_prints_what_the_guide_says(tmp_path, capsys):
    root = tmp_path / "letters"
    root.mkdir()
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (root / "pipeline.py").write_text(block)
    (root / "ropewalk.toml").write_text('name = "letters"\n')
    printed = ""

    for line in "".join(re.findall(r"```console\n(.*?)```", GUIDE.read_text(), re.DOTALL)).splitlines():
        if line.startswith("$ "):
            words = shlex.split(line.removeprefix("$ "))
            assert main(["--project", str(root), *words[1:]]) == 0, line
            printed = capsys.readouterr().out
        else:
            assert line in printed.splitlines(), f"{line}\n{printed}"
    if BIN.exists():
        compiled = said(["python", "exports/kubeflow/train.py", "train.yaml"], root)
        assert compiled.returncode == 0, compiled.stderr
        assert (root / "train.yaml").exists()


@pytest.mark.parametrize("code", [0, 75])
def test_the_exit_statuses_of_the_guide_are_those_of_the_command(code):
    from ropewalk.cli import step

    assert {0, step.AGAIN} >= {code}
    assert f"\n| {code} | " in GUIDE.read_text()
    assert str(step.AGAIN) in step.EXAMPLE
