"""Rows in lines: CSV and newline-delimited JSON, read from the start, a row at a time."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec

from ropewalk.batches.pieces import Piece, Record, Survey, Unread
from ropewalk.batches.tables import broken
from ropewalk.data.contract import ColumnType, Contract
from ropewalk.refs import PREFIX

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".csv", ".ndjson", ".json")
FIELD_BYTES_MAX = 16 << 20
_FLAGS = {"true": True, "false": False}


class _Hashed:
    """A binary file whose lines go through a digest on their way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seen = hashlib.sha256()

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._file):
            self.seen.update(line)
            yield line.decode("utf-8-sig" if not number else "utf-8", "surrogateescape")


class Lines:
    """A text file with a row a line; `.json` is one array, which is held in memory.

    Args:
        path: the file.
        ending: which of `ENDINGS` it is.
        contract: what a row must be; it says which type the text of a cell is read as.
    """

    def __init__(self, path: Path, ending: str, contract: Contract) -> None:
        self.path = path
        self._csv = ending == ".csv"
        self._array = ending == ".json"
        self._kinds: dict[str, ColumnType] = {column.name: column.type for column in contract.inputs}

    def columns(self) -> tuple[str, ...]:
        """Return the header of a CSV file; of JSON the fields of the first row and those of the contract."""
        with self.path.open("rb") as file:
            lines = iter(_Hashed(file))
            if self._csv:
                return tuple(self._header(csv.reader(lines)))
            first = next((row for row in self._objects(lines) if not isinstance(row, Unread)), Record())
        return tuple(dict.fromkeys([*first, *self._kinds]))

    def survey(self) -> Survey:
        """Return digest, number of rows and the types of further columns, reading the file once."""
        with self.path.open("rb") as file:
            hashed = _Hashed(file)
            kinds: dict[str, set[type]] = {}
            rows = 0
            for row in self._rows(iter(hashed)):
                rows += 1
                if not isinstance(row, Unread):
                    for name in row.keys() - self._kinds.keys():
                        value: object = row[name]
                        kinds.setdefault(name, set()).add(value.__class__)
        found = {name: _common(of) for name, of in sorted(kinds.items())}
        return Survey(digest=PREFIX + hashed.seen.hexdigest(), rows=rows, kinds=found)

    def pieces(self, survey: Survey, first: int, size: int) -> Iterator[Piece]:
        """Yield rows, passing over those before the first."""
        with self.path.open("rb") as file:
            rows = islice(self._rows(iter(_Hashed(file))), first, None)
            at = first
            while some := list(islice(rows, size)):
                records = [row if isinstance(row, Unread) else self._record(row) for row in some]
                yield Piece(first=at, records=records, frame=self._frame(some, records, survey))
                at += len(some)

    def _rows(self, lines: Iterator[str]) -> Iterator[Record | Unread]:
        return self._cells(lines) if self._csv else self._objects(lines)

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            header = next(reader, list[str]())
        except csv.Error as error:
            raise broken(self.path, str(error)) from error
        if not header or len(set(header)) != len(header):
            raise broken(self.path, "the first line has to name the columns, each once")
        return header

    def _cells(self, lines: Iterator[str]) -> Iterator[Record | Unread]:
        csv.field_size_limit(FIELD_BYTES_MAX)
        reader = csv.reader(lines)
        header = self._header(reader)
        try:
            for cells in reader:
                if len(cells) == len(header):
                    yield dict(zip(header, cells, strict=True))
                elif cells:
                    yield Unread(why=f"it has {len(cells)} cells, the header {len(header)}")
        except csv.Error as error:
            raise broken(self.path, f"line {reader.line_num}: {error}") from error

    def _objects(self, lines: Iterator[str]) -> Iterator[Record | Unread]:
        if self._array:
            yield from self._listed("".join(lines))
            return
        for line in lines:
            if not line.isspace():
                yield _object(line)

    def _listed(self, text: str) -> Iterator[Record | Unread]:
        try:
            rows = msgspec.json.decode(text.encode("utf-8", "surrogateescape"), type=list[Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise broken(self.path, str(error)) from error
        for row in rows:
            yield cast("Record", row) if isinstance(row, dict) else Unread(why="it is no JSON object")

    def _record(self, row: Record) -> Record:
        """Return the contract's fields of a row; in CSV their texts are read as the contract's types."""
        if not self._csv:
            return {name: row[name] for name in self._kinds if name in row}
        return {name: _READ[kind](row[name]) for name, kind in self._kinds.items() if name in row}

    def _frame(
        self, rows: Sequence[Record | Unread], records: Sequence[Record | Unread], survey: Survey
    ) -> pl.DataFrame:
        import polars as pl

        def of(some: Sequence[Record | Unread], name: str) -> list[Any]:
            return [None if isinstance(row, Unread) else row.get(name) for row in some]

        known = [name for name in self._kinds if any(not isinstance(row, Unread) and name in row for row in records)]
        columns = [_series(name, of(records, name), _DTYPES[self._kinds[name]]) for name in known]
        further = [_series(name, of(rows, name), kind) for name, kind in survey.kinds.items()]
        return (
            pl.DataFrame([*columns, *further])
            if columns or further
            else pl.DataFrame({"": [None] * len(rows)}).drop("")
        )


_DTYPES: dict[ColumnType, str] = {
    "int": "Int64",
    "float": "Float64",
    "bool": "Boolean",
    "string": "String",
    "datetime": "String",
}


def _series(name: str, values: list[Any], kind: str) -> pl.Series:
    import polars as pl

    if kind == "String":
        values = [_text(value) for value in values]
    return pl.Series(name, values, dtype=getattr(pl, kind), strict=False)


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.encode("utf-8", "replace").decode()


def _common(kinds: set[type]) -> str:
    """Return the polars type that holds values of these kinds."""
    of = kinds - {type(None)}
    if of == {bool}:
        return "Boolean"
    if of == {int}:
        return "Int64"
    return "Float64" if of and of <= {int, float} else "String"


def _object(line: str) -> Record | Unread:
    try:
        row = msgspec.json.decode(line.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unread(why=f"it is no JSON: {error}")
    return cast("Record", row) if isinstance(row, dict) else Unread(why="it is no JSON object")


def _whole(text: str) -> object:
    try:
        return int(text) if text and "_" not in text else text or None
    except ValueError:
        return text


def _number(text: str) -> object:
    if not text:
        return None
    try:
        found = float("" if "_" in text else text)
    except ValueError:
        return text
    return None if math.isnan(found) else found


def _flag(text: str) -> object:
    return _FLAGS.get(text.strip().lower(), text) if text else None


_READ: dict[ColumnType, Callable[[str], object]] = {
    "int": _whole,
    "float": _number,
    "bool": _flag,
    "string": lambda text: text or None,
    "datetime": lambda text: text or None,
}
