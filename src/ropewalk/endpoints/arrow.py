"""Arrow's IPC format, stream or file, read into columns of plain values, and what is answered written in it.

Source: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from typing import Any

from ropewalk.endpoints.flatbuffer import Malformed, Table, number
from ropewalk.endpoints.tensors import without_nan
from ropewalk.errors import Invalid

STREAM = b"application/vnd.apache.arrow.stream"
FILE = b"application/vnd.apache.arrow.file"
MAGIC = b"ARROW1\0\0"
_MAGIC_BYTES, _TAIL_BYTES = 6, 10  # of the magic at the end, and of it with the footer's length before it
FIELDS_MAX = 4096
BATCHES_MAX = 1024
WORDS_MAX = 1 << 20
_CONTINUED = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_INT, _FLOAT, _UTF8, _BOOL, _DATE, _TIMESTAMP, _LARGE_UTF8, _UTF8_VIEW = 2, 3, 5, 6, 8, 10, 20, 24
_INTS = {(8, 1): "b", (16, 1): "h", (32, 1): "i", (64, 1): "q", (8, 0): "B", (16, 0): "H", (32, 0): "I", (64, 0): "Q"}
_FLOATS = ("e", "f", "d")
# How many buffers a column has, by its type: nothing is read of those that are not listed, and they are refused.
_BUFFERS = {1: 0, 4: 3, _UTF8: 3, 19: 3, _LARGE_UTF8: 3, **dict.fromkeys((2, 3, 6, 7, 8, 9, 10, 11, 15, 18), 2)}
_VIEWS = frozenset((23, _UTF8_VIEW))
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_US = ((1_000_000, 1), (1000, 1), (1, 1), (1, 1000))
_MILLISECONDS = (1000, 1)
_VIEW_BYTES, _VIEW_INSIDE = 16, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a column's bytes mean.

    Attributes:
        type: number in Arrow's union of types.
        letter: of `struct`, for numbers.
        times: what a value is multiplied with and divided by to be microseconds; None where it is no time.
    """

    type: int
    letter: str = ""
    times: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column as the schema says it; `dictionary` is the id of its values where it holds indices, else -1."""

    name: str
    kind: Kind
    dictionary: int = -1
    values: Kind | None = None


def read(data: bytes, wanted: Collection[str], rows_max: int) -> dict[str, list[Any]]:
    """Return the columns of a table by name; those that are not wanted are not looked into and hold None.

    Times become ISO 8601, NaN and nulls None. Nothing is read beyond the bytes, and what they claim is not believed.

    Args:
        data: a stream, or a file.
        wanted: names of columns.
        rows_max: most rows.

    Raises:
        Invalid: it is not Arrow's format, too long, compressed, or a wanted column is of a type that has no place here.
    """
    try:
        return _Reader(data, wanted, rows_max).read()
    except (Malformed, struct.error, UnicodeDecodeError, OverflowError) as error:
        raise Invalid(
            "arrow-malformed",
            "The body is not an Arrow IPC stream or file that can be read here.",
            where="body",
            why=str(error),
            fix="write it without compression, of whole numbers, floats, booleans, texts and timestamps",
        ) from error


class _Body:
    """The buffers of one batch, taken in order."""

    def __init__(self, batch: Table, body: memoryview) -> None:
        if batch.table(3) is not None:
            raise Malformed("its buffers are compressed")
        self.rows = batch.number(0, "q")
        self._body = body
        self._nodes = iter(batch.numbers(1, 2, FIELDS_MAX))
        self._buffers = iter(batch.numbers(2, 2, 16 * FIELDS_MAX))
        self._views = iter(batch.numbers(4, 1, FIELDS_MAX))

    def node(self) -> None:
        """Pass over one column's counts, which say nothing that its buffers do not say."""
        if next(self._nodes, (-1, 0))[0] != self.rows:
            raise Malformed("a column is not as long as its batch")

    def buffer(self) -> memoryview:
        offset, length = next(self._buffers, (-1, 0))
        if offset < 0 or length < 0 or offset + length > len(self._body):
            raise Malformed("a buffer lies outside of its batch")
        return self._body[offset : offset + length]

    def buffers(self, kind: Kind) -> list[memoryview]:
        count = _BUFFERS.get(kind.type, 2)
        if kind.type in _VIEWS:
            count += next(self._views, (FIELDS_MAX,))[0]
        return [self.buffer() for _ in range(count)]


