"""What a code object does and which names it takes from its module, without lines, comments or docstrings."""

from __future__ import annotations

import bisect
import dis
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any, cast

from ropewalk.pipelines.asked import ATTRIBUTES, GLOBALS, asked_of
from ropewalk.records import frozen

_SILENT = frozenset({"NOP", "CACHE", "RESUME", "PRECALL", "EXTENDED_ARG"})
# Marks of `from __future__ import ...`: what they change is in the instructions.
_FLAGS = 0xFFFF
_ANNOTATED, _CLOSED = 0x04, 0x08  # flags of MAKE_FUNCTION
# Names by which code asks for its own local names: then what they are called counts.
_LOCALS = frozenset({"locals", "vars", "dir", "eval", "exec", "f_locals"})


@frozen
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


@frozen
class Scan:
    """A code object as the fingerprint sees it.

    Attributes:
        token: JSON-able; equal for code that does the same.
        chains: global names, each with the attributes that are taken from it at once: `("helpers", "clean")`.
        imports: imports inside of it.
        names: every name and attribute that it speaks of.
        words: every text that it holds.
        consts: what its instructions load, as people write it.
        variables: environment variables that it asks for by their names.
        asked: where the name of such a variable is held instead: `("global", "conf", "NAME")`, `("held", "name")` for
            a variable of an enclosing function or an argument; `()` where only running the code would tell.
        stores: global names with the attributes that are set of them.
        packed: bytes that it holds.
    """

    token: list[Any]
    chains: tuple[tuple[str, ...], ...]
    imports: tuple[Import, ...]
    names: frozenset[str]
    words: frozenset[str]
    consts: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    asked: tuple[tuple[str, ...], ...] = ()
    stores: tuple[tuple[str, ...], ...] = ()
    packed: tuple[bytes, ...] = ()


def scan(code: CodeType) -> Scan:
    """Read a code object with everything nested in it.

    Instructions are what counts: a docstring is a constant that none of them loads.
    """
    chains: dict[tuple[str, ...], None] = {}
    imports: list[Import] = []
    names: set[str] = set()
    words: set[str] = set()
    consts: dict[str, None] = {}
    asked: dict[str | tuple[str, ...], None] = {}
    stores: dict[tuple[str, ...], None] = {}
    packed: dict[bytes, None] = {}

    def token(inner: CodeType) -> list[Any]:
        instructions = _acting(inner)
        names.update(inner.co_names)
        words.update(_texts(inner.co_consts))
        packed.update(dict.fromkeys(word for word in inner.co_consts if isinstance(word, bytes)))
        for chain, is_set in _chains(instructions):
            (stores if is_set else chains)[chain] = None
        imports.extend(_imports(instructions))
        consts.update(dict.fromkeys(_loaded(instructions)))
        asked.update(dict.fromkeys(asked_of(instructions)))
        return _token(inner, instructions, token)

    return Scan(
        token=token(code),
        chains=tuple(chains),
        imports=tuple(imports),
        names=frozenset(names),
        words=frozenset(words),
        consts=tuple(consts),
        variables=tuple(name for name in asked if isinstance(name, str)),
        asked=tuple(name for name in asked if not isinstance(name, str)),
        stores=tuple(stores),
        packed=tuple(packed),
    )


def _texts(consts: Sequence[object]) -> Iterator[str]:
    """Yield the texts among constants, those in tuples too."""
    for word in consts:
        if isinstance(word, str):
            yield word
        elif isinstance(word, tuple | frozenset):
            yield from _texts(tuple(cast("Sequence[object]", word)))


def _acting(code: CodeType) -> list[dis.Instruction]:
    """Return the instructions without those that do nothing: the compiler leaves them where a line is broken.

    The annotations of inner functions go too. Names of keywords in a call, which `dis` calls unknown before
    Python 3.13, are looked up.
    """
    found: list[dis.Instruction] = []
    for item in dis.get_instructions(code):
        if item.opname in _SILENT:
            continue
        if item.opname == "KW_NAMES" and item.arg is not None:
            item = item._replace(argval=code.co_consts[item.arg])  # noqa: PLW2901 - the same, with its names
        flags = item.arg or 0
        if item.opname == "MAKE_FUNCTION" and flags & _ANNOTATED and _without_annotations(found, flags):
            item = item._replace(arg=flags & ~_ANNOTATED, argval=flags & ~_ANNOTATED)  # noqa: PLW2901 - the same, bare
        found.append(item)
    return found


