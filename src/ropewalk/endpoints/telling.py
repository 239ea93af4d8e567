"""How each path's protocol says an error: in our form, in MLflow's, or with the Open Inference Protocol's member."""

from __future__ import annotations

import re

import msgspec

from ropewalk.endpoints.problems import JSON_HEADERS, Headers, Scope, Send, answer, answer_error, status_of
from ropewalk.errors import RopewalkError

_SCORING = re.compile(r"(/endpoints/[^/]+)?/invocations")
# Words of MLflow's error codes by status; 422 is unknown to it: what breaks its schema is a 400 there.
_WORDS = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "BAD_REQUEST",
    408: "DEADLINE_EXCEEDED",
    409: "INVALID_STATE",
    413: "BAD_REQUEST",
    415: "BAD_REQUEST",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
}
_UNFIT = 422
_PATTERNS = tuple(
    (re.compile(re.sub(r"\{\w+\}", "[^/]+", pattern)), pattern)
    for pattern in (
        "/endpoints/{name}/predict",
        "/v2/models/{name}/infer",
        "/invocations",
        "/endpoints/{name}/invocations",
        "/v2/models/{name}/versions/{version}/infer",
        "/metrics",
        "/ping",
        "/health",
        "/version",
        "/endpoints/{name}/ping",
        "/endpoints/{name}/health",
        "/endpoints/{name}/version",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/stats",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/config",
        "/v2/models/{name}/stats",
        "/v2/models/{name}/versions/{version}",
        "/v2/models/{name}/versions/{version}/ready",
        "/v2/repository/index",
        "/v2/repository/models/{name}/load",
        "/v2/repository/models/{name}/unload",
        "/",
        "/docs",
        "/openapi.json",
    )
)


def pattern_of(path: str) -> str:
    """Return the pattern of a path that the gateway serves, names and versions left out; empty for any other."""
    for found, pattern in _PATTERNS:
        if found.fullmatch(path):
            return pattern
    return ""


def is_scoring(path: str) -> bool:
    """Say whether a path speaks MLflow's scoring protocol."""
    return _SCORING.fullmatch(path) is not None


async def tell(scope: Scope, send: Send, error: RopewalkError, headers: Headers = (), /, **more: object) -> None:
    """Send an error in the words of the path's protocol.

    Args:
        scope: of the request.
        send: ASGI's.
        error: what went wrong.
        headers: besides the content type.
        more: further members of the body in our own form, such as `problems`.
    """
    path = str(scope["path"])
    if is_scoring(path):
        status = status_of(error)
        word = _WORDS.get(status, "INTERNAL_ERROR")
        status = 400 if status == _UNFIT else status
        body = {"error_code": word, "message": message_of(error), **more}
        await answer(send, status, msgspec.json.encode(body), (*JSON_HEADERS, *headers))
        return
    if path.startswith("/v2"):
        more["error"] = message_of(error)
    await answer_error(send, error, headers, **more)


def message_of(error: RopewalkError) -> str:
    """Return an error as one line: what, where, why and what to do."""
    parts = [error.what, f"[{error.where}]" if error.where else "", f"{error.why}." if error.why else ""]
    return " ".join(part for part in (*parts, f"Fix: {error.fix}" if error.fix else "") if part)
