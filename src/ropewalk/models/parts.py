"""Looks through a model file of any kind without running it: pickles, archives of them, arrays, schemas and graphs."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from ropewalk.errors import Refused
from ropewalk.models.opcodes import Finding, Unreadable, imports, scan_trusted
from ropewalk.models.outside import NotProtobuf, outside_tensors
from ropewalk.models.trust import Trust, trust_in

UNPACKED_BYTES_MAX = 1 << 31
RATIO_MAX, SMALL_BYTES = 200, 64 << 20
"""What unpacks to more than so many times its size, and more than so many bytes, is a bomb and no model."""
_ENDINGS = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".dill", ".cloudpickle")
_TORCH_PARTS = (".torchscript", ".pt2")
# The pickles in torch's own archives are read by C++, or by torch's reader of weights: neither imports what they name.
_TORCH = re.compile(
    r"__torch__(?:\.\w+)*\.\w+|torch\._utils\._rebuild_\w+|torch\.jit\._pickle\.\w+|collections\.OrderedDict|"
    r"torch\.\w+Storage|torch\.storage\.UntypedStorage|torch\.(?:float|bfloat|int|uint)\d+|torch\.bool|torch\.Size"
)
# What a pyfunc may be is code, and walls hold it; a file that names these was written to be read elsewhere.
_REACHING = frozenset(
    {
        "os",
        "posix",
        "nt",
        "posixpath",
        "subprocess",
        "socket",
        "pty",
        "shutil",
        "sys",
        "importlib",
        "runpy",
        "code",
        "codeop",
        "ctypes",
        "multiprocessing",
        "pdb",
        "bdb",
        "timeit",
        "cProfile",
        "profile",
        "pydoc",
        "webbrowser",
        "urllib",
        "http",
        "requests",
        "asyncio",
        "signal",
        "commands",
        "platform",
        "tempfile",
    }
)
_CALLS = frozenset({"eval", "exec", "open", "compile", "input", "breakpoint", "__import__", "execfile"})
# Operations of TensorFlow that read or write files, or call Python.
_OPERATIONS = (
    b"ReadFile", b"WriteFile", b"MatchingFiles", b"PyFunc", b"PyFuncStateless", b"EagerPyFunc", b"PrintV2", b"SaveV2",
    b"RestoreV2", b"LoadDataset", b"DebugIdentity",
)  # fmt: skip
_ALWAYS_SAVED = frozenset((b"SaveV2", b"RestoreV2"))


def scan_part(name: str, data: bytes, allowed: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Return what is not allowed in a model file of any kind: pickle, joblib (also compressed), zip, skops, npy, ONNX.

    A joblib file that keeps arrays between its opcodes cannot be read to its end, which is a finding. Formats without
    code (Parquet, JSON, safetensors) give nothing; ONNX only when its tensors lie in other files. An archive of torch's
    may name what its own reader resolves; a pyfunc is judged by what reaches outside; whatever unpacks to far more than
    it is, is refused before it is unpacked.

    Args:
        name: the file's name; its ending counts where the bytes do not tell.
        data: the file's bytes.
        allowed: as for `scan_pickle`.
    """
    trust = trust_in(allowed)
    try:
        return tuple(_look(name, data, trust, depth=0, inside=_kind(name)))
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        return (Finding(name="", position=-1, why=f"cannot be unpacked: {' '.join(str(error).split())[:200]}"),)


def _kind(name: str) -> str:
    if name.endswith(_TORCH_PARTS):
        return "torch"
    return "pyfunc" if name.endswith(".pyfunc.zip") else "saved" if name.endswith(".savedmodel.zip") else ""


