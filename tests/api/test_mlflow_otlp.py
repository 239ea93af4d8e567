"""OpenTelemetry's exporters send spans over HTTP, and are told which of them were not kept."""

from __future__ import annotations

import gzip
import json

import pytest

from api.asking import Client
from ropewalk.api.mlflow import otlp, traces
from ropewalk.endpoints.guard import Guard
from traces.telling import ID, export, span, wire

HEADERS = {"x-mlflow-experiment-id": "0"}
PROTOBUF = {**HEADERS, "content-type": "application/x-protobuf"}
JSON = {**HEADERS, "content-type": "application/json"}


@pytest.fixture
def client(site):
    return Client(site, [*otlp.ROUTES, *traces.ROUTES])


def names(client):
    found = client.ask("GET", "/api/3.0/mlflow/traces/get", params={"trace_id": ID})
    return [one["name"] for one in found.json()["trace"]["spans"]]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (PROTOBUF, wire(export(span(1, name="one"), span(2, parent=1, name="two")))),
        (JSON, json.dumps(export(span(1, name="one"), span(2, parent=1, name="two")))),
    ],
    ids=["protobuf", "json"],
)
def test_spans_are_kept_and_the_answer_speaks_the_senders_language(client, headers, body):
    answer = client.ask("POST", "/v1/traces", content=body, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (200, headers["content-type"])
    assert answer.content == (b"" if headers is PROTOBUF else b"{}")
    assert names(client) == ["one", "two"]


def test_a_compressed_body_is_unpacked_by_the_guard_as_far_as_its_cap(client):
    client._dispatch = Guard(client._dispatch, body_bytes_max=1 << 20)
    headers = {**PROTOBUF, "content-encoding": "gzip", "host": "127.0.0.1"}

    kept = client.ask("POST", "/v1/traces", content=gzip.compress(wire(export(span(1)))), headers=headers)
    bomb = client.ask("POST", "/v1/traces", content=gzip.compress(b"\0" * (64 << 20)), headers=headers)

    assert (kept.status_code, bomb.status_code) == (200, 413)
    assert names(client) == ["step"]


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
def test_what_is_not_kept_is_counted(client, headers):
    told = export(span(1), {**span(2), "traceId": "00" * 16})
    body = wire(told) if headers is PROTOBUF else json.dumps(told)

    answer = client.ask("POST", "/v1/traces", content=body, headers=headers)

    assert answer.status_code == 200
    if headers is JSON:
        partial = answer.json()["partialSuccess"]
        assert partial["rejectedSpans"] == "1"
        assert "traceId must be 32 hex digits" in partial["errorMessage"]
    else:
        assert answer.content.startswith(b"\x0a")
        assert b"\x08\x01\x12" in answer.content
    assert names(client) == ["step"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "word"),
    [
        ({"content-type": "application/json"}, b"{}", 400, "x-mlflow-experiment-id"),
        ({**HEADERS, "content-type": "text/plain"}, b"{}", 415, "Content-Type"),
        (HEADERS, b"", 415, "Content-Type"),
        (JSON, b"", 400, "no JSON"),
        (JSON, b"[1]", 400, "no resourceSpans"),
        (JSON, b'{"resourceSpans": []}', 400, "no resourceSpans"),
        (JSON, b"[" * 100_000, 400, "no JSON"),
        (JSON, b"[" + b"{}," * 2_100_000 + b"{}]", 400, "too many parts"),
        (JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": 1}]}]}', 400, "spans is no list"),
        (PROTOBUF, b"", 400, "no resourceSpans"),
        (PROTOBUF, b"\xff\xff", 400, "no protocol buffer"),
        ({**JSON, "x-mlflow-experiment-id": "99"}, json.dumps(export(span(1))), 404, "no such experiment"),
        ({**JSON, "x-mlflow-experiment-id": "x"}, json.dumps(export(span(1))), 400, "whole number"),
    ],
)
def test_what_is_no_export_is_refused_and_changes_nothing(client, headers, body, status, word):
    answer = client.ask("POST", "/v1/traces", content=body, headers=headers)

    assert (answer.status_code, word in answer.json()["message"]) == (status, True), answer.text
    assert client.ask("GET", f"/api/3.0/mlflow/traces/{ID}").status_code == 404


def test_the_path_takes_no_other_verb(client):
    assert client.ask("GET", "/v1/traces").status_code == 405