class _Reader:
    def __init__(self, data: bytes, wanted: Collection[str], rows_max: int) -> None:
        self._data = data
        self._wanted = wanted
        self._rows_max = rows_max
        self._fields: list[Field] = []
        self._words: dict[int, list[Any]] = {}
        self._columns: dict[str, list[Any]] = {}
        # Views may name the same bytes again and again: what they come to in all is bounded by what was sent.
        self._left = 8 * len(data) + (1 << 20)
        # Nulls take no bytes, and a file's footer may name the same bytes again and again: neither is believed.
        self._cells, self._unread = 2 * len(data) + (1 << 20), len(data)

    def read(self) -> dict[str, list[Any]]:
        batches = rows = 0
        for kind, header, body in self._messages():
            batches += 1
            if batches > BATCHES_MAX:
                raise Malformed(f"more than {BATCHES_MAX} batches")
            if kind == _SCHEMA:
                self._schema(header)
                continue
            if kind == _DICTIONARY:
                self._dictionary(header, body)
                continue
            if kind != _BATCH:
                raise Malformed("it has a message that is no table")
            batch = _Body(header, body)
            rows += batch.rows
            if batch.rows < 0 or rows > self._rows_max:
                raise Malformed(f"more than {self._rows_max} rows")
            self._hold(batch.rows * len(self._fields))
            for field in self._fields:
                self._columns[field.name] += self._column(field, batch)
        return self._columns

    def _messages(self) -> Iterator[tuple[int, Table, memoryview]]:
        """Yield kind, header and body of each message; a schema comes first, and once."""
        if self._data.startswith(MAGIC):
            yield from self._messages_of_file()
            return
        at, seen = 0, False
        while at < len(self._data):
            if number(self._data, at, "I") != _CONTINUED:
                raise Malformed("a message does not begin as one")
            if number(self._data, at + 4, "I") == 0:
                break
            kind, header, body, at = self._message(at)
            if (kind == _SCHEMA) == seen:
                raise Malformed("a schema comes first, and once")
            seen = True
            yield kind, header, body
        if not seen:
            raise Malformed("it has no schema")

    def _messages_of_file(self) -> Iterator[tuple[int, Table, memoryview]]:
        """Yield what the footer of a file names: the schema, dictionaries, batches."""
        data, tail = self._data, len(self._data) - _TAIL_BYTES
        length = number(data, tail, "i")
        if not data.endswith(MAGIC[:_MAGIC_BYTES]) or not 0 < length <= tail:
            raise Malformed("a file ends too early")
        footer = Table.root(data[tail - length : tail])
        schema = footer.table(1)
        if schema is None:
            raise Malformed("it has no schema")
        yield _SCHEMA, schema, memoryview(b"")
        for field, wanted in ((2, _DICTIONARY), (3, _BATCH)):
            for place, _, _ in footer.numbers(field, 3, BATCHES_MAX):
                kind, header, body, _ = self._message(place)
                if kind != wanted:
                    raise Malformed("the footer names a message that is another")
                yield kind, header, body

    def _message(self, at: int) -> tuple[int, Table, memoryview, int]:
        """Return kind, header and body of the message at a place, and where the next one begins."""
        data = self._data
        if number(data, at, "I") == _CONTINUED:
            at += 4
        begin, length = at + 4, number(data, at, "i")
        if length <= 0 or begin + length > len(data):
            raise Malformed("a message ends too early")
        message = Table.root(data[begin : begin + length])
        header, size = message.table(2), message.number(3, "q")
        end = begin + length + size
        if header is None or size < 0 or end > len(data):
            raise Malformed("a message ends too early")
        self._unread -= length + size
        if self._unread < 0:
            raise Malformed("its messages overlap")
        return message.number(1, "B"), header, memoryview(data)[begin + length : end], end

    def _schema(self, schema: Table) -> None:
        if schema.number(0, "h"):
            raise Malformed("it is big-endian")
        for table in schema.tables(1, FIELDS_MAX):
            name = table.text(0)
            if name in self._columns:
                raise Malformed(f"the column {name!r} comes twice")
            self._columns[name] = []
            self._fields.append(self._field(name, table))

    def _field(self, name: str, table: Table) -> Field:
        kind = _kind(table.number(2, "B"), table.table(3))
        if table.tables(5, FIELDS_MAX) or (kind.type not in _BUFFERS and kind.type not in _VIEWS):
            raise Malformed(f"the column {name!r} holds lists or objects")
        dictionary = table.table(4)
        if dictionary is not None:
            index = dictionary.table(1)
            indices = _kind(_INT, index) if index else Kind(type=_INT, letter="i")
            return Field(name=name, kind=indices, dictionary=dictionary.number(0, "q"), values=kind)
        if name in self._wanted and not _is_read(kind):
            raise Malformed(f"the column {name!r} is of a type that no field of a model has")
        return Field(name=name, kind=kind)

    def _dictionary(self, header: Table, body: memoryview) -> None:
        name, batch = header.number(0, "q"), header.table(1)
        field = next((field for field in self._fields if field.dictionary == name), None)
        if field is None or field.values is None or batch is None:
            raise Malformed("a dictionary belongs to no column")
        if field.values.type == _BOOL or not _is_read(field.values):
            raise Malformed(f"the dictionary of {field.name!r} does not hold texts or numbers")
        of = _Body(batch, body)
        if not 0 <= of.rows <= WORDS_MAX:
            raise Malformed(f"a dictionary has more than {WORDS_MAX} values")
        self._hold(of.rows)
        of.node()
        words = self._values(field.values, of.buffers(field.values), of.rows)
        known = self._words.setdefault(name, [])
        if not header.number(2, "B"):
            known.clear()
        known += words
        if len(known) > WORDS_MAX:
            raise Malformed(f"a dictionary has more than {WORDS_MAX} values")

    def _column(self, field: Field, batch: _Body) -> list[Any]:
        batch.node()
        buffers = batch.buffers(field.kind)
        if field.name not in self._wanted:
            return [None] * batch.rows
        values = self._values(field.kind, buffers, batch.rows)
        if field.dictionary < 0:
            return values
        words = self._words.get(field.dictionary, [])
        if any(value is not None and not 0 <= value < len(words) for value in values):
            raise Malformed(f"the column {field.name!r} names a value that its dictionary has not")
        return [None if value is None else words[value] for value in values]

    def _values(self, kind: Kind, buffers: list[memoryview], rows: int) -> list[Any]:
        """Return a column's values, None where it has a null."""
        if not buffers:
            return [None] * rows
        valid = buffers[0]
        if 0 < len(valid) < (rows + 7) // 8:
            raise Malformed("a column's nulls are too short")
        if kind.type in (_UTF8, _LARGE_UTF8):
            values = self._texts("i" if kind.type == _UTF8 else "q", buffers[1], buffers[2], rows)
        elif kind.type == _UTF8_VIEW:
            values = self._views(buffers[1], buffers[2:], valid, rows)
        elif kind.type == _BOOL:
            values = _bits(buffers[1], rows)
        else:
            values = _numbers(kind, buffers[1], rows)
        if len(valid):
            values = [value if there else None for value, there in zip(values, _bits(valid, rows), strict=True)]
        return values if kind.times is None else [_time(value, *kind.times) for value in values]

    def _texts(self, letter: str, offsets: memoryview, data: memoryview, rows: int) -> list[Any]:
        if not rows:
            return []
        ends: tuple[int, ...] = struct.unpack_from(f"<{rows + 1}{letter}", offsets)
        # In order they cannot come to more than the data, which may lie under several columns.
        if ends[0] < 0 or ends[-1] > len(data) or any(a > b for a, b in pairwise(ends)):
            raise Malformed("the offsets of a column of texts are not in order")
        self._spend(ends[-1] - ends[0])
        whole = bytes(data[ends[0] : ends[-1]])
        first = ends[0]
        return [whole[begin - first : end - first].decode() for begin, end in pairwise(ends)]

    def _views(self, views: memoryview, buffers: list[memoryview], valid: memoryview, rows: int) -> list[Any]:
        if len(views) < _VIEW_BYTES * rows:
            raise Malformed("a column of texts is too short")
        there = _bits(valid, rows) if len(valid) else [True] * rows
        known: dict[tuple[int, int, int], str] = {}
        values: list[Any] = []
        for at in range(rows):
            length, _, buffer, offset = struct.unpack_from("<iIii", views, _VIEW_BYTES * at)
            if not there[at] or length == 0:
                values.append("")
            elif 0 < length <= _VIEW_INSIDE:
                values.append(bytes(views[_VIEW_BYTES * at + 4 : _VIEW_BYTES * at + 4 + length]).decode())
            else:
                place = (buffer, offset, length)
                if place not in known:
                    known[place] = self._viewed(buffers, *place)
                values.append(known[place])
        return values

    def _viewed(self, buffers: list[memoryview], buffer: int, offset: int, length: int) -> str:
        if not 0 <= buffer < len(buffers) or length < 0 or not 0 <= offset <= len(buffers[buffer]) - length:
            raise Malformed("a text lies outside of its buffer")
        self._spend(length)
        return bytes(buffers[buffer][offset : offset + length]).decode()

    def _hold(self, cells: int) -> None:
        self._cells -= cells
        if self._cells < 0:
            raise Malformed("its values are far more than was sent")

    def _spend(self, length: int) -> None:
        self._left -= length
        if self._left < 0:
            raise Malformed("its texts come to far more than was sent")


