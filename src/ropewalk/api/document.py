"""The OpenAPI 3.1 document of the native routes, made from the table that serves them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ropewalk import __version__
from ropewalk.api.routes import Door

PROBLEM = {
    "type": "object",
    "required": ["code", "what", "where", "why", "fix"],
    "properties": {name: {"type": "string"} for name in ("code", "what", "where", "why", "fix")},
}


def document(title: str, doors: tuple[Door, ...]) -> dict[str, Any]:
    """Return the document.

    Args:
        title: the project's name.
        doors: the routes.
    """
    kinds = [kind for door in doors for kind in (door.result, door.body) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = dict(zip(map(id, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for door in doors:
        path = re.sub(r":\w+}", "}", door.path)
        paths.setdefault(path, {})[door.method.lower()] = _operation(door, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Ropewalk: {title}", "version": __version__},
        "paths": paths,
        "components": {"schemas": {**components, "Problem": PROBLEM}},
    }


def _operation(door: Door, by_kind: dict[int, Any]) -> dict[str, Any]:
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    named = re.findall(r"{(\w+)", door.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in named
    ]
    parameters += [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in door.query.items()
    ]
    operation: dict[str, Any] = {
        "summary": door.summary,
        "operationId": f"{door.method.lower()}{re.sub(r'[^a-z0-9]+', '_', door.path.lower())}".rstrip("_"),
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": by_kind[id(door.result)]}}},
            "4XX": {"description": "refused, with a code and what to do", "content": problem},
            "503": {"description": "not now", "content": problem},
        },
    }
    if door.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_kind[id(door.body)]}},
        }
    return operation
