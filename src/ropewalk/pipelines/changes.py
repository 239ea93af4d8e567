"""Differences between two sets of named facts."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.records import frozen


@frozen
class Change:
    """One difference between two times.

    Attributes:
        part: the function, class, constant, library, input or file.
        before: what it was; empty when it was not there.
        after: what it is; empty when it is gone.
    """

    part: str
    before: str
    after: str


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """Return the parts that differ, by name."""
    return tuple(
        Change(part=name, before=before.get(name, ""), after=after.get(name, ""))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
