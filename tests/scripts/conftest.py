"""A project's folder to run scripts in, and what became of a run."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ropewalk.house import House, open_house, run_script
from ropewalk.runs import artifacts, keep
from ropewalk.scripts.program import program_of
from ropewalk.scripts.run import ScriptResult, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """A project, and the folder that one is in."""

    house: House

    @property
    def root(self) -> Path:
        return self.house.site.root

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def run(self, *words: str, model: str = "m", variable: str = "") -> ScriptResult:
        return run_script(self.house, program_of(words), Wanted(model=model, variable=variable, autolog=False))

    def files(self, done: ScriptResult) -> dict[str, bytes]:
        with self.house.site.db.read() as rows:
            found = artifacts.artifacts(rows, done.run.id)
        return {one.path: self.house.site.blobs.get(one.digest) for one in found}

    def facts(self, done: ScriptResult, kind: str) -> dict[str, Any]:
        with self.house.site.db.read() as rows:
            if kind == "metric":
                return {point.key: point.value for point in keep.metrics(rows, done.run.id)}
            return {fact.key: fact.content() for fact in keep.facts(rows, done.run.id, kind)}

    def record(self, done: ScriptResult) -> dict[str, Any]:
        return json.loads(self.files(done)["ropewalk/record.json"])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """Open a workshop and stand in its folder."""
    monkeypatch.chdir(tmp_path)
    with open_house(tmp_path) as house:
        yield Workshop(house=house)
