"""The guides to the cache, retries, backfills and notebooks are typed as they stand, and say what they say there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ropewalk.cli import main

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
DATA = {"sales.csv": "a,1\nb,2\n", "raw.txt": "b\na\nb\n"}


def plain(line: str) -> str:
    """Return a line without what differs from run to run: ids, and widths of columns."""
    return " ".join(re.sub(r"\b(01a[0-9a-f]{10,29})\b", "ID", line).split())


def written(guide: str, root: Path) -> list[tuple[str, list[str]]]:
    """Write a guide's files; return its commands, each with the lines that it is to print."""
    typed: list[tuple[str, list[str]]] = []
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", (GUIDES / guide).read_text(), re.MULTILINE | re.DOTALL):
        if language in ("python", "toml"):
            (root / text.partition("\n")[0].removeprefix("# ")).write_text(text)
        elif language == "json":
            (root / "report.ipynb").write_text(text)
        else:
            assert language == "console", f"{guide} has a block that nobody tries"
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *lines = part.rstrip().splitlines()
                typed.append((command, lines))
    return typed


@pytest.mark.timeout(200)
@pytest.mark.parametrize("guide", ["cache.md", "retries.md", "backfill.md", "notebooks.md"])
def test_every_command_of_the_guide_prints_what_the_guide_says(guide, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("REGION", raising=False)
    for name, text in DATA.items():
        (tmp_path / name).write_text(text)

    for command, wanted in written(guide, tmp_path):
        words = shlex.split(command)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setitem(os.environ, name, value)
            continue
        if words[0] == "ropewalk":
            status = main(["--project", str(tmp_path), *words[1:]])
            assert (status != 0) == any(line.startswith("error[") for line in wanted), command
            heard = capsys.readouterr()
            said = heard.out + heard.err
        else:
            said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        found = "\n".join(map(plain, said.splitlines()))
        assert [line for line in map(plain, wanted) if line not in found] == [], f"{command}\n{said}"
