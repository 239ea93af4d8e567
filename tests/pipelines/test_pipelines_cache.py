"""The cache is never wrong: what a step depends on makes it run again, what it does not depend on does not."""

from __future__ import annotations

import pytest

from pipelines_project import Project
from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock

HELPERS = '''
"""Helpers."""
import math

LIMIT = 3


def clean(value):
    """Clean a value."""
    # as is
    return value + LIMIT


def unused(value):
    return value
'''
PIPELINE = '''
"""The pipeline."""
import functools
from dataclasses import dataclass

import helpers
from helpers import clean
from ropewalk import pipeline, step

FACTOR = 2
TABLE = {"a": [1, 2], "b": (3, 4)}
UNUSED = 7


def local(value):
    return value * FACTOR


def doubled(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs) * 2
    return inner


def adder(amount):
    def add(value):
        return value + amount
    return add


add_some = adder(5)


@doubled
def decorated(value):
    return value


def defaulted(value, more=1):
    return value + more


class Scale:
    unit = 1

    def apply(self, value):
        return value * self.unit


@dataclass
class Setting:
    size: int = 3


SETTING = Setting()


@step
def work(value: int) -> list[int]:
    from lazily import late
    scale = Scale()
    parts = [helpers.clean(value), clean(value), local(value), add_some(value), decorated(value), defaulted(value)]
    parts += [scale.apply(value), late(value), SETTING.size, TABLE["a"][0], (lambda x: x + 1)(value)]
    return parts


@step
def after(values):
    return sum(values)


@pipeline
def train(value: int = 1):
    return after(work(value))
'''
LATE = """
def late(value):
    return value
"""


FILES = {"helpers.py": HELPERS, "pipeline.py": PIPELINE, "lazily.py": LATE}


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory):
    """A project that was run; planning leaves nothing behind, so all tests may share it."""
    root = tmp_path_factory.mktemp("ran")
    hidden = root / HIDDEN
    db = SqliteDatabase(hidden / "ropewalk.db", clock := SetClock())
    keys = Signer.create(hidden / "keys")
    site = Site(root=root, db=db, blobs=FolderBucket(hidden / "blobs"), clock=clock, signer=keys, actor="ann")
    project = Project(site)
    for name, text in FILES.items():
        project.write(name, text)
    project.run()
    yield project
    db.close()


@pytest.fixture
def ran(ran_once):
    for name, text in FILES.items():
        ran_once.write(name, text)
    return ran_once


def test_nothing_changed_is_a_hit_for_every_step(ran):
    result = ran.run()

    assert [step.state for step in result.steps] == ["cached", "cached"]


@pytest.mark.parametrize(
    ("file", "old", "new", "blamed"),
    [
        ("pipeline.py", "return value * FACTOR", "return value * FACTOR + 1", "code pipeline.local has changed"),
        ("helpers.py", "return value + LIMIT", "return value - LIMIT", "code helpers.clean has changed"),
        ("helpers.py", "LIMIT = 3", "LIMIT = 4", "code helpers.LIMIT has changed: 3 -> 4"),
        ("pipeline.py", "FACTOR = 2", "FACTOR = 2.0", "code pipeline.FACTOR has changed: 2 -> 2.0"),
        ("pipeline.py", '"b": (3, 4)', '"b": [3, 4]', "code pipeline.TABLE has changed"),
        ("pipeline.py", "adder(5)", "adder(6)", "code pipeline.adder.<locals>.add(amount) has changed: 5 -> 6"),
        (
            "pipeline.py",
            "return value + amount",
            "return amount - value",
            "code pipeline.adder.<locals>.add has changed",
        ),
        ("pipeline.py", "kwargs) * 2", "kwargs) * 3", "code pipeline.decorated has changed"),
        ("pipeline.py", "more=1", "more=2", "code pipeline.defaulted(defaults) has changed"),
        (
            "pipeline.py",
            "return value * self.unit",
            "return value + self.unit",
            "code pipeline.Scale.apply has changed",
        ),
        ("pipeline.py", "unit = 1", "unit = 2", "code pipeline.Scale has changed"),
        ("pipeline.py", "size: int = 3", "size: int = 4", "code pipeline.Setting"),
        ("pipeline.py", "lambda x: x + 1", "lambda x: x + 2", "code pipeline.work has changed"),
        ("lazily.py", "return value", "return -value", "code lazily.late has changed"),
        ("helpers.py", "import math", "import math\nmath.magic = 1", "code helpers (statements) is new"),
        (
            "pipeline.py",
            "from helpers import clean",
            "from helpers import unused as clean",
            "code helpers.unused is new",
        ),
    ],
)
def test_an_edit_that_may_matter_makes_the_step_run_and_is_named(ran, file, old, new, blamed):
    ran.edit(file, old, new)

    (work, after) = ran.plan().nodes

    assert work.verdict == "run"
    assert any(blamed in reason for reason in work.why), work.why
    assert after.verdict == "unknown"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("helpers.py", "# as is", "# as it is\n    # and more"),
        ("helpers.py", '"""Clean a value."""', '"""Clean one value,\n    well."""'),
        ("helpers.py", '"""Clean a value."""', ""),
        ("helpers.py", "import math", "import math\n\n\n\n"),
        ("helpers.py", "def unused(value):\n    return value", "def unused(value):\n    return value + 1"),
        ("pipeline.py", "UNUSED = 7", "UNUSED = 8"),
        ("pipeline.py", "@step\ndef work", "@step(retries=3, timeout='1h')\ndef work"),
    ],
)
def test_an_edit_that_cannot_matter_is_a_hit(ran, file, old, new):
    ran.edit(file, old, new)

    assert [node.verdict for node in ran.plan().nodes] == ["hit", "hit"]


def test_a_step_whose_input_came_out_the_same_does_not_run_again(project):
    for name, text in FILES.items():
        project.write(name, text)
    project.run()
    project.edit("helpers.py", "return value + LIMIT", "return LIMIT + value")

    result = project.run()

    assert [step.state for step in result.steps] == ["done", "cached"]


def test_an_argument_is_an_input_and_a_default_of_the_step_is_one_too(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        @step
        def work(value, more=1):
            return value + more

        @pipeline
        def train(value: int = 1):
            return work(value)
        """,
    )
    project.run()

    assert project.plan(value="2").nodes[0].why == ("input value has changed: 1 -> 2",)
    project.edit("pipeline.py", "more=1", "more=2")
    assert project.plan().nodes[0].why == ("input more has changed: 1 -> 2",)


def test_two_closures_that_change_places_are_noticed(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        def adder(amount):
            def add(value):
                return value + amount
            return add

        one, two = adder(1), adder(2)

        @step
        def work():
            return one(10) * two(100)

        @pipeline
        def train():
            return work()
        """,
    )
    project.run()
    project.edit("pipeline.py", "one, two = adder(1), adder(2)", "one, two = adder(2), adder(1)")

    assert project.plan().nodes[0].verdict == "run"


def test_a_declared_file_is_an_input_by_its_content(project):
    project.write("data/prices.csv", "1\n2\n")
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        @step(reads=["data/*.csv"])
        def total():
            return sum(int(line) for line in open("data/prices.csv"))

        @pipeline
        def train():
            return total()
        """,
    )
    first = project.run()
    assert project.plan().nodes[0].verdict == "hit"
    project.write("data/prices.csv", "1\n3\n")

    (node,) = project.plan().nodes
    second = project.run()

    assert node.verdict == "run"
    assert node.why[0].startswith("file data/prices.csv has changed")
    assert (project.value(first, "total"), project.value(second, "total")) == (3, 4)