def _without_annotations(found: list[dis.Instruction], flags: int) -> bool:
    """Take away the instructions that made the tuple of annotations; say whether they could be told apart."""
    end = len(found) - 1  # the code object itself
    if flags & _CLOSED:
        end = _start_of_value(found, end)
    start = _start_of_value(found, end)
    if start < 0:
        return False
    del found[start:end]
    return True


def _start_of_value(found: Sequence[dis.Instruction], end: int) -> int:
    """Return where the instructions begin that push the value that is on the stack before `end`, or -1."""
    pushed = 0
    for position in range(end - 1, -1, -1):
        item = found[position]
        if item.opcode in dis.hasjrel or item.opcode in dis.hasjabs:
            return -1
        pushed += dis.stack_effect(item.opcode, item.arg)
        if pushed == 1:
            return position
    return -1


def _token(
    code: CodeType, instructions: Sequence[dis.Instruction], nested: Callable[[CodeType], list[Any]]
) -> list[Any]:
    places = [item.offset for item in instructions]

    def place(offset: int) -> int:
        # A jump may lead to an instruction that does nothing: it goes on at the next that does.
        return bisect.bisect_left(places, offset)

    named = bool(_LOCALS & set(code.co_names))

    def argument(item: dis.Instruction) -> Any:  # noqa: ANN401 - JSON
        if item.opcode in dis.hasconst:
            value: object = item.argval
            return ["code", nested(value)] if isinstance(value, CodeType) else constant(value)
        if item.opcode in dis.hasjrel or item.opcode in dis.hasjabs:
            return place(int(item.argval))
        if "_FAST" in item.opname and not named:
            return item.arg  # what a local variable is called does not matter
        value = item.argval
        return value if value is None or isinstance(value, str | int) else repr(value)

    # What the standard library's own types leave out: where errors are caught, by offset.
    entries: list[Any] = getattr(dis.Bytecode(code), "exception_entries", [])
    caught = [[place(item.start), place(item.end), place(item.target), item.depth, item.lasti] for item in entries]
    return [
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & _FLAGS,
        list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]),
        list(code.co_freevars),
        caught,
        [[item.opname, argument(item)] for item in instructions],
    ]


def _loaded(instructions: Sequence[dis.Instruction]) -> Iterator[str]:
    """Yield the constants that are loaded, as people write them."""
    for item in instructions:
        value: object = item.argval
        if item.opcode in dis.hasconst and value is not None and not isinstance(value, CodeType):
            yield repr(constant(cast("object", value))) if isinstance(value, frozenset) else repr(value)


def constant(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a constant of a code object as JSON that keeps 1, 1.0 and True apart."""
    if isinstance(value, tuple):
        return ["tuple", [constant(item) for item in cast("tuple[object, ...]", value)]]
    if isinstance(value, frozenset):
        return ["frozenset", sorted((constant(item) for item in cast("frozenset[object]", value)), key=repr)]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    return [type(value).__name__, repr(value)]


def _chains(instructions: Sequence[dis.Instruction]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield each global name with the attributes that are taken from it at once; and as set, with the last one set."""
    for position, item in enumerate(instructions):
        if item.opname not in GLOBALS:
            continue
        chain = [str(item.argval)]
        for after in instructions[position + 1 :]:
            if after.opname in ATTRIBUTES:
                chain.append(str(after.argval))
                continue
            if after.opname == "STORE_ATTR":
                yield (*chain, str(after.argval)), True
            break
        yield tuple(chain), False


def _imports(instructions: Sequence[dis.Instruction]) -> Iterator[Import]:
    for position, item in enumerate(instructions):
        if item.opname == "IMPORT_NAME":
            level, names = (before.argval for before in instructions[position - 2 : position])
            yield Import(module=str(item.argval), level=int(level), names=tuple(names or ()))
