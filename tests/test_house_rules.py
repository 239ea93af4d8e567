"""Each house rule sees a deliberate breach, and is quiet where there is none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path, PurePath

import pytest

import house_rules

ROOT = Path(__file__).parent.parent
HERE = PurePath("src/ropewalk/room/thing.py")
RECORD = "from dataclasses import dataclass\n@dataclass({})\nclass Thing:\n    x: int\n"
STRUCT = "import msgspec\nclass Part(msgspec.Struct{}): ...\nclass Whole(Part, {}): ...\n"


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (house_rules.long_file, "x = 1\n" * 401, "x = 1\n" * 400),
        (house_rules.long_functions, "def f():\n" + "    x = 1\n" * 49, "def f():\n" + "    x = 1\n" * 48),
        (
            house_rules.long_functions,
            "class A:\n async def f(self):\n" + "  x = 1\n" * 49,
            "class A:\n" + " x = 1\n" * 80,
        ),
        (house_rules.module_sentence, '"""Holds things"""', '"""Holds things."""'),
        (house_rules.module_sentence, "x = 1", '"""Holds things.\n\nAnd more. Here. """'),
        (house_rules.module_sentence, '"""Holds things. Does more."""', '"""Holds e.g. this, and version 1.2."""'),
        (house_rules.loose_records, RECORD.format(""), RECORD.format("frozen=True, slots=True, kw_only=True")),
        (house_rules.loose_records, RECORD.format("frozen=True, slots=True"), "class Thing: ..."),
        (house_rules.loose_records, RECORD.format("frozen=True, slots=False, kw_only=True"), "class Thing(Other): ..."),
        (
            house_rules.loose_records,
            "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\n",
            "@other\nclass A: ...",
        ),
        (
            house_rules.loose_records,
            STRUCT.format(", frozen=True, kw_only=True", "kw_only=True"),
            STRUCT.format(", frozen=True, kw_only=True", "frozen=True, kw_only=True"),
        ),
        (house_rules.eager_extras, "import numpy as np", "def f():\n    import numpy as np"),
        (
            house_rules.eager_extras,
            "try:\n    from sklearn.base import X\nexcept ImportError: pass",
            "if TYPE_CHECKING:\n    import pandas",
        ),
        (house_rules.foreign_addresses, "at " + house_rules.FOREIGN[0], "at /tmp/x and ropewalk.toml"),
        (house_rules.foreign_addresses, "x\n" + house_rules.FOREIGN[-3], ""),
    ],
)
def test_a_breach_in_a_source_is_seen(rule, bad, good):
    assert list(rule(HERE, good)) == []
    assert len(list(rule(HERE, bad))) == 1


@pytest.mark.parametrize("path", ["src/ropewalk/runs/utils.py", "src/ropewalk/common/run.py", "tests/helpers.py"])
def test_a_name_that_says_nothing_is_seen(path):
    assert len(list(house_rules.banned_stem(PurePath(path)))) == 1
    assert list(house_rules.banned_stem(PurePath("src/ropewalk/runs/baseline.py"))) == []


def test_a_code_without_a_heading_is_seen():
    source = "raise Invalid('a-code', 'x')\nerrors.NotFound('b-code', 'x')\nOther('c-code')\nRefused(name, 'x')\n"

    used = house_rules.error_codes(source)

    assert used == {"a-code", "b-code"}
    assert list(house_rules.unexplained_codes(used, "## a-code\n## b-code\n")) == []
    assert len(list(house_rules.unexplained_codes(used, "## a-code\ntext b-code\n"))) == 1
    assert len(list(house_rules.unexplained_codes(used, "## a-code\n## b-code\n## b-code\n"))) == 1
    assert len(list(house_rules.unexplained_codes({"A_code"}, "## A_code\n"))) == 1


def test_a_room_that_is_not_on_the_map_is_seen():
    assert list(house_rules.unmapped_rooms({"runs", "data"}, "the rooms `runs/` and `data`")) == []
    assert len(list(house_rules.unmapped_rooms({"runs", "data"}, "the rooms runs and `data`"))) == 1


@pytest.mark.parametrize("pin", ["x<2", "x>=1,<2", "x==1.0", "x~=1.2", "x", "x[y]"])
def test_a_pin_from_above_or_no_bound_at_all_is_seen(pin):
    assert len(list(house_rules.upper_pins([pin]))) == 1
    assert list(house_rules.upper_pins(["x>=1.0", "x[y]>=2", "ropewalk[demo]"])) == []


# Each breach of the walls is planted into a copy of the house and has to be named; the untouched copy has to pass.
WALLS = {
    "refs.py": ("import ropewalk.cli\n", "ropewalk.refs -> ropewalk.cli"),
    "store/breach.py": ('"""Breach."""\ndef f():\n    import sqlite3\n', "ropewalk.store.breach -> sqlite3"),
    "blobs/bucket.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ropewalk.blobs.folder\n",
        "No circles among siblings, at any depth BROKEN",
    ),
    "releases/verdict.py": ("def f():\n    import subprocess\n", "ropewalk.releases.verdict -> subprocess"),
    "unheard_of.py": ('"""Breach."""\n', "- ropewalk.unheard_of"),
}


def walls_of(house: Path) -> tuple[int, str]:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=house,
        env={"PYTHONPATH": str(house / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def house(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_walls_stand(house):
    status, said = walls_of(house)

    assert status == 0, said


def test_breaches_of_the_walls_are_seen_each_by_its_name(house):
    for name, (breach, _) in WALLS.items():
        path = house / "src" / "ropewalk" / name
        path.write_text((path.read_text() if path.exists() else "") + "\n" + breach)

    status, said = walls_of(house)

    assert status == 1
    for _, told in WALLS.values():
        assert told in said
