"""The guide to captured predictions is typed as it stands, and says what it says there."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from evidence.delivered import Delivered
from ropewalk.cli import main
from ropewalk.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "capture.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_what_the_guide_types_prints_what_it_says(
    delivered: Delivered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = [text for language, text in BLOCKS if language == "console"]

    for command, *wanted in (part.splitlines() for part in typed[0].split("$ ropewalk ")[1:]):
        assert main(["--project", str(delivered.root), *command.split()]) == 0
        said = capsys.readouterr().out
        assert [line for line in wanted if line and line.split()[0] not in said] == []

    assert (tmp_path / "told.parquet").stat().st_size > 0


def test_what_the_guide_sets_is_a_setting() -> None:
    settings = [msgspec.toml.decode(text, type=Settings) for language, text in BLOCKS if language == "toml"]

    assert [one.capture.keep_days for one in settings] == [400]
    assert {language for language, _ in BLOCKS} == {"console", "toml"}
