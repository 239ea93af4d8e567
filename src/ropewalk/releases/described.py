"""An endpoint as its own OpenAPI document describes it: where to predict, and with which example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from ropewalk.releases.caller import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the document says of predictions.

    Attributes:
        path: where records are posted to.
        example: the body that the document shows: `{"records": [{...}]}`.
        statuses: the statuses that the document names for it.
        plain: paths that can be read without parameters.
    """

    path: str
    example: dict[str, Any]
    statuses: frozenset[str]
    plain: tuple[str, ...]


def describe(caller: Caller, model: str) -> tuple[Described | None, str]:
    """Return what the endpoint's `/openapi.json` says, or None and the reason why it says nothing of use.

    Args:
        caller: a connection to the endpoint.
        model: name to write where the path has a parameter.
    """
    answer = caller.ask("GET", "/openapi.json")
    document = answer.value()
    if answer.status != 200 or not isinstance(document, dict):  # noqa: PLR2004 - HTTP
        return None, f"/openapi.json answers {answer.status}"
    whole = cast("dict[str, Any]", document)
    if not str(whole.get("openapi", "")).startswith("3.1"):
        return None, f"/openapi.json is version {whole.get('openapi')!r}, not 3.1"
    paths = cast("dict[str, dict[str, Any]]", whole.get("paths", {}))
    for path, operations in paths.items():
        if path.endswith("/predict") and "post" in operations:
            operation = cast("dict[str, Any]", operations["post"])
            example = _example(operation)
            if not example.get("records"):
                return None, f"the document shows no example of a request to {path}"
            return (
                Described(
                    path=path.replace("{name}", model).replace("{endpoint}", model),
                    example=example,
                    statuses=frozenset(str(status) for status in operation.get("responses", {})),
                    plain=tuple(one for one, verbs in paths.items() if "get" in verbs and "{" not in one),
                ),
                "",
            )
    return None, "/openapi.json names no path that ends in /predict"


def _example(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the example body of an operation, wherever OpenAPI lets it stand; empty when there is none."""
    content: Any = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    shown = cast("list[Any]", [*content.get("examples", {}).values(), {}])
    found: Any = content.get("example") or shown[0].get("value") or content.get("schema", {}).get("example")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
