"""What both engines refuse in the same words."""

from __future__ import annotations

from ropewalk.errors import Invalid, RopewalkError, Unavailable


def unstorable(where: str, why: str) -> Invalid:
    """Return the error for a value that no column holds: a number above 64 bits, half a character, a NUL."""
    return Invalid(
        "value-unstorable",
        "A value cannot be stored.",
        where=where,
        why=why,
        fix="send whole numbers within 64 bits, and text that is valid UTF-8 without NUL characters",
    )


def disk_full(where: str, why: str) -> Unavailable:
    """Return the error for a full disk."""
    return Unavailable(
        "disk-full", "The disk is full.", where=where, why=why, fix="free space, then run the same command again"
    )


def busy(where: str) -> Unavailable:
    """Return the error for another process that keeps writing."""
    return Unavailable(
        "store-busy", "Another process keeps the store busy.", where=where, fix="run the same command again"
    )


def too_costly(where: str) -> Invalid:
    """Return the error for a statement that took more than its share."""
    return Invalid(
        "query-too-costly",
        "The search costs more than one request may.",
        where=where,
        why="a single question to the store has two seconds",
        fix="ask for less: fewer clauses, one experiment, or a smaller page",
    )


def unreachable(where: str, why: str) -> Unavailable:
    """Return the error for a database server that does not answer."""
    return Unavailable(
        "store-unreachable",
        "The database server does not answer.",
        where=where,
        why=why,
        fix="send the same request again in some seconds; see that the server runs and that [store] url names it",
    )


def query_refused(why: str) -> RopewalkError:
    """Return the error of a user's query that its database refuses."""
    return Invalid(
        "batch-query-refused",
        "The database refuses the query.",
        why=" ".join(why.split())[:300],
        fix="give one SELECT",
    )
