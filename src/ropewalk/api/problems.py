"""The one map from an error's kind to an HTTP status, and the body that every error has."""

from __future__ import annotations

from ropewalk.errors import RopewalkError

STATUS = {
    "invalid": 422,
    "not-found": 404,
    "conflict": 409,
    "refused": 403,
    "corrupt": 500,
    "unavailable": 503,
    "interrupted": 409,
    "missing": 501,
    "internal": 500,
}
STATUS_OF_CODE = {"disk-full": 507, "page-token-invalid": 400, "search-filter-invalid": 400, "request-malformed": 400}


def status_of(error: RopewalkError) -> int:
    """Return the HTTP status for an error."""
    return STATUS_OF_CODE.get(error.code, STATUS[error.kind])
