"""Pieces of the gateway's OpenAPI document that every protocol's routes are put together from."""

from __future__ import annotations

from typing import Any

from ropewalk.endpoints.served import Served

Json = dict[str, Any]

TYPES: dict[str, Json] = {
    "int": {"type": "integer", "minimum": -(1 << 63), "maximum": (1 << 63) - 1},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
}
PROBLEM: Json = {
    "type": "object",
    "required": ["code", "what"],
    "properties": {
        **{name: {"type": "string"} for name in ("code", "what", "where", "why", "fix", "error")},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["record", "field", "rule", "message"],
                "properties": {
                    "record": {"type": "integer"},
                    "field": {"type": "string"},
                    "rule": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
STATUS = {
    "400": "The body or a header is not of the form that is served here.",
    "403": "A foreign Host or Origin.",
    "404": "No such endpoint or release.",
    "405": "The route does not know the method.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "A record breaks the model's contract; each problem names record and field.",
    "500": "The model failed on these rows.",
    "503": "The queue is full, the deadline passed, or no worker stands; Retry-After says when to come again.",
}


def media(schema: Json, example: object = None) -> Json:
    """Return JSON of a schema as the content of a body."""
    found: Json = {"schema": schema}
    if example is not None:
        found["example"] = example
    return {"application/json": found}


def get(summary: str, content: Json, *more: str) -> Json:
    """Return a route that is only looked at."""
    responses = {"200": {"description": summary, "content": content}, **problems("403", "404", *more)}
    return {"get": {"summary": summary, "responses": responses}}


def problems(*statuses: str) -> dict[str, Json]:
    """Return the answers of these statuses."""
    content = media({"$ref": "#/components/schemas/Problem"})
    return {status: {"description": STATUS[status], "content": content} for status in statuses}


def headers(served: Served) -> list[Json]:
    """Return the headers that a prediction may bear."""
    return [
        {
            "name": "X-Ropewalk-Release",
            "in": "header",
            "required": False,
            "description": f"Ask this release and no other, such as {served.release}; it must stand warm here.",
            "schema": {"type": "string", "enum": [served.release]},
        },
        {
            "name": "X-Ropewalk-Deadline-Ms",
            "in": "header",
            "required": False,
            "description": "How long the caller waits, in milliseconds.",
            "schema": {"type": "integer", "minimum": 1000, "maximum": 3_600_000},
        },
    ]
