"""Reads pickles without running them: every global that one would import, by walking its opcodes."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from ropewalk.models.trust import Trust, trust_in

_MARK = object()
_OTHER = object()
_STRINGS = frozenset(
    ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
)
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_REFUSED = {
    "EXT1": "imports by a number of the extension registry",
    "EXT2": "imports by a number of the extension registry",
    "EXT4": "imports by a number of the extension registry",
    "PERSID": "asks its reader for an object",
    "BINPERSID": "asks its reader for an object",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a model file that is not allowed.

    Attributes:
        name: the global as `module.name`; empty when it cannot be told.
        position: byte in the stream, or -1 for files that are not streams.
        why: what is wrong with it.
        part: file inside an archive; empty for the file itself.
    """

    name: str
    position: int
    why: str
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A global that a pickle names; both texts are empty when it makes them up as it runs."""

    module: str
    name: str
    position: int


class Unreadable(ValueError):
    """The bytes are not a pickle that can be walked to its end."""


def imports(data: bytes) -> tuple[tuple[Import, ...], tuple[Finding, ...], int]:
    """Walk one pickle; return its globals, its refused opcodes and how many bytes it takes.

    Raises:
        Unreadable: an opcode is unknown, the stack does not hold what one needs, or there is no end.
    """
    found: list[Import] = []
    refused: list[Finding] = []
    stack: list[object] = []
    memo: dict[int, object] = {}
    stream = io.BytesIO(data)
    try:
        for opcode, argument, position in pickletools.genops(stream):
            name = opcode.name
            where = position or 0
            if name in _REFUSED:
                refused.append(Finding(name="", position=where, why=_REFUSED[name]))
            if name in ("GLOBAL", "INST"):
                module, _, attribute = str(argument).partition(" ")
                found.append(Import(module=module, name=attribute, position=where))
            elif name == "STACK_GLOBAL":
                found.append(_from_stack(stack, where))
            _step(opcode, argument, stack, memo)
    except Unreadable:
        raise
    except Exception as error:  # pickletools raises what its readers raise: ValueError, struct.error, UnicodeError
        raise Unreadable(f"it cannot be read to its end: {error}") from error
    return tuple(found), tuple(refused), stream.tell()


def _from_stack(stack: list[object], position: int) -> Import:
    module, name = (stack[-2], stack[-1]) if len(stack) > 1 else (_OTHER, _OTHER)
    if isinstance(module, str) and isinstance(name, str):
        return Import(module=module, name=name, position=position)
    return Import(module="", name="", position=position)


def _step(opcode: pickletools.OpcodeInfo, argument: object, stack: list[object], memo: dict[int, object]) -> None:
    """Do to the stack what the opcode does, keeping only texts, as pickletools' own table describes it."""
    name = opcode.name
    if name in _PUTS:
        memo[int(cast("int", argument))] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in _GETS:
        stack.append(memo[int(cast("int", argument))])
    elif name == "DUP":
        stack.append(stack[-1])
    elif name in _STRINGS:
        stack.append(argument)
    elif name == "MARK":
        stack.append(_MARK)
    else:
        _shuffle(opcode, stack)


def _shuffle(opcode: pickletools.OpcodeInfo, stack: list[object]) -> None:
    before = list(opcode.stack_before)
    if pickletools.markobject in before:
        while stack.pop() is not _MARK:
            pass
        before = before[: before.index(pickletools.markobject)]
    for _ in before:
        if stack.pop() is _MARK:
            raise Unreadable(f"{opcode.name} takes a mark for a value")
    stack.extend(_OTHER for _ in opcode.stack_after)


def scan_pickle(data: bytes, allowed: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Return everything in a pickle that the allow-list does not know; nothing is imported or run.

    Args:
        data: one pickle, of any protocol; bytes after its end are a finding too.
        allowed: what counts beyond the defaults: `package.module.name`, or `module.*` for the project's own modules.
    """
    return scan_trusted(data, trust_in(allowed))


def scan_trusted(data: bytes, trust: Trust) -> tuple[Finding, ...]:
    """Return what `scan_pickle` does, for a trust that stands already."""
    try:
        found, refused, length = imports(data)
    except Unreadable as error:
        return (Finding(name="", position=-1, why=str(error)),)
    findings = list(refused)
    for item in found:
        if not item.name:
            findings.append(Finding(name="", position=item.position, why="makes up the name of an import as it runs"))
        elif not trust.allows(item.module, item.name):
            findings.append(
                Finding(name=f"{item.module}.{item.name}", position=item.position, why="is not on the allow-list")
            )
    if length != len(data):
        findings.append(Finding(name="", position=length, why="more bytes follow the end of the pickle"))
    return tuple(findings)


def globals_of(data: bytes) -> tuple[str, ...]:
    """Return the globals of a pickle, sorted, each once.

    Raises:
        Unreadable: the bytes are not a pickle.
    """
    return tuple(sorted({f"{item.module}.{item.name}" for item in imports(data)[0]}))