def _is_read(kind: Kind) -> bool:
    return bool(kind.letter) or kind.type in (1, _UTF8, _LARGE_UTF8, _UTF8_VIEW, _BOOL)


def _kind(number: int, of: Table | None) -> Kind:
    """Return what a type of the schema means; one without a letter is read only where it is text or boolean."""
    if of is None:
        return Kind(type=number)
    if number == _INT:
        return Kind(type=number, letter=_INTS.get((of.number(0, "i"), of.number(1, "B")), ""))
    if number == _FLOAT:
        precision = of.number(0, "h")
        return Kind(type=number, letter=_FLOATS[precision] if 0 <= precision < len(_FLOATS) else "")
    if number == _DATE:
        days = of.number(0, "h", 1) == 0
        return Kind(type=number, letter="i" if days else "q", times=(_DAY_US, 1) if days else _MILLISECONDS)
    if number == _TIMESTAMP:
        unit = of.number(0, "h")
        return Kind(type=number, letter="q", times=_UNITS_US[unit if 0 <= unit < len(_UNITS_US) else 0])
    return Kind(type=number)


def _numbers(kind: Kind, data: memoryview, rows: int) -> list[Any]:
    values: list[Any] = list(struct.unpack_from(f"<{rows}{kind.letter}", data))
    return without_nan(values) if kind.type == _FLOAT else values