_PACKED: tuple[tuple[bytes, Callable[[io.BytesIO], Any]], ...] = (
    (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ", lzma.LZMAFile),
    (b"]\x00\x00", lzma.LZMAFile),
)
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")


def unpacked(name: str, data: bytes) -> bytes:
    """Return the bytes of a compressed file, or the bytes themselves where they are not compressed.

    Raises:
        Refused: they grow beyond what is unpacked.
    """
    inner = _opened(data)
    if inner is None:
        return data
    if len(inner) > _limit(len(data)):
        raise Refused(
            "model-not-trusted",
            "The model file grows too much when it is unpacked.",
            where=name,
            why=f"{len(data)} bytes become more than {_limit(len(data))}",
            fix="save it again, not compressed",
        )
    return inner


def _limit(packed: int) -> int:
    return min(UNPACKED_BYTES_MAX, max(SMALL_BYTES, RATIO_MAX * packed))


def _opened(data: bytes) -> bytes | None:
    """Return at most one byte more than the limit; None for what is not compressed."""
    for magic, opened in _PACKED:
        if data.startswith(magic):
            return opened(io.BytesIO(data)).read(_limit(len(data)) + 1)
    if data.startswith(_ZLIB):
        return zlib.decompressobj().decompress(data, _limit(len(data)) + 1)
    return None


def _look(name: str, data: bytes, trust: Trust, *, depth: int, inside: str = "") -> Iterator[Finding]:
    if depth > 3:  # noqa: PLR2004 - an archive in an archive in an archive is nobody's model
        yield Finding(name="", position=-1, why="archives lie in archives too deep", part=name)
        return
    inner = _opened(data)
    if inner is not None:
        if len(inner) > _limit(len(data)):
            yield Finding(name="", position=-1, why="grows too much when it is unpacked: it is a bomb", part=name)
        else:
            yield from _look(name.rpartition(".")[0] or name, inner, trust, depth=depth + 1, inside=inside)
    elif data.startswith(b"PK\x03\x04"):
        yield from _look_in_zip(data, trust, depth, inside)
    elif data.startswith(b"\x93NUMPY"):
        yield from _look_in_array(name, data)
    elif name.endswith(".onnx") and data[:1] != b"\x80":
        yield from _look_in_onnx(name, data)
    elif inside == "saved" and name.endswith(".pb"):
        yield from _look_in_graph(name, data)
    elif name.endswith(_ENDINGS) or (data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05"):
        for finding in _judged(data, trust, inside):
            yield Finding(name=finding.name, position=finding.position, why=finding.why, part=name if depth else "")


def _judged(data: bytes, trust: Trust, inside: str) -> Iterator[Finding]:
    """Return what a pickle may not name, by where it lies."""
    if inside not in ("torch", "pyfunc"):
        yield from scan_trusted(data, trust)
        return
    try:
        found, refused, _ = imports(data)
    except Unreadable as error:
        if inside == "torch":  # of joblib and the like in a pyfunc no more is asked than the walls give
            yield Finding(name="", position=-1, why=str(error))
        return
    for item in found:
        whole = f"{item.module}.{item.name}"
        if inside == "torch" and not _TORCH.fullmatch(whole) and not trust.allows(item.module, item.name):
            yield Finding(name=whole, position=item.position, why="is nothing that torch writes")
        if inside == "pyfunc" and _reaches(item.module, item.name):
            yield Finding(name=whole, position=item.position, why="reaches outside of the model")
    if inside == "pyfunc":
        yield from refused


def _reaches(module: str, name: str) -> bool:
    top = module.partition(".")[0]
    return not name or top in _REACHING or (top in ("builtins", "__builtin__") and name.partition(".")[0] in _CALLS)


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


def _look_in_graph(name: str, data: bytes) -> Iterator[Finding]:
    """Return the operations of a TensorFlow graph that reach files or Python; each of them saves and restores."""
    for operation in _OPERATIONS:
        # An operation's name is a field of its own: its length stands before it.
        if operation not in _ALWAYS_SAVED and bytes([len(operation)]) + operation in data:
            yield Finding(name="", position=-1, why=f"holds the operation {operation.decode()}", part=name)


def _look_in_zip(data: bytes, trust: Trust, depth: int, inside: str) -> Iterator[Finding]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        items = archive.infolist()
        if sum(item.file_size for item in items) > _limit(len(data)):
            yield Finding(name="", position=-1, why="grows too much when it is unpacked: it is a bomb")
            return
        for item in items:
            if item.filename.startswith("/") or ".." in re.split(r"[/\\]", item.filename):
                yield Finding(name="", position=-1, why="has a name that leads elsewhere", part=item.filename[:200])
            if (item.external_attr >> 16) & 0o170000 == 0o120000:  # noqa: PLR2004 - S_IFLNK
                yield Finding(name="", position=-1, why="is a link", part=item.filename[:200])
            inner = archive.read(item)
            if item.filename == "schema.json":
                yield from _look_in_schema(inner, trust)
            else:
                yield from _look(item.filename, inner, trust, depth=depth + 1, inside=inside)


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
