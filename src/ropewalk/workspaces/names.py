"""What a workspace may be called, as MLflow's clients check it before they ask."""

from __future__ import annotations

import re

from ropewalk.errors import Invalid

# The server's own project, which MLflow's clients mean when they name none.
DEFAULT = "default"
LETTERS_MIN, LETTERS_MAX = 2, 63
RESERVED = frozenset(("workspaces", "api", "ajax-api", "static-files"))
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")


def is_workspace_name(name: str) -> bool:
    """Say whether a workspace may be called so."""
    return LETTERS_MIN <= len(name) <= LETTERS_MAX and _NAME.fullmatch(name) is not None and name not in RESERVED


def require_name(name: str) -> None:
    """Pass only what a workspace may be called.

    Raises:
        Invalid: it may not.
    """
    if not is_workspace_name(name):
        raise Invalid(
            "workspace-name-invalid",
            "A workspace cannot have this name.",
            where=name[:80],
            why=f"a name is {LETTERS_MIN} to {LETTERS_MAX} small letters, digits and inner hyphens, and none of "
            f"{', '.join(sorted(RESERVED))}",
            fix="ropewalk workspace create team-a",
        )
