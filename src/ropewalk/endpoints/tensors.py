"""Tensors as bytes, the way the Open Inference Protocol packs them: little-endian, texts with their length before them.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from ropewalk.errors import Invalid

# Letters of `struct`, by datatype; BOOL, BF16 and BYTES have ways of their own.
_LETTERS = {
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
DATATYPES = ("BOOL", *_LETTERS, "BF16", "BYTES")
FLOATS = frozenset(("FP16", "FP32", "FP64", "BF16"))
OF_TYPE = {"int": "INT64", "float": "FP64", "bool": "BOOL", "string": "BYTES", "datetime": "BYTES"}
_LENGTH = struct.Struct("<I")


def malformed(where: str, why: str) -> Invalid:
    """Return the error of a request that is not of the Open Inference Protocol."""
    return Invalid(
        "request-malformed",
        "The request is not of the Open Inference Protocol.",
        where=where,
        why=why,
        fix="/openapi.json has an example",
    )


def unpack(datatype: str, data: bytes | memoryview, count: int, where: str) -> list[Any]:
    """Return the values of a tensor; NaN, which stands for an empty value, becomes None.

    Args:
        datatype: one of DATATYPES.
        data: its bytes.
        count: how many values its shape wants.
        where: how an error calls the tensor.

    Raises:
        Invalid: the bytes are not that many values, or a text is not UTF-8.
    """
    if datatype == "BYTES":
        return _texts(bytes(data), count, where)
    letter = _LETTERS.get(datatype, "H" if datatype == "BF16" else "B")
    wanted = count * struct.calcsize(letter)
    if len(data) != wanted:
        raise malformed(where, f"{count} values of {datatype} take {wanted} bytes; found {len(data)}")
    if datatype == "BF16":
        data, letter = _widened(data), "f"
    values: list[Any] = list(struct.unpack(f"<{count}{letter}", data))
    if datatype == "BOOL":
        return [value != 0 for value in values]
    return without_nan(values) if datatype in FLOATS else values


def without_nan(values: list[Any]) -> list[Any]:
    """Return numbers with None in the place of NaN."""
    total = sum(values)
    if total == total:  # noqa: PLR0124 - a sum without NaN: the values have none
        return values
    return [None if value != value else value for value in values]  # noqa: PLR0124


def _widened(data: bytes | memoryview) -> bytes:
    """Return bfloat16 as 32-bit floats: it is their upper half."""
    wide = bytearray(2 * len(data))
    wide[2::4], wide[3::4] = data[0::2], data[1::2]
    return bytes(wide)


def _texts(data: bytes, count: int, where: str) -> list[Any]:
    texts: list[Any] = []
    at = 0
    while at < len(data) and len(texts) < count:
        begin = at + _LENGTH.size
        if begin > len(data):
            break
        at = begin + _LENGTH.unpack_from(data, begin - _LENGTH.size)[0]
        if at > len(data):
            break
        texts.append(text_of(data[begin:at], where))
    if at != len(data) or len(texts) != count:
        raise malformed(where, f"its bytes are not {count} texts, each with its length before it")
    return texts


def text_of(data: bytes, where: str) -> str:
    """Return one element of BYTES as the text that it has to be here.

    Raises:
        Invalid: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise malformed(where, "an element is not text in UTF-8") from error


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """Return values as bytes; `unpack` reads them back.

    Raises:
        ValueError: a value is not of the datatype, which is the model's fault.
    """
    try:
        if datatype == "BYTES":
            texts = [str(value).encode() for value in values]
            return b"".join([part for text in texts for part in (_LENGTH.pack(len(text)), text)])
        if datatype == "BOOL":
            return bytes(map(bool, values))
        return struct.pack(f"<{len(values)}{_LETTERS[datatype]}", *values)
    except (struct.error, TypeError, OverflowError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from error
