"""OpenTelemetry's messages are read from the wire as they were written, and nothing else is taken for one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ropewalk.errors import Invalid
from ropewalk.traces.protobuf import export_request, export_response
from traces.telling import START, TRACE, any_value, export, pairs, span, wire

VALUES = some.recursive(
    some.booleans()
    | some.integers(-(1 << 63), (1 << 63) - 1)
    | some.floats(allow_nan=False)
    | some.text(some.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def only(told):
    return told["resourceSpans"][0]["scopeSpans"][0]["spans"][0]


@given(some.dictionaries(some.text("abcdef", min_size=1, max_size=8), VALUES, max_size=5))
def test_attributes_come_out_as_they_went_in(values):
    told = span(3, parent=2, attributes=values)

    found = only(export_request(wire(export(told))))

    normal = [{"key": one["key"], "value": _as_read(one["value"])} for one in told["attributes"]]
    assert [{**one, "value": _as_read(one["value"])} for one in found.get("attributes", [])] == normal


def _as_read(value):
    """Bring both forms to one: whole numbers as numbers, empty lists as absent."""
    (name, one), *_ = [*value.items(), ("", None)]
    if name == "intValue":
        return {name: int(one)}
    if name == "arrayValue":
        return {name: [_as_read(item) for item in one.get("values", [])]}
    if name == "kvlistValue":
        return {name: [(item["key"], _as_read(item["value"])) for item in one.get("values", [])]}
    return value


def test_everything_else_of_a_span_comes_out_too():
    told = span(
        7,
        parent=6,
        name="ask é",
        status={"code": 2, "message": "too slow"},
        events=[{"timeUnixNano": str(START + 5), "name": "retry", "attributes": pairs({"n": 1})}],
        links=[{"traceId": "11" * 16, "spanId": "22" * 8, "attributes": pairs({"why": "cause"})}],
    )

    request = export_request(wire(export(told, resource={"service.name": "shop"})))
    found = only(request)

    assert request["resourceSpans"][0]["resource"]["attributes"] == pairs({"service.name": "shop"})
    assert (found["traceId"], found["spanId"], found["parentSpanId"]) == (TRACE, f"{7:016x}", f"{6:016x}")
    assert (found["name"], found["status"]) == ("ask é", {"code": 2, "message": "too slow"})
    assert found["startTimeUnixNano"] == START
    assert found["events"] == [
        {"timeUnixNano": START + 5, "name": "retry", "attributes": [{"key": "n", "value": {"intValue": 1}}]}
    ]
    assert found["links"][0]["spanId"] == "22" * 8


def read(data):
    """Read what may be refused as malformed; any other error is a defect."""
    with suppress(Invalid):
        return export_request(data)
    return {}


@given(some.binary(max_size=300))
def test_other_bytes_are_refused_or_say_nothing(data):
    assert read(data).keys() <= {"resourceSpans"}


@given(some.integers(0, 400), some.integers(0, 255))
def test_a_broken_message_never_breaks_the_reader(place, byte):
    whole = bytearray(wire(export(span(1, attributes={"a": [1, {"b": "c"}]}), span(2, parent=1))))
    whole[place % len(whole)] = byte

    for data in (bytes(whole), bytes(whole[: place % len(whole)])):
        assert read(data).keys() <= {"resourceSpans"}


def test_a_value_that_nests_without_end_is_refused():
    value = any_value("x")
    for _ in range(120):
        value = {"arrayValue": {"values": [value]}}

    with pytest.raises(Invalid, match="no protocol buffer"):
        export_request(wire(export({**span(), "attributes": [{"key": "deep", "value": value}]})))


def test_an_answer_says_how_many_spans_were_rejected():
    assert export_response(0, "") == b""
    # partial_success { rejected_spans: 300 error_message: "no" }
    assert export_response(300, "no") == b"\x0a\x07\x08\xac\x02\x12\x02no"


def test_a_message_of_very_many_tiny_fields_is_refused_before_it_fills_the_memory():
    tiny = b"\x0a\x00" * 600_000

    with pytest.raises(Invalid, match="no protocol buffer") as error:
        export_request(tiny)
    assert "smaller batches" in error.value.why
