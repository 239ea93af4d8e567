"""What a step was given and gave, as a page shows it: rows of frames, numbers, text, arrays, estimators, files.

Nothing of a value is brought to life here: a pickle is never opened, an estimator is read as the text it is kept as.
"""

from __future__ import annotations

import ast
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ropewalk.blobs.bucket import Bucket
from ropewalk.console.preview import TABLE_BYTES_MAX, preview
from ropewalk.console.words import size
from ropewalk.errors import RopewalkError
from ropewalk.pipelines.graph import Tree, is_list, is_map
from ropewalk.pipelines.trees import leaves
from ropewalk.refs import is_digest, short

PARTS_MAX = 12
ROWS_SHOWN = 10
TEXT_LETTERS = 2000
FACTS_SHOWN = 30
FILES_SHOWN = 50
HEAD_BYTES_MAX = 10_000
SCHEMA_BYTES_MAX = 4 << 20
NUMBERS_SHOWN = 12
DTYPE_LETTERS = 200
_SEQUENCES = {"$tuple": "tuple", "$set": "set", "$frozenset": "frozenset"}
_KINDS = {"polars": "polars frame", "lazy": "polars lazy frame", "pandas": "pandas frame"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A part of a value.

    Attributes:
        label: where it stands in the value: nothing for all of it, else such as `[0]` or `['test']`.
        kind: what it is.
        told: shape, size, and what was left out.
        text: for numbers, text and small structures.
        columns: name and kind of each column, for a frame.
        rows: cells as text, for a frame.
        facts: pairs of a name and a text, for an estimator or an array.
        files: path, digest and size of each, for files that a command wrote.
        digest: of the blob that holds it; empty where the record itself does.
    """

    label: str
    kind: str
    told: str = ""
    text: str = ""
    columns: tuple[dict[str, str], ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str, str], ...] = field(default=())
    digest: str = ""


def previews(blobs: Bucket, tree: Tree) -> list[Preview]:
    """Return a value's parts, twelve at most: those that lie in blobs one by one, all else as text."""
    found: list[Preview] = []
    for label, part in _parts(tree, ""):
        if len(found) == PARTS_MAX:
            found.append(Preview(label="…", kind="more", told="The value has more parts than are shown."))
            break
        try:
            found.append(_shown(blobs, label, part))
        except (RopewalkError, OSError) as error:
            what = error.what if isinstance(error, RopewalkError) else str(error)
            found.append(
                Preview(label=label, kind="not to be had", told=f"{what} What nobody needs any more, gc removes.")
            )
    return found


def _parts(tree: Tree, label: str) -> Iterator[tuple[str, Tree]]:
    """Yield what is looked at by itself: whole values without blobs, and each thing that lies in one."""
    if _files(tree) or not any(any(is_digest(str(held)) for held in leaf.values()) for leaf in leaves(tree)):
        yield label, tree
        return
    items, pairs = tree, None
    if is_map(tree):
        items = next((tree[tag] for tag in _SEQUENCES if tag in tree), None)
        pairs = tree.get("$dict")
    if pairs is not None:
        for key, item in pairs:
            yield from _parts(item, f"{label}[{_plain(key)}]")
    elif is_list(items):
        for number, item in enumerate(items):
            yield from _parts(item, f"{label}[{number}]")
    else:
        yield label, tree


def _shown(blobs: Bucket, label: str, tree: Tree) -> Preview:
    files = _files(tree)
    if files:
        listed = tuple((path, digest, _size(blobs, digest)) for path, digest in files[:FILES_SHOWN])
        told = f"{len(files)} {'file' if len(files) == 1 else 'files'}"
        return Preview(label=label, kind="files", told=told, files=listed)
    if is_map(tree):
        for tag, show in _OF_BLOB.items():
            if tag in tree:
                return show(blobs, label, tree)
    text = _plain(tree)
    cut = f"the first {TEXT_LETTERS:,} of {len(text):,} letters are shown" if len(text) > TEXT_LETTERS else ""
    told = "; ".join(word for word in (_long(tree), cut) if word)
    return Preview(label=label, kind=_kind(tree), told=told, text=text[:TEXT_LETTERS] + ("…" if cut else ""))


def _files(tree: Tree) -> list[tuple[str, str]]:
    """Return path and digest of what a command wrote; nothing for any other value."""
    pairs: Any = tree.get("$dict") if is_map(tree) else None
    if not pairs or not all(
        isinstance(path, str) and is_list(held) and held and is_digest(str(held[0])) for path, held in pairs
    ):
        return []
    return [(path, str(held[0])) for path, held in pairs]


def _frame(blobs: Bucket, label: str, tree: dict[str, Any]) -> Preview:
    digest = str(tree.get("$frame") or tree.get("$series"))
    count = blobs.size(digest)
    kind = _KINDS.get(str(tree.get("of")), "polars series")
    if count > TABLE_BYTES_MAX:
        return Preview(label=label, kind=kind, told=f"{size(count)}, too large to be shown here", digest=digest)
    file = blobs.fetch(digest)
    shown = preview("frame.parquet", file, count)
    rows = _height(file)
    told = f"{rows:,} rows by {_width(file)} columns, {size(count)}" if rows >= 0 else shown.told
    if rows > ROWS_SHOWN:
        told += f"; the first {ROWS_SHOWN} rows are shown"
    return Preview(
        label=label, kind=kind, told=told, columns=shown.columns, rows=shown.rows[:ROWS_SHOWN], digest=digest
    )


def _height(file: Path) -> int:
    import polars as pl

    try:
        return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError, ValueError):
        return -1


