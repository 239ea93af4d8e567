"""ONNX files keep their tensors inside, or are not loaded."""

import pytest

from ropewalk.models.outside import NotProtobuf, outside_tensors
from ropewalk.models.parts import scan_part

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402 - only where onnx is installed


def _tensor(name, *, outside):
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 2.0])
    if outside:
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def _model(*, initializer, constant, nested):
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=_tensor("deep", outside=nested))],
        "inner", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [2])],
    )  # fmt: skip
    nodes = [
        helper.make_node("Constant", [], ["b"], value=_tensor("constant", outside=constant)),
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.BOOL, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [_tensor("weights", outside=initializer)],
    )
    return helper.make_model(graph).SerializeToString()


def test_a_whole_file_has_nothing_outside():
    data = _model(initializer=False, constant=False, nested=False)

    assert outside_tensors(data) == ()
    assert scan_part("model.onnx", data) == ()


def test_tensors_in_other_files_are_named_wherever_they_stand():
    assert outside_tensors(_model(initializer=True, constant=False, nested=False)) == ("weights",)
    assert outside_tensors(_model(initializer=False, constant=True, nested=False)) == ("constant",)
    assert outside_tensors(_model(initializer=False, constant=False, nested=True)) == ("deep", "deep")
    (finding,) = scan_part("model.onnx", _model(initializer=True, constant=False, nested=False))
    assert finding.why == "keeps the tensor weights in another file"


def test_bytes_that_are_no_protobuf_are_a_finding():
    data = _model(initializer=False, constant=False, nested=False)

    for broken in (data[:-3], b"\xff" * 30, b"\x0b\x00", b"\x3a\xff\xff\xff\xff\x0f"):
        with pytest.raises(NotProtobuf):
            outside_tensors(broken)
    assert scan_part("model.onnx", b"\xff" * 30 + b"location")
