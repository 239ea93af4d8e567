"""Why a node runs: the sentences that say what differs from the last time."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ropewalk.pipelines.changes import changes
from ropewalk.pipelines.told import NOT_SEEN, differing
from ropewalk.pipelines.variables import VARIABLE
from ropewalk.records import frozen

_PLAIN = ("library ", "module ", "python", "the whole", "the project's", "reading of code")


@frozen
class Before:
    """A node as it was when it was last finished.

    Attributes:
        code: digest of its code.
        parts: the code's parts.
        facts: JSON of what else its key was made of.
    """

    code: str
    parts: Mapping[str, str]
    facts: str


def reasons(
    before: Before | None, *, code: str, parts: Mapping[str, str], facts: Mapping[str, Mapping[str, str]], cache: bool
) -> tuple[str, ...]:
    """Return what differs from the last time, a sentence each.

    Args:
        before: the node when it was last finished, None for never.
        code: digest of its code now.
        parts: the code's parts now.
        facts: what else its key is made of now: `inputs`, `reads`, `libraries`.
        cache: whether an earlier outcome may be used at all.
    """
    if before is None:
        return ("it has not run before",)
    found: list[str] = []
    if before.code != code:
        unlike = [item for item in changes(before.parts, parts) if not item.part.startswith(NOT_SEEN)]
        found += [_sentence(_subject(item.part), item.before, item.after) for item in unlike]
        if not found:
            found.append("its code names other things by the same names")
    earlier: dict[str, dict[str, str]] = json.loads(before.facts) if before.facts else {}
    for kind, subject in (("inputs", "input"), ("reads", "file"), ("libraries", "library")):
        unlike = changes(earlier.get(kind, {}), facts.get(kind, {}))
        for item in unlike:
            variable = item.part.startswith(VARIABLE)
            named = f"environment {item.part.removeprefix(VARIABLE)}" if variable else f"{subject} {item.part}"
            found.append(_sentence(named, item.before, item.after))
    if not cache:
        found.append("it is declared with cache=False")
    return tuple(found) or ("its kept outcome is gone",)


def _subject(part: str) -> str:
    return part if part.startswith(_PLAIN) else f"code {part}"


def _sentence(subject: str, before: str, after: str) -> str:
    if not before:
        return f"{subject} is new"
    if not after:
        return f"{subject} is gone"
    of_function = differing(before, after)
    if of_function is not None:
        gone, come = of_function
        return f"{subject} has changed" + (f": {gone or 'nothing'} -> {come or 'nothing'}" if gone or come else "")
    return f"{subject} has changed: {before} -> {after}"
