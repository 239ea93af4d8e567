"""What the project's modules do when they are imported, besides giving names to things."""

from __future__ import annotations

import ast
from pathlib import Path
from types import CodeType, ModuleType

from ropewalk.pipelines.linefree import without_lines
from ropewalk.pipelines.ownership import Ownership

_NAMING = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass)


def effects_of(owned: Ownership) -> list[tuple[ModuleType, CodeType]]:
    """Return, for each imported module of the project that has any, its statements with effects, compiled.

    `np.random.seed(1)`, `os.environ["A"] = "b"` or a `try` at the top of a module change what steps do although no
    step names them. Values that are given a name count where they are used; they are not here.
    """
    found: list[tuple[ModuleType, CodeType]] = []
    for module in owned.modules():
        path = Path(str(module.__file__))
        if path.suffix != ".py":
            continue
        tree = ast.parse(path.read_bytes(), filename=str(path))
        tree.body = [statement for statement in tree.body if _acts(statement)]
        if tree.body:
            found.append((module, compile(without_lines(tree), str(path), "exec", dont_inherit=True)))
    return found


def _acts(statement: ast.stmt) -> bool:
    if isinstance(statement, _NAMING):
        return False
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If):
        return not _is_guard(statement.test)
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return not all(_names(target) for target in targets)
    return True


def _names(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(_names(part) for part in target.elts)
    return isinstance(target, ast.Name | ast.Starred)


def _is_guard(test: ast.expr) -> bool:
    """Say whether a condition is `__name__ == "__main__"` or `TYPE_CHECKING`, never true where steps run."""
    return ast.unparse(test) in ("__name__ == '__main__'", "TYPE_CHECKING", "typing.TYPE_CHECKING")
