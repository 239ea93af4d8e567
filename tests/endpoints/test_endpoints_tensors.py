from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints.live import Caller
from ropewalk.endpoints import capture
from ropewalk.endpoints.tensors import DATATYPES, pack, unpack
from ropewalk.errors import Invalid
from ropewalk.site import Site

INFER = "/v2/models/flights/infer"


def packed(head: dict[str, Any], *tensors: bytes) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(head).encode()
    return b"".join((text, *tensors)), {"Inference_Header_Content_Length": str(len(text))}


def tensor(name: str, datatype: str, data: bytes, rows: int) -> dict[str, Any]:
    return {"name": name, "shape": [rows], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}


def asked(caller: Caller, head: dict[str, Any], *tensors: bytes) -> tuple[int, dict[str, str], bytes]:
    body, headers = packed(head, *tensors)
    return caller.ask("POST", INFER, body, Content_Type="application/octet-stream", **headers)


def answered(headers: dict[str, str], body: bytes) -> dict[str, list[Any]]:
    """Take a packed answer apart, by hand."""
    length = int(headers["inference-header-content-length"])
    outputs, at = {}, length
    for one in json.loads(body[:length])["outputs"]:
        if "data" in one:
            outputs[one["name"]] = one["data"]
            continue
        size = one["parameters"]["binary_data_size"]
        outputs[one["name"]] = unpack(one["datatype"], body[at : at + size], one["shape"][0], "answer")
        at += size
    assert at == len(body)
    return outputs


def test_tensors_packed_behind_the_json_are_the_rows_that_json_says(flights: Caller, real: Site) -> None:
    x, city = struct.pack("<2d", 0.5, 3.0), b"\x03\0\0\0EWR\x03\0\0\0JFK"
    head = {
        "inputs": [tensor("x", "FP64", x, 2), tensor("city", "BYTES", city, 2)],
        "parameters": {"binary_data_output": True},
    }

    status, headers, body = asked(flights, head, x, city)

    plain = flights.predict({"x": 0.5, "city": "EWR"}, {"x": 3.0, "city": "JFK"})[1]["predictions"]
    outputs = answered(headers, body)
    assert (status, headers["content-type"]) == (200, "application/octet-stream")
    assert outputs["probability"] == [one["probability"] for one in plain]
    assert outputs["label"] == [one["label"] for one in plain]
    rows = capture.read(real, "flights")
    assert set(outputs["prediction_id"]) < set(rows["id"].to_list())
    assert sorted(rows["in.city"].to_list()) == ["EWR", "EWR", "JFK", "JFK"]


TWO = {
    "FP32": struct.pack("<f", 2.0),
    "FP16": struct.pack("<e", 2.0),
    "BF16": struct.pack("<f", 2.0)[2:],
    "INT8": b"\x02",
    "UINT64": struct.pack("<Q", 2),
}


def test_a_number_of_any_width_is_the_number(flights: Caller) -> None:
    wanted = flights.predict({"x": 2.0})[1]["predictions"][0]["probability"]

    found = [asked(flights, {"inputs": [tensor("x", kind, data, 1)]}, data) for kind, data in TWO.items()]

    assert [json.loads(body)["outputs"][0]["data"] for _, _, body in found] == [[wanted]] * len(TWO)


def test_outputs_come_in_bytes_or_json_as_each_is_asked_for(flights: Caller) -> None:
    x = struct.pack("<d", 0.5)
    wanted = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "probability"}]

    _, headers, body = asked(flights, {"inputs": [tensor("x", "FP64", x, 1)], "outputs": wanted}, x)

    head = json.loads(body[: int(headers["inference-header-content-length"])])
    assert {one["name"]: "data" in one for one in head["outputs"]} == {"probability": True, "label": False}
    assert answered(headers, body)["label"] == [1]


