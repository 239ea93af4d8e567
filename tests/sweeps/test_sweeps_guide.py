"""Every console block of the guide on sweeps is typed, in its order, and says what the guide says that it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.cli import main

HERE = Path(__file__).parent.parent.parent
GUIDE = HERE / "docs" / "guides" / "sweeps.md"
FLIGHTS = HERE / "examples" / "flights"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def typed() -> Iterator[tuple[str, list[str]]]:
    """Yield each command of the console blocks with the lines that it is to print."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip().splitlines()
            yield command, [line for line in lines if line]


def plain(line: str) -> str:
    """Return a line without what differs from machine to machine: how many trials run at once."""
    return " ".join(re.sub(r"\d+ at once", "N at once", line).split())


@pytest.mark.timeout(200)
def test_the_guide_says_what_happens(tmp_path, monkeypatch, capsys):
    for name, text in zip(("pipeline.py", "nightly.py"), blocks("python"), strict=True):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    for command, wanted in typed():
        assert main(shlex.split(command)[1:]) == 0, command
        said = capsys.readouterr().out
        found = [plain(line) for line in said.splitlines()]
        assert [line for line in map(plain, wanted) if line not in found] == [], f"{command}\n{said}"


def test_the_sweep_of_the_flights_tries_what_their_readme_says(tmp_path, capsys):
    shutil.copytree(FLIGHTS, tmp_path / "flights", ignore=shutil.ignore_patterns(".ropewalk"))
    (line,) = [one for one in (FLIGHTS / "README.md").read_text().splitlines() if one.startswith("ropewalk sweep")]

    status = main(["--project", str(tmp_path / "flights"), "--json", *shlex.split(line, comments=True)[1:]])

    assert status == 0
    assert json.loads(capsys.readouterr().out)["result"]["trials"] == [
        {"month_to": month, "leaves": leaves} for month in ("2", "3") for leaves in ("7,15", "31")
    ]
