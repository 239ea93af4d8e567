"""The form of gRPC: an inference request becomes rows, and what is given a response with packed tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ropewalk.endpoints.asking import Asked, Given
from ropewalk.endpoints.protocol import SIZE, Inference, Tensor, Wanted, outputs_of, packed, rows_of
from ropewalk.endpoints.reply import OCTETS, Reply
from ropewalk.endpoints.rpcmessages import message
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.tensors import FLOATS, malformed, text_of, without_nan

DIMENSIONS_MAX, TENSORS_MAX = 8, 4096
# Which member of a tensor's contents has the values of a datatype.
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def decode(body: bytes, served: Served) -> tuple[Asked, Inference]:
    """Return the rows of a ModelInferRequest.

    Args:
        body: the message as it came.
        served: the release whose columns give a matrix its names.

    Raises:
        Invalid: it is no such message, or its tensors do not fit each other; the error names the tensor.
    """
    from google.protobuf.message import DecodeError

    try:
        said = message("ModelInferRequest").FromString(body)
    except DecodeError as error:
        raise malformed("message", str(error)) from error
    raw = list(said.raw_input_contents)
    if raw and len(raw) != len(said.inputs):
        raise malformed("raw_input_contents", f"one for each of {len(said.inputs)} inputs; found {len(raw)}")
    if not 1 <= len(said.inputs) <= TENSORS_MAX:
        raise malformed("inputs", f"between 1 and {TENSORS_MAX} tensors; found {len(said.inputs)}")
    tensors = [_tensor(one, raw[at] if raw else None) for at, one in enumerate(said.inputs)]
    wanted = [Wanted(name=one.name, parameters=_parameters(one.parameters)) for one in said.outputs]
    asked = Inference(
        inputs=tensors, id=said.id or None, outputs=wanted or None, parameters=_parameters(said.parameters)
    )
    return rows_of(asked, served, memoryview(b"".join(raw))), asked


def _tensor(one: Any, raw: bytes | None) -> Tensor:  # noqa: ANN401 - a message
    where = f"input {one.name[:80]!r}"
    shape = list(one.shape)
    if not 1 <= len(shape) <= DIMENSIONS_MAX or min(shape) < 0:
        raise malformed(where, f"1 to {DIMENSIONS_MAX} dimensions, none below 0")
    parameters = _parameters(one.parameters)
    if raw is not None:
        if one.HasField("contents"):
            raise malformed(where, "it has contents, and raw_input_contents too")
        return Tensor(
            name=one.name, shape=shape, datatype=one.datatype, parameters={**(parameters or {}), SIZE: len(raw)}
        )
    member = _CONTENTS.get(one.datatype)
    if member is None:
        raise malformed(where, f"{one.datatype[:40]!r} has no contents: send raw_input_contents")
    values: list[Any] = list(getattr(one.contents, member))
    if one.datatype == "BYTES":
        values = [text_of(value, where) for value in values]
    elif one.datatype in FLOATS:
        values = without_nan(values)
    return Tensor(name=one.name, shape=shape, datatype=one.datatype, data=values, parameters=parameters)


def _parameters(given: Mapping[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for name, value in given.items():
        choice = value.WhichOneof("parameter_choice")
        if choice:
            found[name] = getattr(value, choice)
    found.pop(SIZE, None)
    return found or None


def encode(given: Given, asked: Inference, endpoint: str) -> Reply:
    """Return a ModelInferResponse with its tensors packed.

    Raises:
        RopewalkError: a row's output is not a number that may be used; tensors have no place to say so.
    """
    served = given.warm.served
    answer = message("ModelInferResponse")(
        model_name=endpoint, model_version=served.release.rpartition("/")[2], id=asked.id or ""
    )
    answer.parameters["release"].string_param = served.release
    for name, datatype, values in outputs_of(given, asked):
        answer.outputs.add(name=name, datatype=datatype, shape=[len(values)])
        answer.raw_output_contents.append(packed(name, datatype, values))
    return Reply(answer.SerializeToString(), OCTETS)
