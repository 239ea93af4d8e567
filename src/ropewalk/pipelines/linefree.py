"""Code as if every file were one long line: the compiler lays jumps by where lines end, and no format may count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

_PLACES = ("lineno", "end_lineno", "col_offset", "end_col_offset")


class LineFree:
    """Finds for a code object the one that the same source gives without its lines; a file is read once."""

    def __init__(self) -> None:
        self._files: dict[str, dict[CodeType, CodeType]] = {}

    def of(self, code: CodeType) -> CodeType:
        """Return the code without lines, or the code itself where its source is not at hand or has changed."""
        name = code.co_filename
        if name not in self._files:
            self._files[name] = dict(_pairs(Path(name))) if name.endswith(".py") else {}
        return self._files[name].get(code, code)


def _pairs(path: Path) -> Iterator[tuple[CodeType, CodeType]]:
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
        lined = compile(tree, str(path), "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return
    yield from _beside(lined, compile(without_lines(tree), str(path), "exec", dont_inherit=True))


def without_lines(tree: ast.Module) -> ast.Module:
    """Put everything in a tree on one line, in place."""
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            for place in _PLACES:
                setattr(node, place, 1)
    return tree


def _beside(one: CodeType, other: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield each code object of one tree with its counterpart in the other: same name, same order.

    Without lines the compiler makes one of two equal lambdas: where their number differs, nothing is paired.
    """
    yield one, other
    named, counterparts = _inner(one), _inner(other)
    for name, found in named.items():
        if len(found) == len(counterparts.get(name, ())):
            for inner, counterpart in zip(found, counterparts[name], strict=True):
                yield from _beside(inner, counterpart)


def _inner(code: CodeType) -> dict[str, list[CodeType]]:
    found: dict[str, list[CodeType]] = {}
    for item in code.co_consts:
        if isinstance(item, CodeType):
            found.setdefault(item.co_qualname, []).append(item)
    return found
