"""The OpenAPI 3.1 document of native routes, login and MLflow's protocol, made from the tables that serve them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from ropewalk import __version__
from ropewalk.api.login import Entered, Entry
from ropewalk.api.mlflow.route import How, Route
from ropewalk.api.mlflow.server import NOT_OFFERED
from ropewalk.api.routes import Door

JSON, BYTES = "application/json", "application/octet-stream"
_COMPONENT = "#/components/schemas/"
PROBLEM = {
    "type": "object",
    "required": ["code", "what", "where", "why", "fix"],
    "properties": {name: {"type": "string"} for name in ("code", "what", "where", "why", "fix")},
}
MLFLOW_PROBLEM = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {name: {"type": "string"} for name in ("error_code", "message")},
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a token: ropewalk token create"},
    "basic": {"type": "http", "scheme": "basic", "description": "name and password, or any name and a token"},
}
Schemas = dict[int, dict[str, Any]]


def document(title: str, doors: Sequence[Door], routes: Iterable[Route] = ()) -> dict[str, Any]:
    """Return the document.

    Args:
        title: the project's name.
        doors: the native routes.
        routes: MLflow's protocol; each path below `/api` is served below `/ajax-api` too, which is not repeated, and
            what is not offered is left out.
    """
    offered = [route for route in routes if not route.path.startswith(tuple(f"/mlflow/{name}" for name in NOT_OFFERED))]
    kinds: list[Any] = [kind for door in doors for kind in (door.result, door.body) if kind is not None]
    kinds += [kind for route in offered for kind in (route.result, route.body) if kind is not None]
    kinds += [Entry, Entered]
    found, components = msgspec.json.schema_components(kinds, ref_template=_COMPONENT + "{name}")
    schemas: Schemas = dict(zip(map(id, kinds), found, strict=True))
    paths: dict[str, dict[str, Any]] = {"/login": {"post": _login(schemas)}}
    for door in doors:
        paths.setdefault(_plain(door.path), {})[door.method.lower()] = _native(door, schemas)
    for route in offered:
        for path in route.paths():
            if not path.startswith("/ajax-api/"):
                paths.setdefault(_plain(path), {})[route.method.lower()] = _mlflow(route, path, schemas, components)
    parts = {**components, "Problem": PROBLEM, "MlflowProblem": MLFLOW_PROBLEM}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Ropewalk: {title}", "version": __version__},
        "security": [{}, {"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {"schemas": _used(paths, parts), "securitySchemes": SECURITY},
    }


def _plain(path: str) -> str:
    return re.sub(r":\w+}", "}", path)


def _name(method: str, path: str) -> str:
    return f"{method.lower()}{re.sub(r'[^a-z0-9.]+', '_', path.lower())}".rstrip("_")


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)", path)
    ]


def _content(schema: dict[str, Any], kind: str = JSON) -> dict[str, Any]:
    return {kind: {"schema": schema}}


def _responses(answer: dict[str, Any], problem: str, status: int = 200) -> dict[str, Any]:
    told = _content({"$ref": _COMPONENT + problem})
    good = {"description": "done"} if status == HTTPStatus.NO_CONTENT else {"description": "done", "content": answer}
    return {
        str(status): good,
        "4XX": {"description": "refused, with a code and what to do", "content": told},
        "503": {"description": "not now", "content": told},
    }


def _login(schemas: Schemas) -> dict[str, Any]:
    return {
        "summary": "Log in with a name and a password, for a cookie",
        "operationId": "post_login",
        "parameters": [],
        "requestBody": {"required": True, "content": _content(schemas[id(Entry)])},
        "responses": _responses(_content(schemas[id(Entered)]), "Problem"),
    }


def _native(door: Door, schemas: Schemas) -> dict[str, Any]:
    asked = [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in door.query.items()
    ]
    operation: dict[str, Any] = {
        "summary": door.summary,
        "operationId": _name(door.method, door.path),
        "parameters": [*_in_path(door.path), *asked],
        "responses": _responses(
            _content({}, BYTES) if door.result is None else _content(schemas[id(door.result)]), "Problem"
        ),
        "x-action": door.action,
    }
    if door.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(schemas[id(door.body)])}
    return operation


def _mlflow(route: Route, path: str, schemas: Schemas, components: dict[str, Any]) -> dict[str, Any]:
    answer = _content({}, BYTES) if route.result is None else _content(schemas[id(route.result)])
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _name(route.method, path),
        "parameters": _in_path(path),
        "responses": _responses(answer, "MlflowProblem", route.status),
        "x-action": route.action,
    }
    if route.body is not None and route.method == "GET":
        operation["parameters"] += _in_query(schemas[id(route.body)], components)
    elif route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(schemas[id(route.body)])}
    elif route.how is How.STREAM and route.method in ("PUT", "POST"):
        operation["requestBody"] = {"required": True, "content": _content({}, BYTES)}
    return operation


def _in_query(schema: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of a struct as values behind the question mark."""
    struct = components[schema["$ref"].removeprefix(_COMPONENT)] if "$ref" in schema else schema
    required = struct.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in struct.get("properties", {}).items()
    ]


def _used(paths: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """Return the components that something refers to: a query's struct is told field by field."""
    text = msgspec.json.encode(paths).decode()
    left = {name for name in parts if f'"{_COMPONENT}{name}"' in text}
    todo = list(left)
    while todo:
        inner = msgspec.json.encode(parts[todo.pop()]).decode()
        more = {name for name in parts if f'"{_COMPONENT}{name}"' in inner} - left
        left |= more
        todo += more
    return {name: part for name, part in parts.items() if name in left}