def _time(value: int | None, times: int, parts: int) -> str | None:
    """Return a time as ISO 8601 in UTC, to the microsecond."""
    if value is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=value * times // parts)).isoformat()
    except OverflowError:
        raise Malformed("a time lies outside of the calendar") from None


def _bits(data: memoryview, rows: int) -> list[Any]:
    if len(data) < (rows + 7) // 8:
        raise Malformed("a column of booleans is too short")
    return [bool(data[at >> 3] >> (at & 7) & 1) for at in range(rows)]


def write(columns: dict[str, list[Any]], kinds: dict[str, str], *, file: bool) -> bytes:
    """Return columns as an IPC stream or file without compression, of types that every reader knows.

    Args:
        columns: values by name.
        kinds: `int`, `float`, `bool` or `string` by name.
        file: whether it is to be a file.
    """
    import polars as pl

    known = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}
    frame = pl.DataFrame(
        [pl.Series(name, values, known.get(kinds[name], pl.String), strict=False) for name, values in columns.items()]
    )
    out = BytesIO()
    oldest = pl.CompatLevel.oldest()
    if file:
        frame.write_ipc(out, compression="uncompressed", compat_level=oldest)
    else:
        frame.write_ipc_stream(out, compression="uncompressed", compat_level=oldest)
    return out.getvalue()
