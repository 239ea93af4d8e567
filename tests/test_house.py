"""The house keeps its own rules: its shape, its words, its records, its errors and what it imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import pytest

import house_rules
from ropewalk import __version__

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "ropewalk"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked() -> list[Path]:
    """Return the files that git keeps or would keep; without git, all that look like ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        return [path for folder in ("src", "tests", "docs", "examples") for path in (ROOT / folder).rglob("*.*")]
    found = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in found if path.is_file()]


def ours(*folders: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def complaints(rule: Callable[[PurePath, str], Iterator[str]], paths: list[Path]) -> str:
    assert paths
    return "\n".join(one for path in paths for one in rule(path.relative_to(ROOT), path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("rule", [house_rules.long_file, house_rules.long_functions], ids=lambda rule: rule.__name__)
def test_files_and_functions_are_short(rule):
    assert complaints(rule, ours("src", "tests", "bench", "examples")) == ""


@pytest.mark.parametrize(
    "rule",
    [house_rules.module_sentence, house_rules.loose_records, house_rules.eager_extras],
    ids=lambda rule: rule.__name__,
)
def test_our_own_code_keeps_the_rule(rule):
    # What `ropewalk init` copies is the beginning of a user's project, not a part of our house.
    assert complaints(rule, [path for path in ours("src") if "sample" not in path.parts]) == ""


def test_no_file_has_a_name_that_says_nothing():
    paths = [path.relative_to(ROOT) for path in ours("src", "tests", "bench", "examples")]

    assert "\n".join(one for path in paths for one in house_rules.banned_stem(path)) == ""


def test_every_room_is_on_the_map():
    rooms = {path.stem for path in SRC.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    document = (ROOT / "ARCHITECTURE.md").read_text()
    assert "\n".join(house_rules.unmapped_rooms(rooms - {"__init__", "__main__"}, document)) == ""


def test_every_error_code_is_explained():
    used = set[str]().union(*(house_rules.error_codes(path.read_text()) for path in ours("src")))

    assert "usage" in used
    assert "\n".join(house_rules.unexplained_codes(used, (SRC / "errors.md").read_text())) == ""


def test_no_file_names_a_registry_or_a_folder_of_one_machine():
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert "\n".join(house_rules.foreign_addresses(path.relative_to(ROOT), text)) == ""


def test_the_core_stands_on_twelve_libraries_without_upper_pins():
    # `dev` is ours: what holds a tool of our gate is in no user's way.
    extras = [one for name, extra in PROJECT["optional-dependencies"].items() if name != "dev" for one in extra]

    assert len(PROJECT["dependencies"]) <= 12
    assert "\n".join(house_rules.upper_pins([*PROJECT["dependencies"], *extras])) == ""


@pytest.mark.parametrize("lock", ["dev", "lowest"])
def test_the_lock_holds_every_dependency_with_its_hash(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    locked = dict(
        re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==\S+ \\\n    (--hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)
    )
    named = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]

    wanted = {re.split(r"[\[>]", one)[0].lower() for one in named} - {"ropewalk"}
    assert wanted - set(locked) == set()


def test_the_changelog_speaks_of_this_version():
    assert PROJECT["version"] == __version__
    assert re.search(
        rf"^## \[(Unreleased|{re.escape(__version__)})\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_importing_the_package_imports_nothing_heavy():
    core = ("polars", "msgspec", "starlette", "uvicorn", "rich", "jinja2", "cryptography", "asyncio", "sqlite3")
    heavy = house_rules.OPTIONAL.union(core)
    code = f"import sys, ropewalk; print(set({sorted(heavy)}) & set(sys.modules))"

    # Without the coverage tool, which would import modules of its own.
    bare = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=bare)

    assert done.stdout == "set()\n"


def test_no_two_steps_of_the_schema_have_one_number():
    names = [path.name for path in (SRC / "store" / "migrations").glob("*.sql") if ".down." not in path.name]

    numbers = sorted(name[:4] for name in names)

    assert len(set(numbers)) == len(numbers), numbers
