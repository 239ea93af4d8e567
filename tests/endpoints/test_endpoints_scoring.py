from __future__ import annotations

import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endpoints.live import EVERY_TYPE as SERVED
from endpoints.live import ROW, Caller, add_release, split
from ropewalk.endpoints import capture, scoring
from ropewalk.endpoints.plain import RECORDS_MAX
from ropewalk.errors import Invalid
from ropewalk.site import Site

PATH = "/endpoints/flights/invocations"
FORMS: tuple[dict[str, Any], ...] = (
    {"dataframe_split": {"columns": ["x", "city"], "data": [[0.5, "EWR"], [3, None]], "index": [7, 8]}},
    {"dataframe_records": [ROW, {"x": 3, "city": None}]},
    {"instances": [ROW, {"x": 3}]},
    {"instances": [[0.5, "EWR"], [3, None]]},
    {"inputs": {"x": [0.5, 3], "city": ["EWR", None]}},
    {"inputs": [ROW, {"x": 3.0}]},
)


def scored(caller: Caller, body: object, path: str = PATH, **headers: str) -> tuple[int, dict[str, Any]]:
    status, _, answer = caller.ask("POST", path, body, **headers)
    return status, json.loads(answer)


def test_every_form_is_answered_with_the_models_own_prediction(flights: Caller) -> None:
    assert [scored(flights, body) for body in FORMS] == [(200, {"predictions": [1, 1]})] * len(FORMS)


def test_csv_is_read_by_the_types_of_the_columns(flights: Caller, real: Site) -> None:
    body = b'city,x,Unnamed: 0\r\n"EWR",0.5,0\r\n,-7,1\r\n"J,""K",7,2\r\n'

    status, answer = scored(flights, body, Content_Type="text/csv; charset=utf-8")

    rows = capture.read(real, "flights")
    assert (status, answer) == (200, {"predictions": [1, 0, 1]})
    assert rows["in.city"].to_list() == ["EWR", None, 'J,"K']
    assert rows["in.x"].to_list() == [0.5, -7.0, 7.0]


def test_who_answered_and_the_ids_stand_in_headers(flights: Caller, real: Site) -> None:
    _, headers, _ = flights.ask("POST", "/invocations", {"inputs": [ROW, ROW]})

    assert headers["x-ropewalk-release"] == "flights/1"
    assert headers["x-ropewalk-prediction-ids"].split(",") == capture.read(real, "flights")["id"].to_list()


def test_params_choose_outputs_and_make_the_split_sticky(flights: Caller, real: Site) -> None:
    generation = split(real, "flights/1", canary=add_release(real, 2), canary_weight_bp=5000)
    flights.follows(generation)

    _, answer = scored(flights, {"inputs": [ROW], "params": {"outputs": ["probability"], "temperature": 1}})
    for _ in range(4):
        scored(flights, {"inputs": [ROW], "params": {"key": "me"}})

    assert set(answer["predictions"][0]) == {"probability"}
    rows = capture.read(real, "flights").filter(capture.read(real, "flights")["key"] == "me")
    assert (rows.height, len(set(rows["release"].to_list()))) == (4, 1)


