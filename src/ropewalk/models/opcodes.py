"""Reads pickles without running them: every global that one would import, by walking its opcodes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.models.outside import NotProtobuf, outside_tensors
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
UNPACKED_BYTES_MAX = 1 << 31


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
    return _scan(data, trust_in(allowed))


def _scan(data: bytes, trust: Trust) -> tuple[Finding, ...]:
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


def scan_part(name: str, data: bytes, allowed: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Return what is not allowed in a model file of any kind: pickle, joblib (also compressed), zip, skops, npy, ONNX.

    A joblib file that keeps arrays between its opcodes cannot be read to its end, which is a finding. Formats without
    code (Parquet, JSON, safetensors) give nothing; ONNX only when its tensors lie in other files.

    Args:
        name: the file's name; its ending counts where the bytes do not tell.
        data: the file's bytes.
        allowed: as for `scan_pickle`.
    """
    trust = trust_in(allowed)
    try:
        return tuple(_look(name, data, trust, depth=0))
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        return (Finding(name="", position=-1, why=f"cannot be unpacked: {error}"),)


_PACKED: tuple[tuple[bytes, Callable[[io.BytesIO], Any]], ...] = (
    (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ", lzma.LZMAFile),
    (b"]\x00\x00", lzma.LZMAFile),
)
_ENDINGS = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".dill", ".cloudpickle")


def _look(name: str, data: bytes, trust: Trust, *, depth: int) -> Iterator[Finding]:
    if depth > 3:  # noqa: PLR2004 - an archive in an archive in an archive is nobody's model
        yield Finding(name="", position=-1, why="archives lie in archives too deep", part=name)
        return
    for magic, opened in _PACKED:
        if data.startswith(magic):
            inner = opened(io.BytesIO(data)).read(UNPACKED_BYTES_MAX + 1)
            yield from _bounded(name, inner, trust, depth)
            return
    if data[:1] == b"x" and data[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        inner = zlib.decompressobj().decompress(data, UNPACKED_BYTES_MAX + 1)
        yield from _bounded(name, inner, trust, depth)
    elif data.startswith(b"PK\x03\x04"):
        yield from _look_in_zip(data, trust, depth)
    elif data.startswith(b"\x93NUMPY"):
        yield from _look_in_array(name, data)
    elif name.endswith(".onnx") and data[:1] != b"\x80":
        yield from _look_in_onnx(name, data)
    elif name.endswith(_ENDINGS) or (data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05"):
        for finding in _scan(data, trust):
            yield Finding(name=finding.name, position=finding.position, why=finding.why, part=name if depth else "")


def _bounded(name: str, inner: bytes, trust: Trust, depth: int) -> Iterator[Finding]:
    if len(inner) > UNPACKED_BYTES_MAX:
        yield Finding(name="", position=-1, why="grows beyond 2 GiB when it is unpacked", part=name)
    else:
        yield from _look(name.rpartition(".")[0] or name, inner, trust, depth=depth + 1)


def _look_in_array(name: str, data: bytes) -> Iterator[Finding]:
    header = data[8:4096].split(b"}", 1)[0]
    if b"'O'" in header or b"|O" in header:
        yield Finding(name="", position=-1, why="is an array of pickled objects", part=name)


def _look_in_onnx(name: str, data: bytes) -> Iterator[Finding]:
    if b"location" not in data:  # the key that every such tensor has; walking a forest of 20 MB would take seconds
        return
    try:
        for tensor in outside_tensors(data):
            yield Finding(name="", position=-1, why=f"keeps the tensor {tensor} in another file", part=name)
    except NotProtobuf as error:
        yield Finding(name="", position=-1, why=f"is not an ONNX file: {error}", part=name)


def _look_in_zip(data: bytes, trust: Trust, depth: int) -> Iterator[Finding]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for item in archive.infolist():
            if item.file_size > UNPACKED_BYTES_MAX:
                yield Finding(name="", position=-1, why="grows beyond 2 GiB when it is unpacked", part=item.filename)
                continue
            inner = archive.read(item)
            if item.filename == "schema.json":
                yield from _look_in_schema(inner, trust)
            else:
                yield from _look(item.filename, inner, trust, depth=depth + 1)


def _look_in_schema(data: bytes, trust: Trust) -> Iterator[Finding]:
    """Return what a skops schema names beyond the allow-list."""
    for whole in sorted(skops_globals(data)):
        module, _, name = whole.rpartition(".")
        if not trust.allows(module, name):
            yield Finding(name=whole, position=-1, why="is not on the allow-list", part="schema.json")
    for loader in (b'"MethodNode"', b'"OperatorFuncNode"', b'"PartialNode"'):
        if loader in data:
            yield Finding(name=loader.decode().strip('"'), position=-1, why="binds a call", part="schema.json")


def skops_globals(schema: bytes) -> set[str]:
    """Return every global that a skops `schema.json` names, wherever it stands.

    Raises:
        ValueError: the bytes are not JSON.
    """
    found: set[str] = set()
    waiting: list[object] = [json.loads(schema)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            fields = cast("dict[str, object]", node)
            module, name = fields.get("__module__"), fields.get("__class__")
            if isinstance(module, str) and isinstance(name, str):
                found.add(f"{module}.{name}")
            waiting.extend(fields.values())
        elif isinstance(node, list):
            waiting.extend(cast("list[object]", node))
    return found
