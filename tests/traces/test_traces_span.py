"""A span is kept as it was told, given back as clients read it, and refused when it cannot be one."""

from __future__ import annotations

import math

import pytest

from ropewalk.traces.refusal import SpanRefused
from ropewalk.traces.span import CONTENT_BYTES_MAX, answered, from_otlp, single
from ropewalk.traces.values import dumped, from_any, loaded, to_any
from traces.telling import ID, START, TRACE, any_value, pairs, span


def attributes(told):
    return from_otlp(told, {}).attributes


def test_a_span_is_given_back_as_it_was_told():
    values = {"text": "é 'x'", "n": 3, "share": 0.5, "yes": True, "none": None, "list": [1, [2.5]], "map": {"a": {}}}
    told = span(
        7,
        parent=6,
        attributes=values,
        status={"code": "STATUS_CODE_ERROR", "message": "no"},
        events=[{"timeUnixNano": START, "name": "e", "attributes": pairs({"k": "v"})}],
        links=[{"traceId": "11" * 16, "spanId": "22" * 8}],
    )

    found = answered(from_otlp(told, {}).content())

    back = {one["key"]: from_any(one["value"]) for one in found["attributes"]}
    assert back == {**values, "mlflow.traceRequestId": ID}
    assert (found["name"], found["start_time_unix_nano"]) == ("step", START)
    assert found["status"] == {"code": "STATUS_CODE_ERROR", "message": "no"}
    assert found["trace_id"] == "CvdlGRbNQ92ESOshHIAxnA=="
    assert found["parent_span_id"] == "AAAAAAAAAAY="
    assert found["events"][0]["attributes"] == [{"key": "k", "value": {"string_value": "v"}}]
    assert found["links"][0]["trace_id"] == "EREREREREREREREREREREQ=="


def test_numbers_that_json_cannot_say_come_back_as_protocol_buffers_say_them():
    assert to_any(math.nan) == {"double_value": "NaN"}
    assert to_any(-math.inf) == {"double_value": "-Infinity"}
    assert to_any(1 << 63) == {"string_value": str(1 << 63)}
    assert math.isnan(from_any({"doubleValue": "NaN"}))


def test_half_a_surrogate_pair_is_given_back_as_a_question_mark():
    kept = loaded('{"a": "\\ud800"}')

    assert to_any(kept) == {"kvlist_value": {"values": [{"key": "a", "value": {"string_value": "?"}}]}}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("plain", '"plain"'),
        ('{"a": 1}', '{"a": 1}'),
        ("[1, 2]", "[1, 2]"),
        ('"quoted"', '"quoted"'),
        ("12", '"12"'),
        ("true", '"true"'),
        ("{broken", '"{broken"'),
        ("null", '"null"'),
    ],
)
def test_json_in_a_text_is_encoded_once(told, kept):
    assert attributes(span(attributes={"x": told}))["x"] == kept


def test_a_text_of_json_that_nests_too_deep_stays_a_text():
    deep = "[" * 100_000

    assert single(dumped(deep)) == dumped(deep)


def test_nul_characters_are_replaced_in_names_and_escaped_in_values():
    found = from_otlp(span(name="a\0b", attributes={"k\0": "v\0"}), {})

    assert (found.name, found.attributes["k\ufffd"]) == ("a\ufffdb", '"v\\u0000"')
    assert "\0" not in found.content()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"traceId": ""}, "traceId must be 32 hex digits"),
        ({"traceId": "0" * 32}, "not all zero"),
        ({"traceId": None}, "traceId"),
        ({"spanId": "abc"}, "spanId must be 16"),
        ({"spanId": "zz" * 8}, "spanId"),
        ({"parentSpanId": "12"}, "parentSpanId"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano"),
        ({"startTimeUnixNano": 1.5}, "startTimeUnixNano"),
        ({"endTimeUnixNano": 1 << 64}, "endTimeUnixNano"),
        ({"endTimeUnixNano": "9" * 19}, "endTimeUnixNano"),
        ({"attributes": "no"}, "attributes are no list"),
        ({"attributes": [{"value": {"stringValue": "x"}}]}, "no key"),
        ({"attributes": [{"key": "a", "value": "x"}]}, "no AnyValue"),
        ({"attributes": [{"key": "a", "value": {"intValue": "x"}}]}, "intValue is not what it says"),
        ({"attributes": [{"key": "a", "value": {"intValue": True}}]}, "intValue"),
        ({"attributes": [{"key": "a", "value": {"boolValue": "yes"}}]}, "boolValue"),
        ({"attributes": [{"key": "a", "value": {"stringValue": 1}}]}, "stringValue"),
        ({"attributes": [{"key": "a", "value": {"bytesValue": "?"}}]}, "bytesValue"),
        ({"attributes": [{"key": "a", "value": {"arrayValue": [1]}}]}, "arrayValue"),
        ({"attributes": [{"key": "a", "value": {}}] * 1001}, "more than 1000 attributes"),
        ({"events": [{}] * 1001}, "more than 1000 events"),
        ({"links": [{"traceId": "x"}]}, "link traceId"),
    ],
)
def test_what_cannot_be_a_span_is_refused_with_the_reason(wrong, why):
    with pytest.raises(SpanRefused, match=why):
        from_otlp({**span(), **wrong}, {})


def test_a_value_that_nests_too_deep_is_refused():
    value = any_value("x")
    for _ in range(26):
        value = {"arrayValue": {"values": [value]}}

    with pytest.raises(SpanRefused, match="nests more than 24"):
        from_otlp({**span(), "attributes": [{"key": "a", "value": value}]}, {})


def test_a_span_above_four_mebibytes_is_refused():
    with pytest.raises(SpanRefused, match="at most"):
        from_otlp(span(attributes={"big": "x" * CONTENT_BYTES_MAX}), {}).content()


def test_a_status_that_nobody_knows_is_unset_and_a_span_is_not_its_own_parent():
    strange = from_otlp(span(4, parent=4, status={"code": [1]}), {})

    assert (strange.status, strange.parent, strange.trace) == ("UNSET", None, f"tr-{TRACE}")
    assert from_otlp(span(status="odd"), {}).status == "UNSET"
