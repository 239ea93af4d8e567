"""What many routes ask of their fields: that they are there, and MLflow's words for what to show."""

from __future__ import annotations

from ropewalk.errors import Invalid

_VIEWS = {
    "": "active",
    "ACTIVE_ONLY": "active",
    "1": "active",
    "DELETED_ONLY": "deleted",
    "2": "deleted",
    "ALL": "all",
    "3": "all",
}


def required(value: str, name: str) -> str:
    """Return a text that has to be there.

    Raises:
        Invalid: it is empty or missing.
    """
    if not value:
        raise missing(name)
    return value


def missing(name: str) -> Invalid:
    """Return the error for a field that has to be there."""
    return Invalid("field-missing", f"Missing value for required parameter '{name}'.", where=name)


def view_of(word: str | int) -> str:
    """Return `active`, `deleted` or `all` for MLflow's kind of view; active ones where nothing is said.

    Raises:
        Invalid: there is no such kind.
    """
    if str(word) not in _VIEWS:
        raise Invalid(
            "view-unknown",
            "There is no such kind of view.",
            where="view_type",
            why=f"it is ACTIVE_ONLY, DELETED_ONLY or ALL, found {str(word)[:80]!r}",
        )
    return _VIEWS[str(word)]


def counted(count: int, most: int, name: str = "max_results") -> int:
    """Return how many results are wanted.

    Raises:
        Invalid: it is below 1, or more than are given at once.
    """
    if not 1 <= count <= most:
        raise Invalid(
            "count-invalid",
            f"Invalid value for {name}: it is 1 to {most:,}.",
            where=name,
            why=f"found {count}",
            fix="ask for fewer, page by page",
        )
    return count
