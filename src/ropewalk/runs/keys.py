"""The names and texts that may be logged, by MLflow's rules and limits."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from ropewalk.errors import Invalid

KEY_LETTERS_MAX = 250
PARAM_LETTERS_MAX = 6000
TAG_LETTERS_MAX = 8000
_KEY = re.compile(r"[\w\-. :/]+")


def check_key(key: object) -> str:
    """Return the name of a metric, parameter or tag if it is one by MLflow's rules.

    Raises:
        Invalid: it is empty, too long, has other characters, or reads like a path that leads elsewhere.
    """
    if not isinstance(key, str) or len(key) > KEY_LETTERS_MAX or not _fits(key):
        raise Invalid(
            "log-name-invalid",
            "This cannot be the name of a metric, parameter or tag.",
            where=str(key)[:80],
            why=f"a name is letters, digits, '_', '-', '.', ' ', ':' and '/', {KEY_LETTERS_MAX} at most, "
            "and does not read like a path that leads elsewhere",
        )
    return key


def is_key(key: str) -> bool:
    """Say whether something may be logged under this name."""
    return len(key) <= KEY_LETTERS_MAX and _fits(key)


@lru_cache(maxsize=4096)
def _fits(key: str) -> bool:
    """Say whether a name is one; training says the same few names a million times."""
    return _KEY.fullmatch(key) is not None and stays(key)


check_tag_key = check_key


def check_text(what: str, key: str, value: object, letters_max: int) -> str:
    """Return the value of a parameter or tag if it is a text that is not too long.

    Args:
        what: `param` or `tag`, for the error.
        key: its name, for the error.
        value: what came.
        letters_max: how many characters it may have.

    Raises:
        Invalid: it is longer.
    """
    text = "" if value is None else str(value)
    if len(text) > letters_max:
        raise Invalid(
            "param-too-long" if what == "param" else "tag-too-long",
            f"The {'parameter' if what == 'param' else what}'s value is too long.",
            where=key[:80],
            why=f"{len(text):,} characters; the limit is {letters_max:,}",
            fix="log it as an artifact",
        )
    return text


def cut(value: object, letters_max: int) -> str:
    """Return a text, cut where it is too long: MLflow's server cuts parameters and tags of runs, and so do we."""
    return ("" if value is None else str(value))[:letters_max]


def stays(path: str) -> bool:
    """Say whether a path leads to a place below where it begins, in the one way to write it."""
    return path == posixpath.normpath(path) and path != "." and not path.startswith(("..", "/"))
