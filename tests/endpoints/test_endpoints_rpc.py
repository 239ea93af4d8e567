from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints.calls import Rpc
from endpoints.live import EVERY_TYPE, Caller, add_release, split
from endpoints.stand_in_worker import WAIT
from ropewalk.endpoints import capture, rpcform
from ropewalk.endpoints.rpc import peer
from ropewalk.endpoints.rpchealth import WATCHERS_MAX
from ropewalk.endpoints.rpcmessages import SERVICE, message
from ropewalk.endpoints.rpcnames import named
from ropewalk.errors import Invalid
from ropewalk.site import Site

grpc = pytest.importorskip("grpc")


def refusal(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as told:
        call()
    return told.value.code().name, told.value.details()


def test_answers_as_http_does_and_captures_the_same(served: tuple[Caller, Rpc], real: Site) -> None:
    caller, rpc = served

    answer = rpc.infer(0.5, 3.0, id="mine", outputs=[{"name": "probability"}, {"name": "prediction_id"}])

    plain = caller.predict({"x": 0.5}, {"x": 3.0})[1]["predictions"]
    assert (answer.id, answer.model_version, answer.parameters["release"].string_param) == ("mine", "1", "flights/1")
    assert [one.name for one in answer.outputs] == ["probability", "prediction_id"]
    assert struct.unpack("<2d", answer.raw_output_contents[0]) == tuple(one["probability"] for one in plain)
    assert answer.raw_output_contents[1][4:40].decode() in capture.read(real, "flights")["id"].to_list()


def test_contents_are_read_as_well_as_raw_bytes(served: tuple[Caller, Rpc]) -> None:
    _, rpc = served
    tensors = [
        {"name": "x", "datatype": "FP32", "shape": [1], "contents": {"fp32_contents": [0.5]}},
        {"name": "city", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"EWR"]}},
    ]

    answer = rpc.call("ModelInfer", model_name="flights", model_version="1", inputs=tensors)

    assert answer.raw_output_contents[0] == rpc.infer(0.5).raw_output_contents[0]


def test_the_split_pins_and_deadlines_hold(served: tuple[Caller, Rpc], real: Site) -> None:
    caller, rpc = served
    caller.follows(split(real, "flights/1", canary=add_release(real, 2), canary_weight_bp=5000))

    pinned = rpc.infer(0.5, metadata=(("x-ropewalk-release", "flights/2"),))
    sticky = {rpc.infer(0.5, parameters={"key": {"string_param": "me"}}).model_version for _ in range(3)}
    late = refusal(lambda: rpc.infer(WAIT, seconds=0.3, metadata=(("x-ropewalk-release", "flights/1"),)))

    assert pinned.parameters["release"].string_param == "flights/2"
    assert len(sticky) == 1
    assert late[0] == "DEADLINE_EXCEEDED"


def test_errors_are_told_in_grpcs_codes_with_our_words(served: tuple[Caller, Rpc]) -> None:
    _, rpc = served
    x = {"name": "x", "datatype": "FP64", "shape": [1]}

    told = {
        "nobody": refusal(lambda: rpc.infer(0.5, model_name="trains")),
        "version": refusal(lambda: rpc.infer(0.5, model_version="9")),
        "slash": refusal(lambda: rpc.infer(0.5, model_name="flights/../x")),
        "unfit": refusal(lambda: rpc.infer(float("nan"))),
        "unknown": refusal(lambda: rpc.infer(0.5, inputs=[{**x, "name": "y"}])),
        "short": refusal(lambda: rpc.infer(0.5, raw_input_contents=[b"1"])),
        "both": refusal(lambda: rpc.infer(0.5, inputs=[{**x, "contents": {"fp64_contents": [1]}}])),
        "few": refusal(lambda: rpc.infer(0.5, raw_input_contents=[b"1", b"2"])),
        "half": refusal(lambda: rpc.infer(0.5, inputs=[{**x, "datatype": "FP16"}], raw_input_contents=[])),
        "flat": refusal(lambda: rpc.infer(0.5, inputs=[{**x, "shape": []}])),
        "large": refusal(lambda: rpc.infer(*[0.5] * 9000)),
        "load": refusal(lambda: rpc.call("RepositoryModelLoad", model_name="flights")),
    }

    codes = {name: code for name, (code, _) in told.items()}
    assert codes == {
        **dict.fromkeys(told, "INVALID_ARGUMENT"),
        "nobody": "NOT_FOUND",
        "version": "NOT_FOUND",
        "large": "RESOURCE_EXHAUSTED",
    }
    assert "those served here: flights" in told["nobody"][1]
    assert "field 'x'] is missing" in told["unknown"][1]
    assert "ropewalk ship" in told["load"][1]


