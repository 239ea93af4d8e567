"""What `@pipeline(...)` says in the project's source: it is read there, and never run."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 1 << 20
_NOT_CODE = frozenset({"__pycache__", "node_modules", "venv", "env", "build", "dist", "site-packages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A pipeline with words at its mark.

    Attributes:
        target: `FILE.py:FUNCTION`.
        name: of the function.
        words: what is said, as values.
        unread: the first word that is no literal, and where: `schedule`, `pipeline.py:12`; empty for none.
    """

    target: str
    name: str
    words: Mapping[str, Any]
    unread: tuple[str, str] | tuple[()] = ()


def sources(root: Path) -> Iterator[Path]:
    """Yield the Python files of a project, those of environments and of what was built left out."""
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and name not in _NOT_CODE and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        yield from (Path(folder) / name for name in sorted(names) if name.endswith(".py"))


def marked(root: Path, wanted: Collection[str]) -> Iterator[Marked]:
    """Yield every pipeline in the project's code whose mark says one of the wanted words."""
    for path in sources(root):
        yield from marked_in(root, path, wanted)


def marked_in(root: Path, path: Path, wanted: Collection[str]) -> Iterator[Marked]:
    """Yield every pipeline of one file whose mark says one of the wanted words; a file that cannot be read has none."""
    try:
        data = path.read_bytes()
        tree = ast.parse(data) if b"pipeline" in data and len(data) <= FILE_BYTES_MAX else None
    except (OSError, SyntaxError, ValueError):
        return  # who runs the file is told what is wrong with it
    if tree is None:
        return
    file = path.relative_to(root).as_posix()
    names, modules = _imported(tree)
    constants = _constants(tree)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and _is_pipeline(mark.func, names, modules):
                words, unread = _words(mark, wanted, constants)
                if words or unread:
                    where = (unread, f"{file}:{mark.lineno}") if unread else ()
                    yield Marked(target=f"{file}:{node.name}", name=node.name, words=words, unread=where)


def _imported(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names under which a file knows `ropewalk.pipeline`, and those of the module itself."""
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("ropewalk", "ropewalk.pipelines.declare"):
            names |= {one.asname or one.name for one in node.names if one.name == "pipeline"}
        elif isinstance(node, ast.Import):
            modules |= {one.asname or one.name for one in node.names if one.name == "ropewalk"}
    return names, modules


def _is_pipeline(called: ast.expr, names: set[str], modules: set[str]) -> bool:
    if isinstance(called, ast.Attribute):
        return called.attr == "pipeline" and isinstance(called.value, ast.Name) and called.value.id in modules
    return isinstance(called, ast.Name) and called.id in names


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what the names at the top of a file are bound to by plain assignments."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


class _Resolved(ast.NodeTransformer):
    def __init__(self, constants: Mapping[str, ast.expr]) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constants.get(node.id, node)


def _words(mark: ast.Call, wanted: Collection[str], constants: Mapping[str, ast.expr]) -> tuple[dict[str, Any], str]:
    """Return the wanted words as values, and the first that is no literal."""
    found: dict[str, Any] = {}
    for word in mark.keywords:
        if word.arg not in wanted:
            continue
        try:
            found[str(word.arg)] = ast.literal_eval(_Resolved(constants).visit(word.value))
        except (ValueError, TypeError, SyntaxError, RecursionError):
            return found, str(word.arg)
    return found, ""
