"""The messages of the Open Inference Protocol over gRPC, in a pool of their own: no other stubs clash with them.

Source: https://github.com/kserve/open-inference-protocol (specification/protocol/open_inference_grpc.proto), with
Triton's extensions for the repository, configuration and statistics as far as they are answered here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
FILE = "ropewalk/open_inference.proto"
# Message -> its fields: `name number type`; a `*` before the type is `repeated`, `map` is one from texts, and types
# with a capital letter are messages of this table. The fields of a `oneof` stand behind its name and a colon.
MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live 1 bool",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready 1 bool",
    "ModelReadyRequest": "name 1 string, version 2 string",
    "ModelReadyResponse": "ready 1 bool",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "name 1 string, version 2 string, extensions 3 *string",
    "ModelMetadataRequest": "name 1 string, version 2 string",
    "ModelMetadataResponse": "name 1 string, versions 2 *string, platform 3 string, inputs 4 *TensorMetadata, "
    "outputs 5 *TensorMetadata",
    "TensorMetadata": "name 1 string, datatype 2 string, shape 3 *int64",
    "InferParameter": "parameter_choice: bool_param 1 bool, int64_param 2 int64, string_param 3 string, "
    "double_param 4 double, uint64_param 5 uint64",
    "InferTensorContents": "bool_contents 1 *bool, int_contents 2 *int32, int64_contents 3 *int64, "
    "uint_contents 4 *uint32, uint64_contents 5 *uint64, fp32_contents 6 *float, fp64_contents 7 *double, "
    "bytes_contents 8 *bytes",
    "InferInputTensor": "name 1 string, datatype 2 string, shape 3 *int64, parameters 4 map InferParameter, "
    "contents 5 InferTensorContents",
    "InferRequestedOutputTensor": "name 1 string, parameters 2 map InferParameter",
    "InferOutputTensor": "name 1 string, datatype 2 string, shape 3 *int64, parameters 4 map InferParameter, "
    "contents 5 InferTensorContents",
    "ModelInferRequest": "model_name 1 string, model_version 2 string, id 3 string, parameters 4 map InferParameter, "
    "inputs 5 *InferInputTensor, outputs 6 *InferRequestedOutputTensor, raw_input_contents 7 *bytes",
    "ModelInferResponse": "model_name 1 string, model_version 2 string, id 3 string, parameters 4 map InferParameter, "
    "outputs 5 *InferOutputTensor, raw_output_contents 6 *bytes",
    "ModelConfigRequest": "name 1 string, version 2 string",
    "ModelConfigResponse": "config 1 ModelConfig",
    "ModelConfig": "name 1 string, platform 2 string, max_batch_size 4 int32, input 5 *ModelInput, "
    "output 6 *ModelOutput, backend 17 string",
    "ModelInput": "name 1 string, data_type 2 int32, dims 4 *int64",
    "ModelOutput": "name 1 string, data_type 2 int32, dims 3 *int64",
    "ModelStatisticsRequest": "name 1 string, version 2 string",
    "ModelStatisticsResponse": "model_stats 1 *ModelStatistics",
    "ModelStatistics": "name 1 string, version 2 string, inference_count 4 uint64, execution_count 5 uint64, "
    "inference_stats 6 InferStatistics",
    "InferStatistics": "success 1 StatisticDuration, fail 2 StatisticDuration",
    "StatisticDuration": "count 1 uint64, ns 2 uint64",
    "RepositoryIndexRequest": "repository_name 1 string, ready 2 bool",
    "RepositoryIndexResponse": "models 1 *ModelIndex",
    "ModelIndex": "name 1 string, version 2 string, state 3 string, reason 4 string",
    "RepositoryModelLoadRequest": "repository_name 1 string, model_name 2 string",
    "RepositoryModelLoadResponse": "",
    "RepositoryModelUnloadRequest": "repository_name 1 string, model_name 2 string",
    "RepositoryModelUnloadResponse": "",
}
# Numbers of Triton's enumeration of datatypes, which its configuration speaks of.
CONFIGURED = {
    "TYPE_BOOL": 1,
    "TYPE_INT64": 9,
    "TYPE_FP64": 12,
    "TYPE_STRING": 13,
    "TYPE_INT32": 8,
    "TYPE_FP32": 11,
}
METHODS = tuple(name.removesuffix("Request") for name in MESSAGES if name.endswith("Request"))


@cache
def pool() -> Any:  # noqa: ANN401 - protobuf ships no types of its own
    """Return the private pool that holds the protocol's messages and its service."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    file: Any = descriptor_pb2.FileDescriptorProto(name=FILE, package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        _message(file.message_type.add(name=name), fields)
    service = file.service.add(name=SERVICE.rpartition(".")[2])
    for name in METHODS:
        service.method.add(name=name, input_type=f".{PACKAGE}.{name}Request", output_type=f".{PACKAGE}.{name}Response")
    found: Any = descriptor_pool.DescriptorPool()
    found.Add(file)
    return found


def _message(message: Any, fields: str) -> None:  # noqa: ANN401 - protobuf's descriptor
    one_of, colon, rest = fields.partition(": ")
    if colon:
        message.oneof_decl.add(name=one_of)
    for field in filter(None, (rest if colon else fields).split(", ")):
        name, number, *kind = field.split(" ")
        more = {"oneof_index": 0} if colon else {}
        entry = ""
        if kind[0] == "map":
            entry = "".join(part.capitalize() for part in name.split("_")) + "Entry"
            nested = message.nested_type.add(name=entry)
            nested.options.map_entry = True
            _field(nested, "key", 1, "string")
            _field(nested, "value", 2, kind[1])
        _field(message, name, int(number), f"*{message.name}.{entry}" if entry else kind[0], **more)


def _field(message: Any, name: str, number: int, kind: str, **more: int) -> None:  # noqa: ANN401 - protobuf's descriptor
    from google.protobuf import descriptor_pb2

    of: Any = descriptor_pb2.FieldDescriptorProto
    repeated, kind = kind.startswith("*"), kind.lstrip("*")
    field = message.field.add(
        name=name, number=number, label=of.LABEL_REPEATED if repeated else of.LABEL_OPTIONAL, **more
    )
    if kind[0].isupper():
        field.type, field.type_name = of.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = of.Type.Value(f"TYPE_{kind.upper()}")


@cache
def message(name: str) -> Any:  # noqa: ANN401 - a class that protobuf makes
    """Return the class of a message."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))
