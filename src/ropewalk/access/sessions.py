"""Sessions: browsers that have logged in; a new secret at every login, and an end with the password."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ropewalk.access import users
from ropewalk.access.tokens import digest
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

HOURS = 12
HOUR_US = 3_600_000_000
PREFIX = "rs_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that has logged in.

    Attributes:
        user_name: who.
        created_us: microseconds since the epoch.
        expires_us: when he has to log in again.
    """

    user_name: str
    created_us: int
    expires_us: int


def start(tx: Transaction, site: Site, user: str, *, old: str = "") -> str:
    """Begin a session and return its secret for the cookie; the one before, if there was one, ends.

    Args:
        tx: the transaction of the login.
        site: the project.
        user: who has just shown his password.
        old: secret of the cookie that came with the login; never carried on.
    """
    now = site.clock.now_us()
    tx.run("access.sessions_expired", now_us=now)
    if old:
        tx.run("access.session_delete", digest=digest(old.encode()))
    secret = PREFIX + secrets.token_urlsafe(32)
    tx.run(
        "access.session_insert",
        digest=digest(secret.encode()),
        user_name=user,
        created_us=now,
        expires_us=now + HOURS * HOUR_US,
    )
    return secret


def find(rows: Reader, secret: bytes, now_us: int) -> Session | None:
    """Return the session of a cookie, or None when there is none that holds."""
    found = rows.get(Session, "access.session", digest=digest(secret))
    return found if found is not None and now_us < found.expires_us else None


def end(tx: Transaction, secret: bytes) -> bool:
    """Log out; say whether there was a session."""
    ended = tx.run("access.session_delete", digest=digest(secret)) > 0
    if ended:
        users.changed(tx)
    return ended
