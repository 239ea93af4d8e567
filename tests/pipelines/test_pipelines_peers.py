"""Where other tools' caches are wrong: stale after an edit that matters, run again after one that does not."""

from __future__ import annotations

import pytest

from pipelines_project import Project
from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock

FILES = {
    "pipeline.py": """
import os
from pathlib import Path

import numpy as np

from features import clean
from ropewalk import pipeline, step
from settings import CONFIG

HERE = Path(__file__).parent


@step(reads=["prices.csv", "env:REGION"])
def work(value: int) -> float:
    '''Work it out.'''
    # as the others do
    words = (HERE / "words.txt").read_text()
    return clean(value) * CONFIG["model"]["depth"] + len(words) + len(os.environ.get("STAGE", ""))


@step
def other(value: int) -> int:
    return value + 1


@pipeline
def train(value: int = 1):
    return work(value), other(value)
""",
    "features/__init__.py": "from .inner import clean\n",
    "features/inner.py": """
from . import scale


def clean(value):
    return scale.by(value) + 1


def unused(value):
    return value
""",
    "features/scale.py": "FACTOR = 3\n\n\ndef by(value, power=2):\n    return value**power * FACTOR\n",
    "settings.py": 'CONFIG = {"model": {"depth": 4}, "names": ["a", "b"]}\n',
    "prices.csv": "1\n",
    "words.txt": "one two\n",
    "notes.md": "nothing\n",
}
STALE = {
    "Prefect, ZenML, Hamilton, joblib: a helper's helper in another module": (
        "features/scale.py", "value**power * FACTOR", "value**power / FACTOR", "code features.scale.by has changed",
    ),
    "DVC: a module that no dependency names": (
        "features/inner.py", "+ 1", "+ 2", "code features.inner.clean has changed: 1 -> 2",
    ),
    "Prefect, Hamilton: a constant of a module": (
        "features/scale.py", "FACTOR = 3", "FACTOR = 5", "code features.scale.FACTOR has changed: 3 -> 5",
    ),
    "joblib: a default argument of a helper": (
        "features/scale.py", "power=2", "power=3", "features.scale.by(defaults) has changed",
    ),
    "all: a value deep in a container": (
        "settings.py", '"depth": 4', '"depth": 6', "code pipeline.CONFIG has changed: {'model': {'depth': 4}",
    ),
    "ZenML: what a package gives on under another name": (
        "features/__init__.py", "import clean", "import unused as clean", "code features.inner.unused is new",
    ),
    "all but DVC: a declared file": ("prices.csv", "1", "2", "file prices.csv has changed"),
    "all: a file that the code finds beside itself": (
        "words.txt", "two", "three", "the project's other files has changed",
    ),
}  # fmt: skip
NEEDLESS = {
    "DVC, Prefect by source, ZenML: a comment": ("pipeline.py", "# as the others do", "# as none does"),
    "ZenML, Metaflow: a docstring": ("pipeline.py", "'''Work it out.'''", "'''Reckon.'''"),
    "DVC: another function of the file": ("features/inner.py", "return value\n", "return value - 1\n"),
    "Hamilton by source, ZenML: a line that is broken": (
        "features/inner.py", "scale.by(value) + 1", "(\n        scale.by(value)\n        + 1\n    )",
    ),
    "ZenML: an annotation": ("pipeline.py", "value: int) -> float", "value: float) -> int"),
    "DVC: another step of the file": ("pipeline.py", "return value + 1", "return value + 2"),
    "Prefect: an option of the engine": ("pipeline.py", "@step(reads", "@step(retries=2, timeout='1h', reads"),
}  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A project that was run; planning leaves nothing behind, so all tests may share it."""
    root = tmp_path_factory.mktemp("peers")
    hidden = root / HIDDEN
    db = SqliteDatabase(hidden / "ropewalk.db", clock := SetClock())
    keys = Signer.create(hidden / "keys")
    project = Project(Site(root=root, db=db, blobs=FolderBucket(hidden / "blobs"), clock=clock, signer=keys, actor="a"))
    _write(project)
    project.run()
    yield project
    db.close()


def _write(project: Project) -> None:
    for name, text in FILES.items():
        project.write(name, text)


@pytest.fixture
def ran(kept):
    _write(kept)
    return kept


@pytest.mark.parametrize("name", STALE)
def test_an_edit_that_others_miss_makes_the_step_run_and_why_names_it(ran, name):
    file, old, new, blamed = STALE[name]
    ran.edit(file, old, new)

    work, other = ran.plan().nodes

    assert (work.verdict, other.verdict) == ("run", "hit")
    assert any(blamed in reason for reason in work.why), work.why


@pytest.mark.parametrize("name", NEEDLESS)
def test_an_edit_after_which_others_run_again_is_a_hit(ran, name):
    file, old, new = NEEDLESS[name]
    ran.edit(file, old, new)

    assert ran.plan().nodes[0].verdict == "hit"


@pytest.mark.parametrize(("variable", "blamed"), [("REGION", "env:REGION"), ("STAGE", "env:STAGE")])
def test_an_environment_variable_is_an_input_declared_or_asked_for_by_name(ran, monkeypatch, variable, blamed):
    monkeypatch.setenv(variable, "new")

    (work, other) = ran.plan().nodes

    assert (work.verdict, other.verdict) == ("run", "hit")
    assert work.why == (f"environment {blamed.removeprefix('env:')} has changed: unset -> {_short('new')}",)


def _short(text: str) -> str:
    from ropewalk.refs import digest_of, short

    return short(digest_of(text.encode()))


def test_a_moved_project_finds_its_outcomes_again(ran, tmp_path):
    import shutil

    moved = tmp_path / "moved"
    shutil.copytree(ran.site.root, moved)
    hidden = moved / HIDDEN
    db = SqliteDatabase(hidden / "ropewalk.db", clock := SetClock())
    keys = Signer(hidden / "keys" / "ledger.key")
    project = Project(
        Site(root=moved, db=db, blobs=FolderBucket(hidden / "blobs"), clock=clock, signer=keys, actor="a")
    )

    assert [node.verdict for node in project.plan().nodes] == ["hit", "hit"]
    db.close()


def test_what_the_fingerprint_does_not_see_is_said(project):
    project.write("data.csv", "1\n")
    project.write("ropewalk.toml", 'name = "ours"\n')
    project.write(
        "pipeline.py",
        """
        import json
        from ropewalk import pipeline, step

        @step
        def reads():
            return open("data.csv").read() + open("ropewalk.toml").read()

        @step
        def dynamic(name):
            return eval(name)

        @step
        def patches():
            json.magic = 1

        @pipeline
        def train():
            reads(), dynamic("1 + 1"), patches()
        """,
    )

    notes = [node.notes for node in project.plan().nodes]
    result = project.run()

    assert notes[0] == ()
    assert notes[1] == ("not seen: pipeline.dynamic uses eval, so every file of the project counts for it",)
    assert notes[2] == ("not seen: pipeline.patches changes json.magic while it runs",)
    told = "it read data.csv, which it does not declare: @step(reads=['data.csv'])"
    assert result.steps[0].reasons()[-1] == told
    assert [item.message for item in project.told if item.node == "reads" and item.state == "done"] == [told]
