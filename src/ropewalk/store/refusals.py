"""What both engines refuse in the same words."""

from __future__ import annotations

from ropewalk.errors import Invalid, Unavailable


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
