"""How an error answers at MLflow's door: `{"error_code", "message"}` with the status that its clients expect."""

from __future__ import annotations

import msgspec

from ropewalk.endpoints.problems import status_of
from ropewalk.errors import RopewalkError

# Kinds of `ropewalk.errors`, and the few codes that MLflow calls otherwise than their kind.
_BY_KIND = {
    "invalid": ("INVALID_PARAMETER_VALUE", 400),
    "not-found": ("RESOURCE_DOES_NOT_EXIST", 404),
    "conflict": ("RESOURCE_ALREADY_EXISTS", 400),
    "refused": ("PERMISSION_DENIED", 403),
    "corrupt": ("DATA_LOSS", 500),
    "unavailable": ("TEMPORARILY_UNAVAILABLE", 503),
    "interrupted": ("ABORTED", 409),
    "missing": ("NOT_IMPLEMENTED", 501),
    "internal": ("INTERNAL_ERROR", 500),
}
_STATE = ("INVALID_STATE", 400)
_VALUE = ("INVALID_PARAMETER_VALUE", 400)
_BY_CODE = {
    "log-value-changed": _VALUE,
    "route-not-found": ("ENDPOINT_NOT_FOUND", 404),
    "request-malformed": ("BAD_REQUEST", 400),
    "run-move-refused": _STATE,
    "model-released": _STATE,
    "experiment-state": _STATE,
    "run-not-remote": _STATE,
    "workspace-not-empty": _STATE,
    "workspace-state": _STATE,
}
_BY_STATUS = {
    401: "UNAUTHENTICATED",
    405: "BAD_REQUEST",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_PARAMETER_VALUE",
    415: "BAD_REQUEST",
    429: "REQUEST_LIMIT_EXCEEDED",
    507: "RESOURCE_EXHAUSTED",
}


def answer_of(error: RopewalkError) -> tuple[int, bytes]:
    """Return status and body of an error; the message says what happened, where, why and what to do."""
    special = status_of(error)
    if error.code in _BY_CODE:
        word, status = _BY_CODE[error.code]
    elif special in _BY_STATUS:
        word, status = _BY_STATUS[special], special
    else:
        word, status = _BY_KIND.get(error.kind, _BY_KIND["internal"])
    return status, msgspec.json.encode({"error_code": word, "message": message_of(error)})


def message_of(error: RopewalkError) -> str:
    """Return an error as one line."""
    parts = [error.what]
    if error.where:
        parts.append(f"[{error.where}]")
    if error.why:
        parts.append(f"{error.why}.")
    if error.fix:
        parts.append(f"Fix: {error.fix}")
    return " ".join(parts)
