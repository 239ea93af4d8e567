"""What a code object does and which names it takes from its module, without lines, comments or docstrings."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, cast

_GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_SILENT = frozenset({"NOP", "CACHE", "RESUME", "PRECALL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import inside a function.

    Attributes:
        module: its name as written.
        level: number of leading dots.
        names: what is taken from it; empty for the module itself.
    """

    module: str
    level: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A code object as the fingerprint sees it.

    Attributes:
        token: JSON-able; equal for code that does the same.
        chains: global names, each with the attributes that are taken from it at once: `("helpers", "clean")`.
        imports: imports inside of it.
        names: every name and attribute that it speaks of.
        words: every text that it holds.
    """

    token: list[Any]
    chains: tuple[tuple[str, ...], ...]
    imports: tuple[Import, ...]
    names: frozenset[str]
    words: frozenset[str]


def scan(code: CodeType) -> Scan:
    """Read a code object with everything nested in it.

    Instructions are what counts: a docstring is a constant that none of them loads.
    """
    chains: dict[tuple[str, ...], None] = {}
    imports: list[Import] = []
    names: set[str] = set()
    words: set[str] = set()

    def token(inner: CodeType) -> list[Any]:
        instructions = list(dis.get_instructions(inner))
        names.update(inner.co_names)
        words.update(word for word in inner.co_consts if isinstance(word, str))
        chains.update(dict.fromkeys(_chains(instructions)))
        imports.extend(_imports(instructions))
        return _token(inner, instructions, token)

    return Scan(
        token=token(code),
        chains=tuple(chains),
        imports=tuple(imports),
        names=frozenset(names),
        words=frozenset(words),
    )


def _token(
    code: CodeType, instructions: Sequence[dis.Instruction], nested: Callable[[CodeType], list[Any]]
) -> list[Any]:
    def const(value: object) -> Any:  # noqa: ANN401 - JSON
        return ["code", nested(value)] if isinstance(value, CodeType) else constant(value)

    steps = [
        [item.opname, const(item.argval) if item.opcode in dis.hasconst else _argument(item)]
        for item in instructions
        if item.opname not in _SILENT
    ]
    return [
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]),
        list(code.co_freevars),
        code.co_exceptiontable.hex(),
        steps,
    ]


def _argument(item: dis.Instruction) -> Any:  # noqa: ANN401 - JSON
    value = item.argval
    return value if value is None or isinstance(value, str | int) else repr(value)


def constant(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a constant of a code object as JSON that keeps 1, 1.0 and True apart."""
    if isinstance(value, tuple):
        return ["tuple", [constant(item) for item in cast("tuple[object, ...]", value)]]
    if isinstance(value, frozenset):
        return ["frozenset", sorted((constant(item) for item in cast("frozenset[object]", value)), key=repr)]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    return [type(value).__name__, repr(value)]


def _chains(instructions: Sequence[dis.Instruction]) -> Iterator[tuple[str, ...]]:
    for position, item in enumerate(instructions):
        if item.opname not in _GLOBALS:
            continue
        chain = [str(item.argval)]
        for after in instructions[position + 1 :]:
            if after.opname in _ATTRIBUTES:
                chain.append(str(after.argval))
            elif after.opname not in _SILENT:
                break
        yield tuple(chain)


def _imports(instructions: Sequence[dis.Instruction]) -> Iterator[Import]:
    for position, item in enumerate(instructions):
        if item.opname == "IMPORT_NAME":
            level, names = (before.argval for before in instructions[position - 2 : position])
            yield Import(module=str(item.argval), level=int(level), names=tuple(names or ()))
