# ruff: noqa: E501 - each case is the text of a small program
"""A graph that was told before is not told again; whatever could make it another one forbids that."""

from __future__ import annotations

import ast
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.plainness import is_plain

PLAIN = """
import os
from pathlib import Path

from ropewalk import pipeline, step

HERE = Path(__file__).parent
TABLE = {"a": [1, 2], "b": (3, -4)}
REGION = os.environ.get("REGION", "none")
add = lambda a, b: a + b


@step(retries=2)
def work(value: int, by: int = 2) -> int:
    return value * by + len(REGION) + add(1, 2)


@pipeline
def train(values: tuple[int, ...] = (1, 2)):
    found = []
    for number, value in enumerate(values):
        if number < 5:
            found.append(work(value))
    return work.map([1, 2], by=3), found


def unused():
    import time
    return time.time()


if __name__ == "__main__":
    print(train())
"""
NOT_PLAIN = {
    "the day": ("import os\n", "import os\nimport datetime\nTODAY = datetime.date.today()\n"),
    "a file": ("import os\n", "import os\nwith open('a.txt') as file:\n    TEXT = file.read()\n"),
    "a file by its path": ("(3, -4)}\n", "(3, -4)}\nTEXT = (HERE / 'a.txt').read_text()\n"),
    "a function of the project": ("add = lambda", "def make():\n    return 1\nMADE = make()\nadd = lambda"),
    "a decorator of the project": ("@step(retries=2)", "def own(f):\n    return f\n@step(retries=2)\n@own"),
    "a statement with an effect": ("add = lambda", "os.environ['A'] = str(os.getpid())\nadd = lambda"),
    "a branch": ("add = lambda", "if os.getpid() % 2:\n    TABLE = {}\nadd = lambda"),
    "a default": ("by: int = 2", "by: int = os.getpid()"),
    "a class that is told of its children": (
        "add = lambda", "class A:\n    def __init_subclass__(cls):\n        pass\nadd = lambda",
    ),
    "chance in the body": ("        if number < 5:", "        import random\n        if random.random() < 5:"),
    "a helper in the body": ("work(value))", "work(unused()))"),
    "a function that sorts": ("add = lambda", "def rank(x):\n    return len(Path('a.txt').read_text()) * x\nMADE = sorted([1, 2], key=rank)\nadd = lambda"),
    "a class of the project by a known name": ("add = lambda", "class field:\n    pass\nMADE = field()\nadd = lambda"),
    "a class of the project that gets": ("add = lambda", "class Own:\n    @staticmethod\n    def get(x):\n        return 1\nMADE = Own.get(1)\nadd = lambda"),
    "a class of the project as a decorator": ("@step(retries=2)", "class own:\n    def __init__(self, f):\n        self.f = f\n@own\ndef other():\n    pass\n@step(retries=2)"),
    "an object of a library that gets": ("add = lambda", "from email.message import Message as dict\nMADE = dict().get('a')\nadd = lambda"),
    "where a link leads to": ("(3, -4)}\n", "(3, -4)}\nLATEST = Path('latest').resolve()\n"),
    "a library without a version": ("import os\n", "import os\nfrom hand_laid import LIMIT\n"),
    "order in the body": ("        if number < 5:", "        if max(values, key=unused) < 5:"),
    "the machine in the body": ("work(value))", "work(os.getpid()))"),
}  # fmt: skip


def plain(folder: Path, text: str) -> bool:
    path = folder / "plain_or_not.py"
    path.write_text(text)
    module = ModuleType("plain_or_not")
    module.__file__ = str(path)
    import sys

    sys.modules["plain_or_not"] = module
    (folder / "a.txt").write_text("1")
    exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    try:
        assert isinstance(module.train, FunctionType)
        return is_plain(Ownership(str(folder)), module.train)
    finally:
        del sys.modules["plain_or_not"]


def test_a_plain_project_is_known_as_one(tmp_path):
    assert plain(tmp_path, PLAIN)


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_may_be_another_graph_tomorrow_is_not_plain(tmp_path, tmp_path_factory, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("1")
    laid = tmp_path_factory.mktemp("installed") / "site-packages" / "hand_laid.py"
    laid.parent.mkdir()
    laid.write_text("LIMIT = 1\n")
    monkeypatch.syspath_prepend(str(laid.parent))
    old, new = NOT_PLAIN[name]
    assert old in PLAIN
    text = PLAIN.replace(old, new, 1)
    ast.parse(text)

    assert not plain(tmp_path, text)


def kept(project) -> list[Path]:
    return list((project.site.hidden / "graphs").glob("*.json"))


def test_nothing_is_imported_where_nothing_has_changed_and_everything_is_where_something_has(project, monkeypatch):
    project.write("pipeline.py", PLAIN)
    project.run()
    (graph,) = kept(project)
    log = project.site.hidden / "logs" / "describe.log"
    log.unlink()

    again = project.run()
    silent = log.exists()
    monkeypatch.setenv("REGION", "north")
    moved = project.run()

    assert [step.state for step in again.steps] == ["cached"] * 3
    assert not silent, "no worker was asked"
    assert [step.state for step in moved.steps] == ["done"] * 3
    told = graph.read_bytes()
    changed = told.replace(b",2,null,0.5,true", b",3,null,0.5,true")  # how often a step is tried again
    assert changed != told
    graph.write_bytes(changed)
    assert [step.state for step in project.run().steps] == ["cached"] * 3
    assert graph.read_bytes() == told, "what somebody changed is told anew"
    project.edit("pipeline.py", "value * by", "value - by")
    assert [step.state for step in project.run().steps] == ["done"] * 3


def test_a_project_that_asks_for_the_day_is_asked_each_time(project):
    project.write("pipeline.py", PLAIN.replace("import os\n", "import os, time\nNOW = time.monotonic()\n"))

    project.run()

    assert kept(project) == []