def _width(file: Path) -> int:
    import polars as pl

    return len(pl.read_parquet_schema(file))


def _array(blobs: Bucket, label: str, tree: dict[str, Any]) -> Preview:
    """Return an array's shape and kind from its header (NumPy's format 1 to 3), and its first numbers."""
    import base64

    digest = str(tree.get("$npy_blob", ""))
    # Never the whole of it: a file may be as large as the machine's memory.
    file = blobs.fetch(digest) if digest else None
    small = b"" if file else base64.b64decode(str(tree["$npy"]))
    with file.open("rb") if file else io.BytesIO(small) as held:
        start = held.read(HEAD_BYTES_MAX)
    long = 2 if start[6:7] == b"\x01" else 4
    end = 8 + long + int.from_bytes(start[8 : 8 + long], "little")
    kind = "number" if tree.get("scalar") else "array"
    count = size(file.stat().st_size if file else len(small))
    if end > len(start):  # thousands of named fields, which NumPy itself reads only when it is told to
        return Preview(label=label, kind=f"numpy {kind}", told=f"{count}; it has too many fields", digest=digest)
    head: Any = ast.literal_eval(start[8 + long : end].decode("latin-1"))
    shape, dtype = head["shape"], str(head["descr"])[:DTYPE_LETTERS]
    told = f"{' by '.join(f'{one:,}' for one in shape) or 'one number'}, {dtype.lstrip('<>|=')}, {count}"
    text = _numbers(file or io.BytesIO(small))
    return Preview(label=label, kind=f"numpy {kind}", told=told, text=text, digest=digest)


def _numbers(held: Path | io.BytesIO) -> str:
    """Return the first numbers of an array where numpy is installed; of a file only their bytes are read."""
    try:
        import numpy as np
    except ImportError:
        return ""
    array = np.load(held, mmap_mode="r" if isinstance(held, Path) else None, allow_pickle=False)
    more = ", …" if array.size > NUMBERS_SHOWN else ""
    return ", ".join(f"{value}" for value in array.flat[:NUMBERS_SHOWN].tolist()) + more


