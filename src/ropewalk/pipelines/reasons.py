"""Why a node runs: the sentences that say what differs from the last time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ropewalk.pipelines.changes import changes

_DIGEST = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
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
        found += [_sentence(_subject(item.part), item.before, item.after) for item in changes(before.parts, parts)]
        if not found:
            found.append("its code names other things by the same names")
    earlier: dict[str, dict[str, str]] = json.loads(before.facts) if before.facts else {}
    for kind, subject in (("inputs", "input"), ("reads", "file"), ("libraries", "library")):
        differing = changes(earlier.get(kind, {}), facts.get(kind, {}))
        found += [_sentence(f"{subject} {item.part}", item.before, item.after) for item in differing]
    if not cache:
        found.append("it is declared with cache=False")
    return tuple(found) or ("its kept outcome is gone",)


def _subject(part: str) -> str:
    return part if part.startswith(("library ", "module ", "python", "the whole")) else f"code {part}"


def _sentence(subject: str, before: str, after: str) -> str:
    if not before:
        return f"{subject} is new"
    if not after:
        return f"{subject} is gone"
    if _DIGEST.fullmatch(before) and _DIGEST.fullmatch(after):
        return f"{subject} has changed"
    return f"{subject} has changed: {before} -> {after}"
