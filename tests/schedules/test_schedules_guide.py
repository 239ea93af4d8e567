"""Every console block of the guide on schedules is typed, in its order, and says what the guide says that it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.cli import main

GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "schedules.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def typed() -> Iterator[tuple[str, list[str]]]:
    """Yield each command of the console blocks with the lines that it is to print."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip().splitlines()
            yield command, [line for line in lines if line]


def plain(line: str) -> str:
    """Return a line without what differs from day to day: ids, dates that are to come, widths of columns."""
    line = re.sub(r"\b(01a[0-9a-f]{10,29})\b", "ID", line)
    line = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?=2)", "", line)
    line = re.sub(r"20(?!13)\d\d-\d\d-\d\d(T0[45]:)?", "DATE", line)
    return " ".join(re.sub(r"\bCES?T\b", "ZONE", line).split())


@pytest.mark.timeout(200)
def test_the_guide_says_what_happens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "letters"
    root.mkdir()
    for text in (*blocks("python"), *blocks("toml")):
        name = text.partition("\n")[0].removeprefix("# ")
        if name != "ropewalk.toml":
            (root / name).write_text(text)
    (root / "ropewalk.toml").write_text('name = "letters"\n')
    (root / "raw.txt").write_text("b\na\nb\n")

    for command, wanted in typed():
        if "monthly" in command or "on-push" in command:
            (root / "ropewalk.toml").write_text(blocks("toml")[0])
        words = shlex.split(command)
        if words[0] == "ropewalk":
            assert main(["--project", str(root), *words[1:]]) == 0, command
            said = capsys.readouterr().out
        else:
            said = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout
        found = [plain(line) for line in said.splitlines()]
        assert [line for line in map(plain, wanted) if line not in found] == [], f"{command}\n{said}"


def test_the_call_of_the_webhook_is_the_one_that_the_command_prints(tmp_path: Path, capsys) -> None:
    (tmp_path / "ropewalk.toml").write_text(blocks("toml")[0])
    (tmp_path / "pipeline.py").write_text(blocks("python")[0])
    assert main(["--project", str(tmp_path), "schedule", "secret", "on-push"]) == 0
    said = capsys.readouterr().out
    secret = said.splitlines()[0]

    (shown,) = blocks("sh")
    told = next(line for line in said.splitlines() if "curl" in line)
    words = shlex.split(shown.replace("\\\n", " "))
    assert [word.replace(secret, "SECRET") for word in shlex.split(told)[:-1]] == words[:-1]
