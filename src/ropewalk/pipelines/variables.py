"""Environment variables that steps read: written `env:NAME` among a step's `reads`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ropewalk.refs import digest_of

VARIABLE = "env:"
UNSET = "unset"
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private|(^|_)(key|pwd|dsn)$", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Say whether a variable's name says that nobody may know its value: then no digest of it is kept either."""
    return _SECRET.search(name) is not None


def digest_of_variable(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the digest of a variable's value, or `unset`."""
    value = environ.get(name)
    return UNSET if value is None else digest_of(value.encode(errors="surrogateescape"))
