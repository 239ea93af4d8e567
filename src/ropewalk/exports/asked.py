"""How a release is asked, for testers: a collection of Postman's from its OpenAPI document, a plan of JMeter's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, cast

from ropewalk.endpoints import openapi
from ropewalk.endpoints.batching import Lane
from ropewalk.endpoints.packed import PORT
from ropewalk.endpoints.switchboard import Route, Warm
from ropewalk.exports.containers import words
from ropewalk.exports.released import Released
from ropewalk.exports.render import fill
from ropewalk.releases.traffic import Traffic

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
# Made from it and the bundle, a collection's id is the same every time.
_IDS = uuid.UUID("6e0c2c46-6b1d-5d52-9a34-6c0a3f6f2b54")
_JSON = "application/json"
Json = dict[str, Any]


def postman(found: Released) -> dict[str, str | bytes]:
    """Return the collection: one request a route, with a real row, and what its answer has to be."""
    document = described(found)
    paths = cast("Mapping[str, Json]", document["paths"])
    items = [
        _item(found, path, verb, operation)
        for path, verbs in paths.items()
        for verb, operation in verbs.items()
        if verb in ("get", "post") and _askable(operation)
    ]
    collection = {
        "info": {
            "_postman_id": str(uuid.uuid5(_IDS, found.release.bundle)),
            "name": f"{found.endpoint}, release {found.release.id}",
            "description": "\n".join(
                (*found.header(), f"newman run {found.name}.json --env-var base=http://127.0.0.1:{PORT}")
            ),
            "schema": SCHEMA,
        },
        "variable": [{"key": "base", "value": f"http://127.0.0.1:{PORT}", "type": "string"}],
        "item": items,
    }
    return {f"{found.name}.json": json.dumps(collection, indent=2, ensure_ascii=True) + "\n"}


def jmeter(found: Released) -> dict[str, str | bytes]:
    """Return the plan."""
    return {f"{found.name}.jmx": fill("asked/plan.jmx", {**found.facts(), **words()})}


def described(found: Released) -> Json:
    """Return the OpenAPI document that an endpoint with this release alone gives."""
    traffic = Traffic.alone(found.endpoint, found.release.id)
    # The document is made of what is served; no lane has to run for it.
    warm = Warm(served=found.served, lane=cast("Lane", None))
    return openapi.document({found.endpoint: Route(traffic=traffic, warm={found.release.id: warm})})


def _askable(operation: Json) -> bool:
    return "requestBody" not in operation or _example(operation) is not None


def _example(operation: Json) -> Any:  # noqa: ANN401 - JSON of any shape
    content = operation.get("requestBody", {}).get("content", {})
    said = content.get(_JSON, {})
    several = [one["value"] for one in said.get("examples", {}).values()]
    return said.get("example", several[0] if several else None)


def _item(found: Released, path: str, verb: str, operation: Json) -> Json:
    request: Json = {
        "method": verb.upper(),
        "header": [],
        "url": {"raw": f"{{{{base}}}}{path}", "host": ["{{base}}"], "path": [one for one in path.split("/") if one]},
        "description": operation.get("summary", ""),
    }
    wants = ["pm.test('200', () => pm.response.to.have.status(200));"]
    if "requestBody" in operation:
        request["header"] = [{"key": "Content-Type", "value": _JSON}]
        text = json.dumps(_example(operation), ensure_ascii=True)
        request["body"] = {"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}}
        wants += _wanted(found, path)
    event = {"listen": "test", "script": {"type": "text/javascript", "exec": wants}}
    return {"name": f"{verb.upper()} {path}", "request": request, "event": [event]}


def _wanted(found: Released, path: str) -> list[str]:
    release = json.dumps(found.release.id)
    if path.endswith("/predict"):
        return [
            "const body = pm.response.json();",
            f"pm.test('by this release', () => pm.expect(body.release).to.eql({release}));",
            "pm.test('one prediction', () => pm.expect(body.predictions).to.have.lengthOf(1));",
        ]
    if path.endswith("/invocations"):
        return [
            f"pm.test('by this release', () => pm.response.to.have.header('x-ropewalk-release', {release}));",
            "pm.test('predictions', () => pm.expect(pm.response.json().predictions).to.not.be.empty);",
        ]
    if not path.endswith("/infer"):
        return []
    return ["pm.test('outputs', () => pm.expect(pm.response.json().outputs).to.not.be.empty);"]
