"""The Open Inference Protocol v2: each input column a tensor, or all of them one matrix; in JSON, or packed behind it.

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md), with the extension
for binary tensors: `Inference-Header-Content-Length` says where the JSON ends and the bytes of the tensors begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from ropewalk.endpoints.asking import Asked, Given
from ropewalk.endpoints.plain import KEY_LETTERS_MAX, RECORDS_MAX
from ropewalk.endpoints.reply import JSON, OCTETS, Reply
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.tensors import DATATYPES, OF_TYPE, malformed, pack, unpack
from ropewalk.errors import Invalid, RopewalkError

IDS = "prediction_id"
HEAD = "Inference-Header-Content-Length"
SIZE = "binary_data_size"
_MATRIX = 2
_DIGITS_MAX = 20
# Ways of handing tensors over that need the machine of the server: refused by name and not passed over.
_NOT_OFFERED = frozenset(("shared_memory_region", "shared_memory_byte_size", "classification"))
Parameters = dict[str, Any]


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One input tensor; members that are not known here are the protocol's to ignore."""

    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=8)]
    datatype: str
    data: list[Any] | None = None
    parameters: Parameters | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One output that the caller wants."""

    name: str
    parameters: Parameters | None = None


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """A request's body; `parameters.key` makes the split sticky, as `key` does in the plain form."""

    inputs: Annotated[list[Tensor], Meta(min_length=1, max_length=4096)]
    id: str | None = None
    outputs: list[Wanted] | None = None
    parameters: Parameters | None = None


_decoder = msgspec.json.Decoder(Inference)
_encoder = msgspec.json.Encoder()


