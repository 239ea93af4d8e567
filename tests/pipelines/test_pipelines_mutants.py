"""Random small programs: an edit that nobody can tell leaves the fingerprint, any other changes it."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewalk.pipelines.bytecode import scan
from ropewalk.pipelines.fingerprint import Fingerprinter
from ropewalk.pipelines.linefree import LineFree
from ropewalk.pipelines.ownership import Ownership

PROGRAMS = int(os.environ.get("ROPEWALK_PROGRAMS", "20"))
NAMES = ("alpha", "beta", "gamma", "delta")
VALUES = st.one_of(st.integers(-9, 999), st.floats(0, 9, width=16), st.sampled_from(["a", "b c", True, None, (1, 2)]))


@st.composite
def programs(draw) -> str:
    """Return a module with constants, functions and a class of which `alpha` reaches everything."""
    lines = [f"{name.upper()} = {draw(VALUES)!r}" for name in NAMES]
    for at, name in reversed(list(enumerate(NAMES))):
        lines += [f"def {name}(value, more={draw(VALUES)!r}):", f"    '''{name} it.'''"]
        shape = draw(st.integers(0, 4))
        after = NAMES[at + 1] if at + 1 < len(NAMES) else "str"
        match shape:
            case 0:
                lines.append(f"    found = [{after}(item) for item in (value, {draw(VALUES)!r})]")
            case 1:
                lines += [f"    if value and more or {name.upper()} and not value:", f"        return {after}(more)"]
                lines.append(f"    found = {after}(value)")
            case 2:
                lines += [
                    "    try:",
                    f"        found = {after}(value)",
                    "    except ValueError:",
                    "        found = None",
                ]
            case 3:
                lines += ["    def inner(x, y=more):", f"        return ({name.upper()}, x, y)"]
                lines.append(f"    found = inner({after}(value))")
            case _:
                lines += ["    found = 0", "    while value and found:", f"        found = {after}(found)"]
                lines.append(f"    found = (lambda x: {after}(x))(value)")
        lines.append(f"    return found, more, {name.upper()}")
    return "\n".join([*lines, "def root(value):", "    return alpha(value)", ""])


class Cosmetics(ast.NodeTransformer):
    """Takes docstrings away, annotates parameters, and moves local names."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        node.returns = ast.Name("object")
        for item in node.args.args:
            item.annotation = ast.Name("object")
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("kept", node.ctx) if node.id == "found" else node


def cosmetic(program: str) -> str:
    """Return the same program as another hand writes it."""
    tree = Cosmetics().visit(ast.parse(program))
    tree.body = [item for item in tree.body if not isinstance(item, ast.FunctionDef)][::-1] + [
        item for item in tree.body if isinstance(item, ast.FunctionDef)
    ][::-1]
    spread = ast.unparse(ast.fix_missing_locations(tree)).replace("\n", "\n\n")
    return f"# A head.\n{spread}".replace(" and not ", "   and   not ")


def mutants(program: str) -> list[str]:
    """Return the program with each of its constants, comparisons and called names changed in turn."""
    count = sum(_mutable(node) for node in ast.walk(ast.parse(program)))
    found: list[str] = []
    for number in range(count):
        tree = ast.parse(program)
        node = [item for item in ast.walk(tree) if _mutable(item)][number]
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            node.value = 7 if node.value == 5 else 5  # it may stand behind a minus
        elif isinstance(node, ast.Constant):
            node.value = f"{node.value!r} changed" if not isinstance(node.value, bool) else not node.value
        elif isinstance(node, ast.BoolOp):
            node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        else:
            assert isinstance(node, ast.Name)
            node.id = "repr"
        found.append(ast.unparse(tree))
    return found


def _mutable(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return not str(node.value).endswith(" it.")  # a docstring
    return isinstance(node, ast.BoolOp) or (isinstance(node, ast.Name) and node.id in (*NAMES[1:], "str"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("programs")
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


def digest(folder: Path, program: str) -> str:
    path = folder / "program_of_chance.py"
    path.write_text(program)
    sys.modules.pop("program_of_chance", None)
    module = ModuleType("program_of_chance")
    module.__file__ = str(path)
    sys.modules["program_of_chance"] = module
    exec(compile(program, str(path), "exec", dont_inherit=True), vars(module))
    found = Fingerprinter(Ownership(str(folder)), "same").code_of(module.root).digest
    del sys.modules["program_of_chance"]
    return found


@pytest.mark.fault
@settings(max_examples=PROGRAMS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=programs(), pick=st.integers(0, 10_000))
def test_chance_finds_no_edit_that_is_missed_and_none_that_counts_for_nothing(folder, program, pick):
    before = digest(folder, program)
    changed = mutants(program)

    assert digest(folder, program) == before
    assert digest(folder, cosmetic(program)) == before, cosmetic(program)
    for at in range(3):
        mutant = changed[(pick + at) % len(changed)]
        assert digest(folder, mutant) != before, mutant


def test_the_standard_library_written_by_another_hand_is_the_same_code(tmp_path):
    lines, checked = LineFree(), 0
    for name in ("argparse", "inspect", "fileinput", "cgitb", "textwrap"):
        source = Path(os.__file__).with_name(f"{name}.py").read_text()
        found: list[list[object]] = []
        for hand, text in (("one", source), ("other", ast.unparse(ast.parse(source)))):
            path = tmp_path / f"{name}_{hand}.py"
            path.write_text(text)
            codes = _inner(compile(text, str(path), "exec", dont_inherit=True))
            found.append([scan(lines.of(code)).token for code in codes])
        assert found[0] == found[1]
        checked += len(found[0])
    assert checked > 300


def _inner(code) -> list[object]:
    own = [item for item in code.co_consts if hasattr(item, "co_code")]
    return own + [deeper for item in own for deeper in _inner(item)]
