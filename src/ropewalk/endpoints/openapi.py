"""The gateway described: OpenAPI 3.1 of every route with a real row, and a page for people."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape

import msgspec

from ropewalk import __version__
from ropewalk.data.contract import Column, Contract
from ropewalk.endpoints import openapiforms
from ropewalk.endpoints.openapiparts import PROBLEM, TYPES, Json, get, headers, media, problems
from ropewalk.endpoints.plain import KEY_LETTERS_MAX, RECORDS_MAX
from ropewalk.endpoints.protocol import HEAD, IDS
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.switchboard import Route
from ropewalk.endpoints.tensors import OF_TYPE

encode = msgspec.json.Encoder().encode


def document(routes: Mapping[str, Route]) -> Json:
    """Return the OpenAPI 3.1 document of the gateway as it is now.

    Args:
        routes: who answers, by endpoint.
    """
    paths: dict[str, Json] = {
        "/": get("Endpoints and who answers at each", media({"type": "object"})),
        "/metrics": get("Prometheus metrics", {"text/plain": {"schema": {"type": "string"}}}),
        "/docs": get("This description for people", {"text/html": {"schema": {"type": "string"}}}),
        "/openapi.json": get("This document", media({"type": "object"})),
        "/v2": get("Open Inference Protocol: server", media({"type": "object"})),
        "/v2/health/live": get("Whether the process lives", media({"type": "object"})),
        "/v2/health/ready": get("Whether every champion stands warm", media({"type": "object"}), "503"),
        **openapiforms.servers(),
    }
    schemas: dict[str, Json] = {"Problem": PROBLEM}
    for name, route in routes.items():
        served = route.champion.served
        schemas |= _schemas(name, served) | openapiforms.schemas(name)
        scored = openapiforms.scoring(name, served, headers(served))
        paths |= _paths(name, served, _tensors(served)) | openapiforms.looks(name)
        paths[f"/endpoints/{name}/invocations"] = scored
        if len(routes) == 1:
            paths["/invocations"] = scored
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ropewalk endpoints",
            "version": __version__,
            "description": "Predictions by name. Each answer carries an id by which it can be traced and replayed.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _paths(name: str, served: Served, tensors: Json) -> dict[str, Json]:
    base = f"/v2/models/{name}"
    example = {"records": [served.example]} if served.example else None
    failures = problems("400", "403", "404", "405", "408", "413", "415", "422", "500", "503")
    infer = {
        "summary": f"Open Inference Protocol: ask {name}",
        "parameters": [*headers(served), _PACKED],
        "requestBody": {
            "required": True,
            "content": {
                **media({"$ref": f"#/components/schemas/{name}.Inference"}, tensors if served.example else None),
                "application/octet-stream": {"schema": openapiforms.BINARY},
            },
        },
        "responses": {
            "200": {
                "description": "Output tensors",
                "content": {
                    **media({"$ref": "#/components/schemas/Tensors"}),
                    "application/octet-stream": {"schema": openapiforms.BINARY},
                },
            },
            **failures,
        },
    }
    predict = {
        "summary": f"Ask {name} for predictions",
        "parameters": headers(served),
        "requestBody": {
            "required": True,
            "content": media({"$ref": f"#/components/schemas/{name}.Records"}, example) | openapiforms.TABLES,
        },
        "responses": {
            "200": {
                "description": "One prediction per record, in order",
                "content": media({"$ref": f"#/components/schemas/{name}.Predictions"}) | openapiforms.TABLES,
            },
            **failures,
        },
    }
    metadata = media({"type": "object", "required": ["name", "inputs", "outputs"]})
    return {
        f"/endpoints/{name}/predict": {"post": predict},
        base: get(f"Open Inference Protocol: what {name} takes and gives", metadata, "503"),
        f"{base}/ready": get(f"Whether {name} stands warm", media({"type": "object"}), "503"),
        f"{base}/infer": {"post": infer},
    }


def record_schema(contract: Contract) -> Json:
    """Return the schema of one row."""
    columns = {column.name: _column(column) for column in contract.columns}
    required = [column.name for column in contract.columns if not column.nullable]
    record: Json = {"type": "object", "properties": columns, "additionalProperties": not contract.closed}
    if required:
        record["required"] = required
    return record


def _schemas(name: str, served: Served) -> dict[str, Json]:
    record = record_schema(served.contract)
    key: Json = {"type": "string", "maxLength": KEY_LETTERS_MAX}
    outputs: Json = {one.name: {} if one.name == "label" else TYPES[one.type] for one in served.outputs}
    listed = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}.Record"}}
    return {
        f"{name}.Record": record,
        f"{name}.Records": {
            "type": "object",
            "required": ["records"],
            "additionalProperties": False,
            "properties": {
                "records": {**listed, "minItems": 1, "maxItems": RECORDS_MAX},
                "key": {**key, "description": "What the split among releases is sticky by, such as a customer number."},
                "time": {"type": "string", "format": "date-time", "description": "When it happened, if not now."},
            },
        },
        f"{name}.Predictions": {
            "type": "object",
            "required": ["release", "model_version", "predictions"],
            "properties": {
                "release": {"type": "string"},
                "model_version": {"type": "string"},
                "unreleased": {"type": "boolean", "description": "Whether it has not walked the line."},
                "predictions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {
                            "id": {"type": "string"},
                            **outputs,
                            "release": {"type": "string"},
                            "error": {"$ref": "#/components/schemas/Problem"},
                            "warnings": {"type": "array", "items": {"type": "object"}},
                        },
                    },
                },
            },
        },
        f"{name}.Inference": _inference(served),
        "Tensors": _TENSORS,
    }


def _column(column: Column) -> Json:
    schema: Json = dict(TYPES[column.type])
    if column.strict:
        bounds = {"minimum": column.min, "maximum": column.max} if column.type in ("int", "float") else {}
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
        if column.categories is not None:
            schema["enum"] = [*column.categories, *([None] if column.nullable else [])]
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    return schema


_PACKED: Json = {
    "name": HEAD,
    "in": "header",
    "required": False,
    "description": "Where the JSON ends and the bytes of the tensors with a binary_data_size begin.",
    "schema": {"type": "integer", "minimum": 0},
}
_TENSORS: Json = {
    "type": "object",
    "required": ["model_name", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    **{name: {"type": "string"} for name in ("name", "datatype")},
                    "data": {"type": "array"},
                    "parameters": {"type": "object"},
                },
            },
        },
    },
}


def _inference(served: Served) -> Json:
    names = [one.name for one in served.inputs]
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string", "enum": names},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2},
            "datatype": {"type": "string", "enum": sorted(set(OF_TYPE.values()))},
            "data": {"type": "array"},
        },
    }
    wanted = [*(one.name for one in served.outputs), IDS]
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": len(names)},
            "outputs": {
                "type": "array",
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"enum": wanted}}},
            },
        },
    }


def _tensors(served: Served) -> Json:
    """Return the example row as tensors."""
    return {
        "inputs": [
            {"name": one.name, "shape": [1], "datatype": OF_TYPE[one.type], "data": [served.example.get(one.name)]}
            for one in served.inputs
        ]
    }


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2433;"
    "background:#fff}code,pre{font:14px/1.5 ui-monospace,monospace;background:#f3f5f8;border-radius:4px}"
    "pre{padding:1rem;overflow:auto}code{padding:.1rem .3rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #dde2ea}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'".encode(),
    ),
)


def page(routes: Mapping[str, Route]) -> bytes:
    """Return the page for people: every endpoint with who answers, its fields and a call that works."""
    parts = [_endpoint(name, route) for name, route in routes.items()]
    body = "".join(parts) or "<p>Nothing is live yet: <code>ropewalk ship</code> brings the first release.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ropewalk endpoints</title>'
        f"<style>{_STYLE}</style></head><body><h1>Endpoints</h1>{body}"
        '<p>For programs: <a href="openapi.json">/openapi.json</a>, <a href="metrics">/metrics</a></p></body></html>'
    ).encode()


def _endpoint(name: str, route: Route) -> str:
    served = route.champion.served
    traffic = route.traffic
    canary = f", {traffic.canary_weight_bp / 100:g} % by {traffic.canary}" if traffic.canary_weight_bp else ""
    row = encode({"records": [served.example]}).decode().replace("'", "'\\''")
    path = f"/endpoints/{name}/predict"
    fields = "".join(
        f"<tr><td><code>{escape(one.name)}</code></td><td>{one.type}{' or null' if one.nullable else ''}</td>"
        f"<td>{escape(_range(one))}</td></tr>"
        for one in served.contract.columns
    )
    call = f"curl -s \"$ADDRESS{path}\" -H 'Content-Type: application/json' -d '{row}'"
    return (
        f"<h2>{escape(name)}</h2><p>Answered by <code>{escape(traffic.champion)}</code>{escape(canary)}. "
        f"Model <code>{escape(served.model)}/{served.version}</code>.</p>"
        f"<p><code>POST {escape(path)}</code></p><pre>{escape(call)}</pre>"
        f"<table><tr><th>field</th><th>type</th><th>ordinary values</th></tr>{fields}</table>"
    )


def _range(column: Column) -> str:
    if column.categories is not None:
        shown = ", ".join(column.categories[:8])
        return shown + (f" and {len(column.categories) - 8} more" if len(column.categories) > 8 else "")  # noqa: PLR2004
    if column.min is None and column.max is None:
        return ""
    return f"{'' if column.min is None else column.min} to {'' if column.max is None else column.max}"