def _estimator(blobs: Bucket, label: str, tree: dict[str, Any]) -> Preview:
    """Return an estimator's class and parameters from the text in its skops file; nothing of it is loaded."""
    digest = str(tree["$skops"])
    named, facts = "estimator", [("libraries", ", ".join(map(str, tree.get("libraries", ()))))]
    try:
        with zipfile.ZipFile(blobs.fetch(digest)) as held:
            if held.getinfo("schema.json").file_size <= SCHEMA_BYTES_MAX:
                schema: dict[str, Any] = json.loads(held.read("schema.json"))
                named, facts = _class(schema), [*_parameters(schema), *facts]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile):
        facts.append(("parameters", "they cannot be read from its file"))
    return Preview(
        label=label, kind=named, told=size(blobs.size(digest)), facts=tuple(facts[:FACTS_SHOWN]), digest=digest
    )


def _class(schema: dict[str, Any]) -> str:
    return f"{schema['__module__']}.{schema['__class__']}"


def _parameters(schema: dict[str, Any]) -> list[tuple[str, str]]:
    content: dict[str, Any] = schema["content"]["content"]
    found: list[tuple[str, str]] = []
    for name, held in content.items():
        plain = held.get("__loader__") == "JsonNode"
        found.append((name, str(held["content"])[:200] if plain else str(held.get("__class__", ""))))
    return sorted(found, key=lambda pair: (pair[0].endswith("_"), pair[0]))


def _pickle(blobs: Bucket, label: str, tree: dict[str, Any]) -> Preview:
    digest = str(tree["$pickle"])
    named = cast("dict[str, str]", tree.get("code") or {})
    facts = [("code of the project", f"{name} {short(str(code))}") for name, code in named.items()]
    facts += [("libraries", ", ".join(map(str, tree.get("libraries", ()))) or "none")]
    told = f"{size(blobs.size(digest))}; pickles are not opened here"
    return Preview(label=label, kind="Python object", told=told, facts=tuple(facts[:FACTS_SHOWN]), digest=digest)


def _bytes(blobs: Bucket, label: str, tree: dict[str, Any]) -> Preview:
    digest = str(tree["$blob"])
    return Preview(label=label, kind="bytes", told=size(blobs.size(digest)), digest=digest)


_OF_BLOB = {
    "$frame": _frame,
    "$series": _frame,
    "$npy": _array,
    "$npy_blob": _array,
    "$skops": _estimator,
    "$pickle": _pickle,
    "$blob": _bytes,
}


def _kind(tree: Tree) -> str:
    """Return the type of a value as Python calls it."""
    if not is_map(tree):
        return "None" if tree is None else type(tree).__name__
    tag = next(iter(key for key in tree if key.startswith("$")), "")
    named = {"$text": "str", "$dict": "dict", "$ref": "result of a step"}
    return _SEQUENCES.get(tag) or named.get(tag) or tag.removeprefix("$")


def _long(tree: Tree) -> str:
    items: Any = tree
    if is_map(tree):
        items = next((tree[tag] for tag in (*_SEQUENCES, "$dict") if tag in tree), None)
    return f"{len(items):,} {'item' if len(items) == 1 else 'items'}" if is_list(items) else ""


def _plain(tree: Tree) -> str:
    """Return a value as Python would write it, near enough for people."""
    if is_list(tree):
        return f"[{', '.join(map(_plain, tree))}]"
    if not is_map(tree):
        return repr(tree)
    tag = next(iter(key for key in tree if key.startswith("$")), "")
    held: Any = tree.get(tag)
    if tag == "$text":
        return repr("".join(map(chr, held)))
    if tag not in (*_SEQUENCES, "$dict"):
        return f"{tag.removeprefix('$')}({held})" if tag else repr(tree)
    if tag == "$tuple":
        return f"({', '.join(map(_plain, held))}{',' if len(held) == 1 else ''})"
    pairs = tag == "$dict"
    return "{" + ", ".join(f"{_plain(one[0])}: {_plain(one[1])}" if pairs else _plain(one) for one in held) + "}"


def _size(blobs: Bucket, digest: str) -> str:
    try:
        return size(blobs.size(digest))
    except RopewalkError:
        return "its bytes are gone"
