"""Passwords: what may be one, its argon2id hash and the check against it, slow on purpose."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ropewalk.errors import Invalid, missing_extra

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# OWASP's setting for argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
LETTERS_MIN, BYTES_MAX = 12, 1024


@cache
def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise missing_extra("argon2-cffi", "auth") from None
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


@cache
def nobodys() -> str:
    """Return a hash that no password fits: checked for unknown users, so that the time tells nothing."""
    from secrets import token_hex

    return _hasher().hash(token_hex(32))


def hashed(password: str) -> str:
    """Return the password's hash with its salt and setting, as argon2 writes it.

    Raises:
        Invalid: it is too short or too long to be a password.
        Missing: argon2-cffi is not installed.
    """
    size = len(password.encode("utf-8", "surrogatepass"))
    if len(password) < LETTERS_MIN or size > BYTES_MAX or not password.strip():
        raise Invalid(
            "password-unfit",
            "This cannot be a password.",
            where="password",
            why=f"it has {len(password)} characters; wanted are at least {LETTERS_MIN}, and {BYTES_MAX} bytes at most",
            fix="take a longer one: four random words do",
        )
    return _hasher().hash(password.encode("utf-8", "surrogatepass"))


def fits(hash_: str, password: str) -> bool:
    """Say whether a password is the one of a hash; takes tens of milliseconds and 19 MiB.

    Args:
        hash_: from `hashed`; empty never fits.
        password: what was given.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    given = password.encode("utf-8", "surrogatepass")
    if len(given) > BYTES_MAX:
        return False
    try:
        return _hasher().verify(hash_ or nobodys(), given) and bool(hash_)
    except (VerificationError, InvalidHashError):
        return False