def test_what_does_not_fit_its_bytes_is_named(flights: Caller) -> None:
    x = struct.pack("<d", 0.5)
    whole = tensor("x", "FP64", x, 1)
    tries = [
        asked(flights, {"inputs": [{**whole, "shape": [2]}]}, x),
        asked(flights, {"inputs": [{**whole, "parameters": {"binary_data_size": 99}}]}, x),
        asked(flights, {"inputs": [{**whole, "parameters": {"binary_data_size": True}}]}, x),
        asked(flights, {"inputs": [{**whole, "data": [0.5]}]}, x),
        asked(flights, {"inputs": [{**whole, "parameters": {}}]}, x),
        asked(flights, {"inputs": [whole]}, x, b"more"),
        asked(flights, {"inputs": [{**whole, "parameters": {"shared_memory_region": "r"}}]}),
        asked(flights, {"inputs": [tensor("x", "FP128", x, 1)]}, x),
        asked(flights, {"inputs": [tensor("city", "BYTES", b"\x09\0\0\0EWR", 1)]}, b"\x09\0\0\0EWR"),
        asked(flights, {"inputs": [tensor("city", "BYTES", b"\x01\0\0\0\xff", 1)]}, b"\x01\0\0\0\xff"),
        flights.ask("POST", INFER, b"{}", Inference_Header_Content_Length="3"),
        flights.ask("POST", INFER, b"{}", Inference_Header_Content_Length="-1"),
        flights.ask("POST", INFER, b"{}", Inference_Header_Content_Length="0" * 20 + "9" * 5000),
    ]

    assert [status for status, _, _ in tries] == [400] * len(tries)
    assert all(json.loads(body)["error"] and json.loads(body)["where"] for _, _, body in tries)


def test_nan_stands_for_an_empty_value(flights: Caller) -> None:
    x = struct.pack("<d", float("nan"))

    status, _, body = asked(flights, {"inputs": [tensor("x", "FP64", x, 1)]}, x)

    assert (status, json.loads(body)["problems"][0]["rule"]) == (422, "null")


def test_the_repository_is_told_and_models_come_and_go_by_releases(flights: Caller) -> None:
    status, _, body = flights.ask("POST", "/v2/repository/index", b"")
    statuses = [flights.ask("POST", f"/v2/repository/models/flights/{verb}", b"") for verb in ("load", "unload")]
    flights.predict()
    stats = json.loads(flights.ask("GET", "/v2/models/flights/versions/1/stats")[2])["model_stats"][0]
    config = json.loads(flights.ask("GET", "/v2/models/flights/config")[2])

    assert (status, json.loads(body)) == (200, [{"name": "flights", "version": "1", "state": "READY", "reason": ""}])
    assert [(status, json.loads(body)["code"]) for status, _, body in statuses] == [(400, "repository-by-line")] * 2
    assert (stats["inference_count"], stats["inference_stats"]["success"]["count"]) == (1, 1)
    assert config["input"][1] == {"name": "city", "data_type": "TYPE_STRING", "dims": [-1]}
    assert flights.ask("GET", "/v2/models/flights/wings")[0] == 404
    assert flights.ask("POST", "/v2/repository/wings", b"")[0] == 404


VALUES = {
    "BOOL": st.booleans(),
    "BYTES": st.text(max_size=20),
    **{f"INT{bits}": st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": st.floats(allow_nan=False, width=bits) for bits in (16, 32, 64)},
}


@settings(max_examples=100, deadline=None)
@given(datatype=st.sampled_from(sorted(VALUES)), data=st.data())
def test_what_is_packed_is_unpacked_the_same(datatype: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES[datatype], max_size=20))

    assert unpack(datatype, pack(datatype, values), len(values), "x") == values


@settings(max_examples=200, deadline=None)
@given(datatype=st.sampled_from(DATATYPES), data=st.binary(max_size=64), count=st.integers(0, 1 << 40))
def test_any_bytes_are_values_or_an_error_that_says_so(datatype: str, data: bytes, count: int) -> None:
    try:
        values = unpack(datatype, data, count, "x")
    except Invalid:
        return
    assert len(values) == count


def test_an_output_that_is_not_of_its_type_cannot_be_packed() -> None:
    for datatype, value in (("INT64", 1.5), ("FP64", "late"), ("INT64", 1 << 70)):
        with pytest.raises(ValueError, match=r"."):
            pack(datatype, [value])
