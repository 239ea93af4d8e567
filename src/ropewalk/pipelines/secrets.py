"""Secrets of steps: where they come from, and that nothing of them is kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ropewalk.compute.hide import LETTERS_MIN, spellings
from ropewalk.errors import Invalid

FOLDER = "secrets"
BYTES_MAX = 64 << 10


def secrets_of(names: Iterable[str], hidden: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the secrets by name: from the environment, from the file that NAME_FILE names, from `.ropewalk/secrets`.

    Args:
        names: of the variables.
        hidden: the project's folder of ours.
        environ: where they are looked for first.

    Raises:
        Invalid: one is nowhere, or is no text.
    """
    found: dict[str, str] = {}
    for name in names:
        value = environ.get(name)
        if value is None:
            value = _read(Path(environ.get(f"{name}_FILE") or hidden / FOLDER / Path(name).name))
        if not value:
            raise Invalid(
                "secret-missing",
                f"The secret {name} is nowhere.",
                where=f"{name}, {name}_FILE, .ropewalk/{FOLDER}/{name}",
                why="a step asks for it and it is neither in the environment nor in a file",
                fix=f"export {name}=..., or write it to .ropewalk/{FOLDER}/{name}",
            )
        found[name] = value
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""


def refuse_in_value(text: str, secrets: Mapping[str, str]) -> None:
    """Refuse a value or a log entry that holds a secret: it would be kept for ever.

    Raises:
        Invalid: it does.
    """
    for name, value in secrets.items():
        # Shorter ones are in any text.
        if len(value) >= LETTERS_MIN and any(spelled in text for spelled in spellings(value)):
            raise Invalid(
                "secret-in-value",
                f"The step's result holds the secret {name}.",
                why="what a step gives and logs is kept with the run and read by others",
                fix="return what was done with the secret, never the secret",
            )