def test_errors_are_in_mlflows_form(flights: Caller) -> None:
    tries = [
        scored(flights, b"{"),
        scored(flights, b"[]"),
        scored(flights, {}),
        scored(flights, {"inputs": [], "instances": []}),
        scored(flights, {"dataframe_split": {"columns": ["x"], "data": [[1, 2]]}}),
        scored(flights, {"dataframe_split": {"data": [[1]]}}),
        scored(flights, {"dataframe_records": {"x": 1}}),
        scored(flights, {"inputs": {"x": [1], "city": []}}),
        scored(flights, {"inputs": {"x": [1], "city": "EWR"}}),
        scored(flights, {"inputs": 7}),
        scored(flights, {"inputs": []}),
        scored(flights, {"inputs": [ROW], "params": []}),
        scored(flights, {"inputs": [ROW], "params": {"outputs": ["wings"]}}),
        scored(flights, b"", Content_Type="text/csv"),
        scored(flights, b"x,x\n1,1\n", Content_Type="text/csv"),
        scored(flights, b"x\n" + b"1\n" * (RECORDS_MAX + 2), Content_Type="text/csv"),
        scored(flights, {"dataframe_split": {"columns": ["x", "x"], "data": [[0.5, 1]]}}),
        scored(flights, b"x,city\n1\n", Content_Type="text/csv"),
        scored(flights, b"x\n\xff\n", Content_Type="text/csv"),
    ]
    missing = scored(flights, {"dataframe_records": [{"city": "EWR"}]})
    media = scored(flights, b"x", Content_Type="application/vnd.apache.parquet")
    latin = scored(flights, b"x\n1\n", Content_Type="text/csv; charset=latin-1")
    nobody = scored(flights, {"inputs": [ROW]}, "/endpoints/trains/invocations")

    assert [(status, body["error_code"]) for status, body in tries] == [(400, "BAD_REQUEST")] * len(tries)
    assert (missing[0], missing[1]["error_code"], "'x'" in missing[1]["message"]) == (
        400,
        "INVALID_PARAMETER_VALUE",
        True,
    )
    assert (media[0], latin[0]) == (415, 415)
    assert (nobody[0], nobody[1]["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_ping_health_and_version_answer_as_mlflows_server_does(flights: Caller) -> None:
    paths = ("/ping", "/health", "/endpoints/flights/ping", "/endpoints/flights/health")

    assert [flights.ask("GET", path)[::2] for path in paths] == [(200, b"\n")] * 4
    assert {flights.ask("GET", path)[2] for path in ("/version", "/endpoints/flights/version")} == {b"3.17.2"}
    assert flights.ask("GET", "/endpoints/trains/ping")[0] == 404


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("int", "7", 7), ("int", "7.0", 7), ("int", "7.5", 7.5), ("int", "1_0", "1_0"), ("int", "9" * 5000, math.inf),
        ("float", "1e3", 1000.0), ("float", "NaN", None), ("float", "1_0", "1_0"), ("float", "-NAN", None),
        ("bool", "True", True), ("bool", "0", False), ("bool", "yes", "yes"),
        ("string", "7", "7"), ("string", "NA", None), ("datetime", "2013-09-01", "2013-09-01"),
    ],
)  # fmt: skip
def test_a_cell_becomes_what_its_column_is_and_stays_text_where_it_cannot(name: str, text: str, value: object) -> None:
    asked, _ = scoring.decode(f"{name}\n{text}\n".encode(), b"text/csv", SERVED)

    assert asked.rows == [{name: value}]


def test_whole_numbers_that_a_data_frame_made_floats_are_whole_again() -> None:
    asked, _ = scoring.decode(b'{"inputs": [{"int": 3.0, "float": 3}, {"int": 3.5}]}', b"application/json", SERVED)

    assert asked.rows == [{"int": 3, "float": 3}, {"int": 3.5}]
    assert isinstance(asked.rows[0]["int"], int)


def test_nan_in_json_is_an_empty_value_for_mlflows_client_writes_it() -> None:
    asked, _ = scoring.decode(b'{"inputs": [{"float": NaN}, {"float": -Infinity}]}', b"application/json", SERVED)

    assert asked.rows == [{"float": None}, {"float": -math.inf}]
    with pytest.raises(Invalid, match="not JSON"):
        scoring.decode(b'{"inputs": [NaN', b"application/json", SERVED)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["int", "columns", "data", "x"]), inner)
    ),
    max_leaves=12,
)


def test_lines_without_anything_take_no_memory() -> None:
    tracemalloc.start()
    asked, _ = scoring.decode(b"string\n" + b"\n" * (1 << 18) + b"a\n", b"text/csv", SERVED)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert asked.rows == [{"string": "a"}]
    assert most < 4 << 20


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(form=st.sampled_from(scoring.FORMS), value=JSON, params=st.none() | JSON)
def test_any_json_is_rows_or_an_error_that_says_what_is_wrong(form: str, value: object, params: object) -> None:
    _is_rows_or_told(json.dumps({form: value, "params": params}).encode(), b"application/json")


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=80) | st.text('int,"\n\r\\;7.NA\0', max_size=60).map(str.encode))
def test_any_csv_is_rows_or_an_error_that_says_what_is_wrong(body: bytes) -> None:
    _is_rows_or_told(body, b"text/csv")


def _is_rows_or_told(body: bytes, media: bytes) -> None:
    try:
        asked, _ = scoring.decode(body, media, SERVED)
    except Invalid:
        return
    assert asked.rows
