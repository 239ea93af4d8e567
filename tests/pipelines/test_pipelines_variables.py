# ruff: noqa: E501 - some lines are the text of a small program
"""Environment variables that steps ask for: named where they ask, in a constant, in whoever calls, or nowhere."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from ropewalk.pipelines.asking import Asking, names_in
from ropewalk.pipelines.bytecode import scan


class Names:
    REGION = "REGION"


def maker(name: str):
    return lambda: os.environ[name]


SPACE = {
    "os": os,
    "environ": os.environ,
    "getenv": os.getenv,
    "ask": os.getenv,
    "look": os.environ.get,
    "E": os.environ,
    "NAME": "REGION",
    "Names": Names,
    "conf": SimpleNamespace(NAME="REGION"),
    "NUMBER": 1,
}
KNOWN = (
    'os.environ["REGION"]',
    'os.environ.get("REGION", str(x))',
    'os.getenv("REGION")',
    'environ["REGION"]',
    'getenv("REGION", "eu" + x)',
    '"REGION" in os.environ',
    '"REGION" not in environ',
    "os.environ[NAME]",
    "os.environ.get(NAME)",
    "os.getenv(NAME, 'eu')",
    "os.getenv(NAME, x + 1)",
    "getenv(NAME)",
    "os.environ[Names.REGION]",
    "os.environ[conf.NAME]",
    "NAME in os.environ",
    "os.environ.pop(NAME, None)",
    "[os.environ[NAME] for _ in x]",
    "(lambda: os.environ[NAME])()",
)
OPEN = (
    "os.environ[x]",
    "os.environ[NAME + x]",
    'os.environ["RE" + x]',
    'os.environ[f"RE_{x}"]',
    "os.environ[NAME.lower()]",
    "dict(os.environ)",
    "os.environ.items()",
    "os.environ.get(key=x)",
    'ask("REGION")',
    'look("REGION")',
    'E["REGION"]',
    "os.path.expandvars('$REGION/a')",
    "[os.environ[name] for name in (NAME, 'ZONE')]",
)


def asking(text: str) -> Asking:
    space = dict(SPACE)
    exec(f"def f(x):\n    return {text}", space)
    return Asking(scan(space["f"].__code__), space, {})  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", KNOWN)
def test_a_variable_whose_name_is_known_is_found(text):
    found = asking(text)

    assert (set(found.names), found.open) == ({"REGION"}, False)


@pytest.mark.parametrize("text", OPEN)
def test_what_is_asked_for_by_a_name_that_is_made_is_said(text):
    assert asking(text).open


@pytest.mark.parametrize("text", ["os.environ.update(A='1')", "os.environ.clear()", "x.environment", "NUMBER"])
def test_what_only_sets_variables_asks_for_none(text):
    assert not asking(text).open
    assert asking(text).names == []


def test_a_name_is_found_in_a_closure_and_in_a_default():
    inner = maker("REGION")

    def by_default(name="REGION"):
        return os.environ[name]

    assert Asking(scan(inner.__code__), {}, {"name": "REGION"}).names == ["REGION"]
    assert Asking(scan(by_default.__code__), globals(), {"name": "REGION"}).names == ["REGION"]


def test_texts_give_the_names_that_are_set_or_written_like_one_and_no_secrets():
    texts = ["REGION", "$HOME_DIR/x", "plain words", "region", "API_TOKEN"]

    assert list(names_in(texts, {"region": "eu"})) == ["REGION", "HOME_DIR", "region"]


# fmt: off
BODIES = {
    "a constant": 'NAME = "REGION"\n@step\ndef work():\n    return os.environ.get(NAME, "")',
    "a helper's caller": 'def env(name):\n    return os.environ.get(name, "")\n@step\ndef work():\n    return env("REGION")',
    "a loop": 'NAMES = ["ZONE", "REGION"]\n@step\ndef work():\n    return [os.environ.get(n, "") for n in NAMES]',
    "a pattern": 'WHERE = "$REGION/data"\n@step\ndef work():\n    return os.path.expandvars(WHERE)',
    "an alias": 'ask = os.getenv\n@step\ndef work():\n    return ask("REGION", "")',
    "a closure": "def make(name):\n    @step\n    def work():\n        return os.environ.get(name, '')\n    return work\nwork = make('REGION')",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_another_value_of_a_variable_makes_its_step_run_and_one_of_another_does_not(project, monkeypatch, body):
    project.write(
        "pipeline.py",
        f"import os\nfrom ropewalk import pipeline, step\n{body}\n@pipeline\ndef train():\n    return work()\n",
    )
    monkeypatch.setenv("REGION", "eu")
    project.run()
    monkeypatch.setenv("OTHER", "1")
    (same,) = project.plan().nodes
    monkeypatch.setenv("REGION", "us")
    (changed,) = project.plan().nodes

    assert (same.verdict, changed.verdict) == ("hit", "run")
    assert any("REGION" in why for why in changed.why)


def test_the_environment_in_the_hand_does_not_count_as_a_whole(project, monkeypatch):
    project.write(
        "pipeline.py",
        """
        from os import environ
        from ropewalk import pipeline, step

        @step
        def work():
            return environ.get("REGION", "")

        @pipeline
        def train():
            return work()
        """,
    )
    project.run()
    monkeypatch.setenv("OTHER", "1")
    (same,) = project.plan().nodes
    monkeypatch.setenv("REGION", "us")
    (changed,) = project.plan().nodes

    assert (same.verdict, same.notes, changed.verdict) == ("hit", (), "run")


def test_code_that_a_pickle_of_a_file_names_is_told_of_when_the_step_ends(project):
    project.write(
        "pipeline.py",
        """
        import pickle
        from pathlib import Path
        from ropewalk import pipeline, step

        @step(reads=["kept.pkl"])
        def work():
            return pickle.loads(Path("kept.pkl").read_bytes()).area()

        @pipeline
        def train():
            return work()
        """,
    )
    project.write("shapes.py", "class Shape:\n    def area(self):\n        return 3\n")
    (project.site.root / "kept.pkl").write_bytes(b"cshapes\nShape\n)\x81.")

    result = project.run()

    assert result.steps[0].reasons()[-1].startswith("it loaded shapes.Shape by a pickle")
