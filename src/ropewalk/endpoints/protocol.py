"""The Open Inference Protocol v2, REST with JSON tensors: each input column a tensor, or all of them one matrix.

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from ropewalk.endpoints.asking import Asked, Given
from ropewalk.endpoints.plain import KEY_LETTERS_MAX, RECORDS_MAX
from ropewalk.endpoints.served import Served
from ropewalk.errors import Invalid, RopewalkError

_WHOLE = tuple(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
DATATYPES = ("BOOL", *_WHOLE, "FP16", "FP32", "FP64", "BYTES")
OF_TYPE = {"int": "INT64", "float": "FP64", "bool": "BOOL", "string": "BYTES", "datetime": "BYTES"}
IDS = "prediction_id"
_MATRIX = 2


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One input tensor; members that are not known here are the protocol's to ignore."""

    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=8)]
    datatype: str
    data: list[Any]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One output that the caller wants."""

    name: str


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """A request's body; `parameters.key` makes the split sticky, as `key` does in the plain form."""

    inputs: Annotated[list[Tensor], Meta(min_length=1, max_length=4096)]
    id: str | None = None
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(Inference)


def decode(body: bytes, served: Served) -> tuple[Asked, Inference]:
    """Return the rows of an inference request.

    Args:
        body: JSON.
        served: the release whose columns give a matrix its names.

    Raises:
        Invalid: it is not JSON, not of the protocol, or its tensors do not fit each other; the error names the tensor.
    """
    try:
        asked = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _malformed("body", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("json-malformed", "The body is not JSON.", where="body", why=str(error)) from error
    columns = dict(_columns(asked, served))
    if len({len(values) for values in columns.values()}) > 1:
        raise _malformed("inputs", "every tensor must have the same first dimension")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not 1 <= len(rows) <= RECORDS_MAX:
        raise _malformed("inputs", f"between 1 and {RECORDS_MAX} rows; found {len(rows)}")
    key = (asked.parameters or {}).get("key")
    if key is not None and (not isinstance(key, str) or len(key) > KEY_LETTERS_MAX):
        raise _malformed("parameters.key", f"text of at most {KEY_LETTERS_MAX} letters")
    _outputs_exist(asked, served)
    return Asked(rows, [key] * len(rows), None), asked


def _outputs_exist(asked: Inference, served: Served) -> None:
    known = {IDS, *(output.name for output in served.outputs)}
    for wanted in asked.outputs or ():
        if wanted.name not in known:
            raise _malformed(f"output {wanted.name[:80]!r}", f"known are {', '.join(sorted(known))}")


def _columns(asked: Inference, served: Served) -> Iterator[tuple[str, list[Any]]]:
    names = [field.name for field in served.inputs]
    seen: set[str] = set()
    for tensor in asked.inputs:
        where = f"input {tensor.name[:80]!r}"
        if tensor.datatype not in DATATYPES:
            raise _malformed(where, f"datatype is one of {', '.join(DATATYPES)}; found {tensor.datatype[:40]!r}")
        values = list(_flat(tensor.data, len(tensor.shape), where))
        if len(values) != prod(tensor.shape):
            raise _malformed(where, f"shape {tensor.shape} wants {prod(tensor.shape)} values; found {len(values)}")
        if len(tensor.shape) == _MATRIX and tensor.shape[1] == len(names) and tensor.name not in names:
            if len(asked.inputs) > 1:
                raise _malformed(where, "a matrix of all columns stands alone")
            for at, name in enumerate(names):
                yield name, values[at :: len(names)]
            return
        if prod(tensor.shape[1:]) != 1:
            raise _malformed(where, f"a column has shape [rows] or [rows, 1]; found {tensor.shape}")
        if tensor.name in seen:
            raise _malformed(where, "it comes twice")
        seen.add(tensor.name)
        yield tensor.name, values


def _flat(data: list[Any], depth: int, where: str) -> Iterator[Any]:
    """Yield the values of a tensor given flat or nested, as the protocol allows both."""
    for value in data:
        if isinstance(value, list):
            if depth <= 1:
                raise _malformed(where, "its data nests deeper than its shape")
            yield from _flat(cast("list[Any]", value), depth - 1, where)
        else:
            yield value


def _malformed(where: str, why: str) -> Invalid:
    return Invalid(
        "request-malformed",
        "The request is not of the Open Inference Protocol.",
        where=where,
        why=why,
        fix="/openapi.json has an example",
    )


def encode(given: Given, asked: Inference, endpoint: str) -> dict[str, Any]:
    """Return the response: a tensor per output and one with the prediction ids.

    Raises:
        RopewalkError: a row's output is not a number that may be used; tensors have no place to say so.
    """
    for at, row in enumerate(given.rows):
        if "error" in row:
            error = row["error"]
            raise RopewalkError(error["code"], error["what"], where=f"row {at}", why=error["why"], fix=error["fix"])
    served = given.warm.served
    count = len(given.ids)
    tensors = [
        {
            "name": output.name,
            "shape": [count],
            "datatype": OF_TYPE[output.type],
            "data": [row[output.name] for row in given.rows],
        }
        for output in served.outputs
    ]
    tensors.append({"name": IDS, "shape": [count], "datatype": "BYTES", "data": given.ids})
    if asked.outputs:
        wanted = {output.name for output in asked.outputs}
        tensors = [tensor for tensor in tensors if tensor["name"] in wanted]
    answer = {
        "model_name": endpoint,
        "model_version": served.release.rpartition("/")[2],
        "parameters": {"release": served.release},
        "outputs": tensors,
    }
    return answer if asked.id is None else {"id": asked.id, **answer}


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
