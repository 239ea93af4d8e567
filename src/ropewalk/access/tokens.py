"""Tokens: 256 random bits shown once and kept as their sha256, for a scope and a time, revocable."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from ropewalk.access import users
from ropewalk.access.roles import Grant
from ropewalk.errors import Invalid, NotFound, Refused
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

PREFIX = "rw_"
RANDOM_BYTES = 32
DAYS_MAX = 90
DAY_US = 86_400_000_000
USED_EVERY_US = 60_000_000
NOTE_LETTERS_MAX = 200
# Base64 of 32 bytes, without padding; whatever has not this form is no token and asks the store nothing.
_FORM = re.compile(rb"rw_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is kept: never its secret.

    Attributes:
        id: by which it is named and revoked.
        user_name: for whom it speaks.
        note: what it is for.
        role: the most it may be, with `project` and `environment`.
        created_us: microseconds since the epoch, like the times below.
        expires_us: from then on it is worth nothing.
        revoked_us: since when it is worth nothing, or None.
        used_us: last use, to the minute, or None.
    """

    id: str
    user_name: str
    note: str
    role: str
    project: str
    environment: str
    created_us: int
    expires_us: int
    revoked_us: int | None
    used_us: int | None

    @property
    def scope(self) -> Grant:
        """The most it may do."""
        return Grant(role=self.role, project=self.project, environment=self.environment)


def is_token(secret: bytes) -> bool:
    """Say whether this has the form of a token."""
    return _FORM.fullmatch(secret) is not None


def digest(secret: bytes) -> str:
    """Return what is kept of a secret of 256 random bits; it needs no slow hash."""
    return hashlib.sha256(secret).hexdigest()


def create(
    tx: Transaction, site: Site, user: str, *, scope: Grant, days: int = DAYS_MAX, note: str = ""
) -> tuple[Token, str]:
    """Make a token; return it with its secret, which is kept nowhere.

    Args:
        tx: the transaction.
        site: the project.
        user: for whom it speaks.
        scope: the most it may do; what the user may not do it may not either.
        days: how long it is worth something, 90 at most.
        note: what it is for.

    Raises:
        NotFound: there is no such user.
        Refused: the user is disabled.
        Invalid: scope, days or note cannot be.
    """
    owner = users.get(tx, user)
    users.check(scope)
    if owner.state != users.ACTIVE:
        raise Refused(
            "user-disabled", "The user is disabled.", where=owner.name, fix=f"ropewalk user enable {owner.name}"
        )
    if not 1 <= days <= DAYS_MAX:
        raise Invalid(
            "token-days-invalid", f"A token lives 1 to {DAYS_MAX} days.", where=str(days), fix=f"--days {DAYS_MAX}"
        )
    if len(note) > NOTE_LETTERS_MAX or not note.isprintable():
        raise Invalid("token-note-invalid", f"A note is one line of {NOTE_LETTERS_MAX} letters at most.", where="note")
    now = site.clock.now_us()
    secret = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    token = Token(
        id=secrets.token_hex(6),
        user_name=owner.name,
        note=note,
        role=scope.role,
        project=scope.project,
        environment=scope.environment,
        created_us=now,
        expires_us=now + days * DAY_US,
        revoked_us=None,
        used_us=None,
    )
    values = {name: getattr(token, name) for name in Token.__slots__ if name not in ("revoked_us", "used_us")}
    tx.run("access.token_insert", digest=digest(secret.encode()), **values)
    told = {"user": owner.name, "role": scope.role, "project": scope.project, "environment": scope.environment}
    site.record(tx, "access.token-created", f"token:{token.id}", {**told, "expires_us": token.expires_us, "note": note})
    return token, secret


def by_secret(rows: Reader, secret: bytes) -> Token | None:
    """Return the token of a secret, whatever its state; looked up by digest, so that no comparison leaks time."""
    return rows.get(Token, "access.token_by_digest", digest=digest(secret))


def listed(rows: Reader, user: str = "") -> list[Token]:
    """Return tokens, newest first; those of one user when one is named."""
    return rows.all(Token, "access.tokens", user_name=user)


def revoke(tx: Transaction, site: Site, token: str) -> Token:
    """Make a token worth nothing, everywhere within a second.

    Raises:
        NotFound: there is no such token, or it was revoked before.
    """
    if tx.run("access.token_revoke", id=token, at_us=site.clock.now_us()) == 0:
        raise NotFound(
            "token-not-found",
            "There is no such token that is worth anything.",
            where=token[:80],
            fix="ropewalk token list",
        )
    users.changed(tx)
    found = tx.get(Token, "access.token", id=token)
    assert found is not None, "it was revoked a line above"
    site.record(tx, "access.token-revoked", f"token:{token}", {"user": found.user_name})
    return found


def used(tx: Transaction, token: str, at_us: int) -> None:
    """Remember that a token was used, once a minute at most."""
    tx.run("access.token_used", id=token, at_us=at_us, before_us=at_us - USED_EVERY_US)