def test_health_metadata_repository_and_statistics(served: tuple[Caller, Rpc]) -> None:
    _, rpc = served
    rpc.infer(0.5, 1.5)

    model = rpc.call("ModelMetadata", name="flights")
    config = rpc.call("ModelConfig", name="flights").config
    stats = rpc.call("ModelStatistics", name="flights").model_stats[0]

    assert rpc.call("ServerLive").live
    assert rpc.call("ServerReady").ready
    assert rpc.call("ModelReady", name="flights", version="1").ready
    assert not rpc.call("ModelReady", name="trains").ready
    assert "binary_tensor_data" in rpc.call("ServerMetadata").extensions
    assert [(one.name, one.datatype, list(one.shape)) for one in model.inputs] == [
        ("x", "FP64", [-1]),
        ("city", "BYTES", [-1]),
    ]
    assert [one.data_type for one in config.input] == [12, 13]
    assert stats.inference_stats.success.count == 2
    assert [(one.name, one.state) for one in rpc.call("RepositoryIndex").models] == [("flights", "READY")]


def test_grpcs_own_health_and_reflection_services_know_it(served: tuple[Caller, Rpc]) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    _, rpc = served
    stub = health_pb2_grpc.HealthStub(rpc.channel)

    def status(name: str) -> int:
        return stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status

    known = ProtoReflectionDescriptorDatabase(rpc.channel)

    assert {status(""), status(SERVICE), status("flights")} == {health_pb2.HealthCheckResponse.SERVING}
    assert refusal(lambda: status("trains"))[0] == "NOT_FOUND"
    watched = stub.Watch(health_pb2.HealthCheckRequest(service="trains"), timeout=20)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watched.cancel()
    assert SERVICE in known.get_services()
    assert "ModelInfer" in str(known.FindFileContainingSymbol(SERVICE))


def test_those_who_watch_leave_places_for_those_who_ask(served: tuple[Caller, Rpc]) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    _, rpc = served
    stub = health_pb2_grpc.HealthStub(rpc.channel)
    watching = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(WATCHERS_MAX)]
    for one in watching:
        assert next(one).status == health_pb2.HealthCheckResponse.SERVING

    with pytest.raises(grpc.RpcError) as told:
        next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=60))
    assert told.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rpc.infer(0.5).outputs

    for one in watching:
        one.cancel()
    served[0].until(lambda: _may_watch(stub, health_pb2.HealthCheckRequest()))


def _may_watch(stub: Any, request: Any) -> bool:
    with suppress(grpc.RpcError):
        return bool(next(stub.Watch(request, timeout=60)).status)
    return False


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("ipv4:127.0.0.1:5001", ("127.0.0.1", 5001)),
        ("ipv6:%5B::1%5D:5001", ("::1", 5001)),
        ("ipv6:[::1]:5001", ("::1", 5001)),
        ("unix:", ("", 0)),
    ],
)
def test_a_peer_is_read_as_grpc_writes_it(said: str, wanted: tuple[str, int]) -> None:
    assert peer(said) == wanted


@settings(max_examples=300, deadline=None)
@given(
    name=st.text(max_size=40),
    version=st.text(max_size=5),
    shape=st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=9),
    raw=st.lists(st.binary(max_size=20), max_size=2),
    cut=st.integers(0, 80),
    noise=st.binary(max_size=4),
)
def test_any_message_is_rows_or_an_error_that_says_so(
    name: str, version: str, shape: list[int], raw: list[bytes], cut: int, noise: bytes
) -> None:
    whole = message("ModelInferRequest")(
        model_name=name, model_version=version, raw_input_contents=raw,
        inputs=[{"name": "float", "datatype": "FP32", "shape": shape, "contents": {"fp32_contents": [1.0]}}],
    ).SerializeToString()  # fmt: skip

    assert named(whole) == (name, version)
    for body in (whole, whole[:cut] + noise, noise + whole[cut:]):
        for read in (named, lambda body: rpcform.decode(body, EVERY_TYPE)):
            with suppress(Invalid):
                read(body)
