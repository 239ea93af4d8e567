"""The beginning of a file as a page shows it: text, Markdown, JSON, rows of a table, or an image; never as markup."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from ropewalk.console.markdown import Block, blocks

TEXT_BYTES = 256 << 10
IMAGE_BYTES_MAX = 20 << 20
TABLE_BYTES_MAX = 256 << 20
ROWS = 50
COLUMNS = 60
CELL_LETTERS = 300
# What a browser draws without running anything. SVG is markup that may hold scripts, so it is text here.
IMAGES = {
    ".png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    ".jpg": ("image/jpeg", b"\xff\xd8\xff"),
    ".jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    ".gif": ("image/gif", b"GIF8"),
    ".webp": ("image/webp", b"RIFF"),
}
TABLES = {".csv": ",", ".tsv": "\t"}
MARKDOWN = frozenset({".md", ".markdown"})
# What a browser draws in a frame of its own, where nothing of it runs and nothing is loaded.
FRAMED = frozenset({".html", ".htm", ".svg"})
FRAMED_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a page shows of a file.

    Attributes:
        kind: `image`, `table`, `markdown`, `frame`, `text` or `none`.
        text: for a text.
        blocks: of a Markdown text.
        columns: name and kind of each column, for a table.
        rows: cells as text, for a table.
        told: what was left out, or why nothing is shown.
        address: where the image lies, or what is shown in a frame.
    """

    kind: str
    text: str = ""
    blocks: tuple[Block, ...] = ()
    columns: tuple[dict[str, str], ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default=())
    told: str = ""
    address: str = ""


def preview(name: str, file: Path, size: int, image: str = "") -> Shown:
    """Return what can be shown of a file.

    Args:
        name: its name, whose ending says what it should be.
        file: the bytes.
        size: how many.
        image: address under which an image is fetched; empty where there is none.
    """
    ending = PurePosixPath(name.lower()).suffix
    with file.open("rb") as stream:
        head = stream.read(TEXT_BYTES + 4)
    if ending in IMAGES and head.startswith(IMAGES[ending][1]) and image:
        if size > IMAGE_BYTES_MAX:
            return Shown(kind="none", told="The image is too large to be shown here; download it.")
        return Shown(kind="image", address=image)
    if ending == ".parquet" and size <= TABLE_BYTES_MAX:
        return _parquet(file)
    text = _text(head[:TEXT_BYTES], cut=size > TEXT_BYTES)
    if text is None:
        return Shown(kind="none", told="These bytes are no text; download them.")
    if ending in TABLES:
        return _csv(text, TABLES[ending], cut=size > TEXT_BYTES)
    return _words(ending, text, cut=size > TEXT_BYTES)


def _words(ending: str, text: str, *, cut: bool) -> Shown:
    told = f"The first {TEXT_BYTES >> 10} KiB are shown." if cut else ""
    if ending in MARKDOWN and text:
        return Shown(kind="markdown", blocks=tuple(blocks(text)), text=text, told=told)
    if ending == ".json" and not told:
        found = _json_table(text)
        if found is not None:
            return found
        text = _pretty(text)
    return Shown(kind="text", text=text, told=told or ("" if text else "The file is empty."))


def image_kind(name: str, head: bytes) -> str:
    """Return the media type of an image that may be drawn, or nothing."""
    kind, magic = IMAGES.get(PurePosixPath(name.lower()).suffix, ("", b"-"))
    return kind if head.startswith(magic) else ""


def _text(data: bytes, *, cut: bool) -> str | None:
    if b"\0" in data:
        return None
    for short in range(4 if cut else 1):
        try:
            return data[: len(data) - short].decode()
        except UnicodeDecodeError:
            continue
    return None


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


class _Logged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    columns: list[str | int]
    data: list[list[Any]]


def _json_table(text: str) -> Shown | None:
    """Return a table that MLflow's `log_table` wrote, columns beside rows, or None for any other JSON."""
    try:
        whole = msgspec.json.decode(text, type=_Logged)
    except (msgspec.DecodeError, RecursionError):
        return None
    wide = len(whole.columns)
    if not wide or any(len(row) != wide for row in whole.data):
        return None
    told = [f"The first {ROWS} of {len(whole.data):,} rows are shown."] if len(whole.data) > ROWS else []
    told += [f"The first {COLUMNS} of {wide} columns are shown."] if wide > COLUMNS else []
    return Shown(
        kind="table",
        columns=tuple({"name": str(name)[:CELL_LETTERS], "kind": ""} for name in whole.columns[:COLUMNS]),
        rows=tuple(tuple(_said(cell)[:CELL_LETTERS] for cell in row[:COLUMNS]) for row in whole.data[:ROWS]),
        told=" ".join(told),
    )


def _said(cell: object) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


def _csv(text: str, comma: str, *, cut: bool) -> Shown:
    lines = text.rpartition("\n")[0] if cut and "\n" in text else text
    try:
        found = [row for row, _ in zip(csv.reader(io.StringIO(lines), delimiter=comma), range(ROWS + 2), strict=False)]
    except csv.Error:
        return Shown(kind="text", text=text, told="This is no table of comma-separated values; it is shown as text.")
    if not found:
        return Shown(kind="text", told="The file is empty.")
    wide = len(found[0])
    told = [f"The first {ROWS} rows are shown."] if len(found) > ROWS + 1 or cut else []
    told += [f"The first {COLUMNS} of {wide} columns are shown."] if wide > COLUMNS else []
    return Shown(
        kind="table",
        columns=tuple({"name": name[:CELL_LETTERS], "kind": ""} for name in found[0][:COLUMNS]),
        rows=tuple(tuple(cell[:CELL_LETTERS] for cell in row[:COLUMNS]) for row in found[1 : ROWS + 1]),
        told=" ".join(told),
    )


def _parquet(file: Path) -> Shown:
    import polars as pl

    try:
        kinds: dict[str, Any] = dict(pl.read_parquet_schema(file))
        table = pl.scan_parquet(file).select(list(kinds)[:COLUMNS]).head(ROWS + 1).collect()
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        return Shown(kind="none", told=f"This is no Parquet file that can be read: {str(error)[:200]}")
    told = [f"The first {ROWS} rows are shown."] if table.height > ROWS else []
    told += [f"The first {COLUMNS} of {len(kinds)} columns are shown."] if len(kinds) > COLUMNS else []
    return Shown(
        kind="table",
        columns=tuple({"name": name[:CELL_LETTERS], "kind": str(kinds[name])} for name in table.columns),
        rows=tuple(
            tuple("" if cell is None else str(cell)[:CELL_LETTERS] for cell in row) for row in table.head(ROWS).rows()
        ),
        told=" ".join(told),
    )