def decode(body: bytes, served: Served, head: bytes | None = None) -> tuple[Asked, Inference]:
    """Return the rows of an inference request.

    Args:
        body: JSON, and behind it the bytes of those tensors that have a `binary_data_size`.
        served: the release whose columns give a matrix its names.
        head: what the header says of the JSON's length; None where the body is JSON to its end.

    Raises:
        Invalid: it is not JSON, not of the protocol, or its tensors do not fit each other; the error names the tensor.
    """
    length = len(body) if head is None else _length(head, len(body))
    try:
        asked = _decoder.decode(body[:length])
    except msgspec.ValidationError as error:
        raise malformed("body", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("json-malformed", "The body is not JSON.", where="body", why=str(error)) from error
    return rows_of(asked, served, memoryview(body)[length:]), asked


def _length(head: bytes, most: int) -> int:
    if not head.isdigit() or len(head) > _DIGITS_MAX or int(head) > most:
        raise malformed(HEAD, f"a number of bytes, at most the body's {most}; found {head[:40].decode('latin-1')!r}")
    return int(head)


def rows_of(asked: Inference, served: Served, packed: memoryview) -> Asked:
    """Return the rows of a decoded request.

    Args:
        asked: the request.
        served: the release whose columns give a matrix its names.
        packed: the bytes of the tensors that have no `data`, in their order.

    Raises:
        Invalid: its tensors do not fit each other, or their bytes are too few or too many.
    """
    columns = dict(_columns(asked, served, packed))
    if len({len(values) for values in columns.values()}) > 1:
        raise malformed("inputs", "every tensor must have the same first dimension")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not 1 <= len(rows) <= RECORDS_MAX:
        raise malformed("inputs", f"between 1 and {RECORDS_MAX} rows; found {len(rows)}")
    key = (asked.parameters or {}).get("key")
    if key is not None and (not isinstance(key, str) or len(key) > KEY_LETTERS_MAX):
        raise malformed("parameters.key", f"text of at most {KEY_LETTERS_MAX} letters")
    _outputs_exist(asked, served)
    return Asked(rows, [key] * len(rows), None)


def _outputs_exist(asked: Inference, served: Served) -> None:
    known = {IDS, *(output.name for output in served.outputs)}
    for wanted in asked.outputs or ():
        where = f"output {wanted.name[:80]!r}"
        if wanted.name not in known:
            raise malformed(where, f"known are {', '.join(sorted(known))}")
        _only_offered(wanted.parameters, where)


def _only_offered(parameters: Parameters | None, where: str) -> None:
    if parameters and not _NOT_OFFERED.isdisjoint(parameters):
        raise malformed(where, f"{', '.join(sorted(_NOT_OFFERED & parameters.keys()))}: not offered here")


def _columns(asked: Inference, served: Served, packed: memoryview) -> Iterator[tuple[str, list[Any]]]:
    names = [field.name for field in served.inputs]
    seen: set[str] = set()
    at = 0
    for tensor in asked.inputs:
        where = f"input {tensor.name[:80]!r}"
        if tensor.datatype not in DATATYPES:
            raise malformed(where, f"datatype is one of {', '.join(DATATYPES)}; found {tensor.datatype[:40]!r}")
        _only_offered(tensor.parameters, where)
        if tensor.data is None:
            size = _size(tensor, len(packed) - at, where)
            values = unpack(tensor.datatype, packed[at : at + size], prod(tensor.shape), where)
            at += size
        else:
            values = _values(tensor, where)
        if len(tensor.shape) == _MATRIX and tensor.shape[1] == len(names) and tensor.name not in names:
            if len(asked.inputs) > 1:
                raise malformed(where, "a matrix of all columns stands alone")
            yield from ((name, values[column :: len(names)]) for column, name in enumerate(names))
            break
        if prod(tensor.shape[1:]) != 1:
            raise malformed(where, f"a column has shape [rows] or [rows, 1]; found {tensor.shape}")
        if tensor.name in seen:
            raise malformed(where, "it comes twice")
        seen.add(tensor.name)
        yield tensor.name, values
    if at != len(packed):
        raise malformed("body", f"{len(packed) - at} bytes stand behind the last tensor")


def _size(tensor: Tensor, left: int, where: str) -> int:
    size = (tensor.parameters or {}).get(SIZE)
    if size is None:
        raise malformed(where, f"it has neither data nor a {SIZE}")
    if type(size) is not int or not 0 <= size <= left:
        raise malformed(where, f"its {SIZE} is a number of bytes, and {left} are left for it")
    return size


def _values(tensor: Tensor, where: str) -> list[Any]:
    if tensor.parameters and SIZE in tensor.parameters:
        raise malformed(where, f"it has both data and a {SIZE}")
    values = list(_flat(tensor.data or [], len(tensor.shape), where))
    if len(values) != prod(tensor.shape):
        raise malformed(where, f"shape {tensor.shape} wants {prod(tensor.shape)} values; found {len(values)}")
    return values


def _flat(data: list[Any], depth: int, where: str) -> Iterator[Any]:
    """Yield the values of a tensor given flat or nested, as the protocol allows both."""
    for value in data:
        if isinstance(value, list):
            if depth <= 1:
                raise malformed(where, "its data nests deeper than its shape")
            yield from _flat(cast("list[Any]", value), depth - 1, where)
        else:
            yield value


def outputs_of(given: Given, asked: Inference) -> list[tuple[str, str, list[Any]]]:
    """Return name, datatype and values of each output that is wanted: the model's, and the prediction ids.

    Raises:
        RopewalkError: a row's output is not a number that may be used; tensors have no place to say so.
    """
    require_answers(given)
    columns = [
        (output.name, OF_TYPE[output.type], [row[output.name] for row in given.rows])
        for output in given.warm.served.outputs
    ]
    columns.append((IDS, "BYTES", given.ids))
    if not asked.outputs:
        return columns
    wanted = {output.name for output in asked.outputs}
    return [column for column in columns if column[0] in wanted]


def require_answers(given: Given) -> None:
    """Pass only where every row was answered.

    Raises:
        RopewalkError: the first row that was not.
    """
    for at, row in enumerate(given.rows):
        if "error" in row:
            error = row["error"]
            raise RopewalkError(error["code"], error["what"], where=f"row {at}", why=error["why"], fix=error["fix"])


def encode(given: Given, asked: Inference, endpoint: str) -> Reply:
    """Return the response: a tensor per output and one with the prediction ids, those in bytes that are wanted so.

    Raises:
        RopewalkError: a row's output is not a number that may be used; tensors have no place to say so.
    """
    whole = bool((asked.parameters or {}).get("binary_data_output"))
    chosen = {one.name: (one.parameters or {}).get("binary_data") for one in asked.outputs or ()}
    count = len(given.ids)
    tensors: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    for name, datatype, values in outputs_of(given, asked):
        tensor: dict[str, Any] = {"name": name, "shape": [count], "datatype": datatype}
        wish = chosen.get(name)
        if whole if wish is None else wish:
            pieces.append(packed(name, datatype, values))
            tensor["parameters"] = {SIZE: len(pieces[-1])}
        else:
            tensor["data"] = values
        tensors.append(tensor)
    served = given.warm.served
    answer = {
        "model_name": endpoint,
        "model_version": served.release.rpartition("/")[2],
        "parameters": {"release": served.release},
        "outputs": tensors,
    }
    head = _encoder.encode(answer if asked.id is None else {"id": asked.id, **answer})
    if not pieces:
        return Reply(head, JSON)
    return Reply(b"".join((head, *pieces)), OCTETS, ((HEAD.lower().encode(), str(len(head)).encode()),))


def packed(name: str, datatype: str, values: list[Any]) -> bytes:
    """Return an output's values as bytes.

    Raises:
        RopewalkError: the model did not answer what its signature says.
    """
    try:
        return pack(datatype, values)
    except ValueError as error:
        raise RopewalkError(
            "output-invalid", "The model's answer is not what its signature says.", where=name, why=str(error)
        ) from error


def describe(endpoint: str, served: Served, versions: list[str]) -> dict[str, Any]:
    """Return a model's metadata."""
    return {
        "name": endpoint,
        "versions": versions,
        "platform": "ropewalk",
        "inputs": [{"name": one.name, "datatype": OF_TYPE[one.type], "shape": [-1]} for one in served.inputs],
        "outputs": [
            *({"name": one.name, "datatype": OF_TYPE[one.type], "shape": [-1]} for one in served.outputs),
            {"name": IDS, "datatype": "BYTES", "shape": [-1]},
        ],
    }


def configuration(endpoint: str, served: Served) -> dict[str, Any]:
    """Return a model's configuration as Triton's extension says it, as far as there is one."""

    def listed(tensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "name": one["name"],
                "data_type": _CONFIGURED.get(one["datatype"], f"TYPE_{one['datatype']}"),
                "dims": [-1],
            }
            for one in tensors
        ]

    told = describe(endpoint, served, [])
    return {
        "name": endpoint,
        "platform": "ropewalk",
        "backend": "ropewalk",
        "max_batch_size": 0,
        "input": listed(told["inputs"]),
        "output": listed(told["outputs"]),
    }


_CONFIGURED = {"BYTES": "TYPE_STRING"}
