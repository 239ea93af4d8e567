"""Described in OpenAPI: MLflow's scoring protocol, and what the Open Inference Protocol only looks at."""

from __future__ import annotations

from typing import Any

from ropewalk.endpoints import arrow
from ropewalk.endpoints.openapiparts import Json, get, media, problems
from ropewalk.endpoints.scoring import SPOKEN_VERSION
from ropewalk.endpoints.served import Served

OBJECT = {"type": "object"}
BINARY = {"type": "string", "format": "binary"}
TABLES: Json = {kind.decode(): {"schema": BINARY} for kind in (arrow.STREAM, arrow.FILE)}
_ERROR: Json = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}
_FAILED = ("400", "403", "404", "405", "408", "413", "415", "500", "503")


def servers() -> dict[str, Json]:
    """Return the routes that speak of all endpoints together."""
    alive = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/ping": get("MLflow's scoring protocol and SageMaker: whether every champion stands warm", alive, "503"),
        "/v2/models/stats": get("Open Inference Protocol: what every release has answered", media(OBJECT)),
        "/v2/repository/index": {
            "post": {
                "summary": "Open Inference Protocol: every model version that is or should be there",
                "requestBody": {
                    "required": False,
                    "content": media({"type": "object", "properties": {"ready": {"type": "boolean"}}}, {"ready": True}),
                },
                "responses": {
                    "200": {"description": "The versions", "content": media({"type": "array", "items": OBJECT})},
                    **problems("400", "403", "405", "408", "413"),
                },
            }
        },
    }


def looks(name: str) -> dict[str, Json]:
    """Return the routes that look at one endpoint."""
    alive = {"text/plain": {"schema": {"type": "string"}}}
    base = f"/v2/models/{name}"
    return {
        f"{base}/config": get(f"Triton's extension: configuration of {name}", media(OBJECT), "503"),
        f"{base}/stats": get(f"Triton's extension: what {name} has answered", media(OBJECT), "503"),
        f"/endpoints/{name}/ping": get(f"MLflow's scoring protocol: whether {name} stands warm", alive, "503"),
        f"/endpoints/{name}/health": get(f"MLflow's scoring protocol: whether {name} stands warm", alive, "503"),
        f"/endpoints/{name}/version": get(
            "MLflow's scoring protocol: the version that is spoken",
            {"text/plain": {"schema": {"type": "string"}, "example": SPOKEN_VERSION}},
            "503",
        ),
    }


def scoring(name: str, served: Served, headers: list[Json]) -> Json:
    """Return the route of MLflow's scoring protocol.

    Args:
        name: the endpoint.
        served: who answers, whose real row the examples show.
        headers: that a prediction may bear.
    """
    body: Json = {"schema": {"$ref": f"#/components/schemas/{name}.Scoring"}}
    comma: Json = {"schema": {"type": "string"}}
    if served.example:
        body["examples"] = {form: {"value": value} for form, value in examples(served).items()}
        comma["example"] = _csv(served)
    error = media({"$ref": "#/components/schemas/ScoringProblem"})
    return {
        "post": {
            "summary": f"MLflow's scoring protocol: ask {name}",
            "parameters": headers,
            "requestBody": {"required": True, "content": {"application/json": body, "text/csv": comma}},
            "responses": {
                "200": {
                    "description": "One prediction per row, in order; headers name release and ids",
                    "content": media(
                        {
                            "type": "object",
                            "required": ["predictions"],
                            "properties": {"predictions": {"type": "array"}},
                        }
                    ),
                },
                **{
                    status: {"description": told["description"], "content": error}
                    for status, told in problems(*_FAILED).items()
                },
            },
        }
    }


def examples(served: Served) -> dict[str, Json]:
    """Return the real row in each of the four JSON forms."""
    row = served.example
    return {
        "dataframe_split": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "dataframe_records": {"dataframe_records": [row]},
        "instances": {"instances": [row]},
        "inputs": {"inputs": {name: [value] for name, value in row.items()}},
    }


def _csv(served: Served) -> str:
    def cell(value: object) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text

    row = served.example
    return f"{','.join(map(cell, row))}\n{','.join(map(cell, row.values()))}\n"


def schemas(name: str) -> dict[str, Json]:
    """Return the shapes of an endpoint's bodies in MLflow's scoring protocol."""
    record = {"$ref": f"#/components/schemas/{name}.Record"}
    rows: Json = {"type": "array", "items": record, "minItems": 1}
    split: Json = {
        "type": "object",
        "required": ["columns", "data"],
        "additionalProperties": False,
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array"}, "minItems": 1},
            "index": {"type": "array"},
        },
    }
    forms: dict[str, Any] = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": rows,
        "inputs": {"anyOf": [rows, {"type": "object"}]},
    }
    params: Json = {
        "type": "object",
        "properties": {
            "key": {"type": "string", "maxLength": 256, "description": "What the split is sticky by."},
            "outputs": {"type": "array", "items": {"type": "string"}, "description": "Outputs by name, as objects."},
        },
    }
    return {
        f"{name}.Scoring": {
            "oneOf": [
                {"type": "object", "required": [form], "properties": {form: shape, "params": params}}
                for form, shape in forms.items()
            ]
        },
        "ScoringProblem": _ERROR,
    }
