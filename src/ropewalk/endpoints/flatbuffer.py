"""Reads flatbuffers by hand, so that bytes of a stranger never reach code that could leave its buffer.

Source: https://flatbuffers.dev/internals (the layout of tables, vectors and strings).
"""

from __future__ import annotations

import struct

TEXT_BYTES_MAX = 512


class Malformed(ValueError):
    """The bytes are no flatbuffer of the wanted shape."""


def number(data: bytes, at: int, letter: str) -> int:
    """Return the little-endian number at a place; `letter` is of `struct`.

    Raises:
        Malformed: it does not lie within the data.
    """
    if at < 0 or at + struct.calcsize(letter) > len(data):
        raise Malformed("an offset leads out of it")
    return struct.unpack_from(f"<{letter}", data, at)[0]


class Table:
    """One table of a flatbuffer.

    Args:
        data: the whole flatbuffer.
        at: where the table begins.
    """

    __slots__ = ("_at", "_data", "_slots", "_slots_end")

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._slots = at - number(data, at, "i")
        self._slots_end = self._slots + number(data, self._slots, "H")

    @classmethod
    def root(cls, data: bytes) -> Table:
        """Return the outermost table."""
        return cls(data, number(data, 0, "I"))

    def _place(self, field: int) -> int:
        """Return where a field lies, 0 when it has its default."""
        slot = self._slots + 4 + 2 * field
        offset = number(self._data, slot, "H") if slot + 2 <= self._slots_end else 0
        return self._at + offset if offset else 0

    def number(self, field: int, letter: str, default: int = 0) -> int:
        """Return a number, or its default."""
        place = self._place(field)
        return number(self._data, place, letter) if place else default

    def table(self, field: int) -> Table | None:
        """Return a table within, or None."""
        place = self._place(field)
        return Table(self._data, place + number(self._data, place, "I")) if place else None

    def text(self, field: int) -> str:
        """Return a text of at most TEXT_BYTES_MAX bytes; an empty one where there is none."""
        place = self._place(field)
        if not place:
            return ""
        begin = place + number(self._data, place, "I")
        length = number(self._data, begin, "I")
        if length > TEXT_BYTES_MAX or begin + 4 + length > len(self._data):
            raise Malformed(f"a text of {length} bytes, {TEXT_BYTES_MAX} at most")
        return self._data[begin + 4 : begin + 4 + length].decode()

    def _vector(self, field: int, size: int, most: int) -> tuple[int, int]:
        """Return how many elements of `size` bytes a vector has, and where they begin."""
        place = self._place(field)
        if not place:
            return 0, 0
        begin = place + number(self._data, place, "I")
        count = number(self._data, begin, "I")
        if count > most or begin + 4 + count * size > len(self._data):
            raise Malformed(f"a vector of {count} elements, {most} at most")
        return count, begin + 4

    def tables(self, field: int, most: int) -> list[Table]:
        """Return a vector of tables."""
        count, begin = self._vector(field, 4, most)
        places = [begin + 4 * at for at in range(count)]
        return [Table(self._data, place + number(self._data, place, "I")) for place in places]

    def numbers(self, field: int, width: int, most: int) -> list[tuple[int, ...]]:
        """Return a vector whose elements are `width` 64-bit numbers each."""
        count, begin = self._vector(field, 8 * width, most)
        return [struct.unpack_from(f"<{width}q", self._data, begin + 8 * width * at) for at in range(count)]
