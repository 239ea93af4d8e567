"""The keeper of the door: tells who a token, a password or a cookie belongs to, from memory while nothing has changed.

Nothing is believed for longer than half a second without a look at the store's version; a change of any user, role or
token makes every remembered answer void, in every process that shares the store.
"""

from __future__ import annotations

import hmac
import logging
import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace

from ropewalk.access import attempts, passwords, sessions, tokens, users
from ropewalk.access.roles import Caller, Grant
from ropewalk.errors import Refused, Unavailable
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

FRESH_SECONDS = 0.5
PASSWORD_SECONDS = 60.0
REMEMBERED_MAX = 10_000
FOREVER = float("inf")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A remembered answer.

    Attributes:
        caller: who it is.
        changes: the store's count of changes when it was true.
        expires_us: when the token or session ends, by the wall clock.
        until: when it has to be proved again, by the monotonic clock.
    """

    caller: Caller
    changes: int
    expires_us: float
    until: float


class Keeper:
    """Knows callers of one project.

    Args:
        site: the project's folder.
        project: its name, by which roles are given.
        aliases: other names that mean it.
        fresh_seconds: how long nothing has to be looked at.
    """

    def __init__(
        self, site: Site, project: str, *, aliases: tuple[str, ...] = (), fresh_seconds: float = FRESH_SECONDS
    ) -> None:
        self._site = site
        self._projects = (project, *aliases)
        self._fresh = fresh_seconds
        self._seen = -FOREVER
        self._version = -1
        self._changes = -1
        self._remembered: dict[bytes, _Known] = {}
        self._proved: dict[bytes, int] = {}
        self._used: dict[str, int] = {}
        self._key = os.urandom(32)
        self._one_login = threading.Lock()

    def now(self) -> float:
        """Return the seconds of the clock that no one sets."""
        return self._site.clock.monotonic()

    # ------------------------------------------------------------------------------------------- from memory
    def fresh(self) -> bool:
        """Say whether the store was looked at so lately that memory may answer."""
        return self._site.clock.monotonic() - self._seen < self._fresh

    def look(self) -> None:
        """See whether anybody's rights have changed; reads the store only when anything at all was written."""
        at = self._site.clock.monotonic()
        version = self._site.db.version()
        if version != self._version:
            with self._site.db.read() as rows:
                self._changes = _changes(rows)
            self._version = version
        self._seen = at

    def remembered(self, mark: bytes) -> Caller | None:
        """Return the caller that a secret or a password belongs to, from memory alone; None asks the store.

        Args:
            mark: a token, a cookie's secret, or what `mark_of` returns.
        """
        known = self._remembered.get(mark)
        if known is None or known.changes != self._changes:
            return None
        clock = self._site.clock
        now_us = clock.now_us()
        if now_us >= known.expires_us or clock.monotonic() >= known.until:
            return None
        token = known.caller.token
        if token and now_us - self._used.get(token, 0) >= tokens.USED_EVERY_US:
            self._note(token, now_us)
        return known.caller

    def mark_of(self, name: str, password: str) -> bytes:
        """Return the keyed digest under which a password is remembered; the key dies with the process."""
        words = name.casefold().encode("utf-8", "surrogatepass") + b"\0" + password.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, words, "sha256")

    # ------------------------------------------------------------------------------------------ from the store
    def token(self, secret: bytes) -> Caller | None:
        """Return whom a token speaks for, or None when it is worth nothing."""
        if not tokens.is_token(secret):
            return None
        now_us = self._site.clock.now_us()
        with self._site.db.read() as rows:
            found = tokens.by_secret(rows, secret)
            if found is None or found.revoked_us is not None or now_us >= found.expires_us:
                return None
            grants = _grants(rows, found.user_name)
            changes = _changes(rows)
        if grants is None:
            return None
        caller = self._caller(found.user_name, grants, "token", token=found.id, scope=found.scope)
        self._remember(secret, caller, changes, expires_us=found.expires_us)
        self._note(found.id, now_us)
        return caller

    def session(self, secret: bytes) -> Caller | None:
        """Return who has logged in with a cookie, or None."""
        with self._site.db.read() as rows:
            found = sessions.find(rows, secret, self._site.clock.now_us())
            grants = None if found is None else _grants(rows, found.user_name)
            changes = _changes(rows)
        if found is None or grants is None:
            return None
        caller = self._caller(found.user_name, grants, "session")
        self._remember(secret, caller, changes, expires_us=found.expires_us)
        return caller

    def password(self, name: str, password: str, address: str) -> Caller | None:
        """Return who a name and a password belong to, or None; slow, one at a time, and counted when it is wrong.

        Args:
            name: the user's.
            password: what he gave.
            address: where he asks from.

        Raises:
            Refused: account or address has no guess left.
        """
        mark = self.mark_of(name, password)
        with self._one_login:
            self.look()
            known = self.remembered(mark)
            if known is not None:
                return known
            with self._site.db.read() as rows:
                user = users.find(rows, name)
                grants = None if user is None else _grants(rows, user.name)
                changes = _changes(rows)
                if self._proved.get(mark) != changes:  # who has shown the right one is not locked out by others
                    attempts.require(rows, name, address, self._site.clock.now_us())
            good = passwords.fits(user.password if user is not None else "", password)
            if user is None or grants is None or not good:
                self._failed(name, address)
                return None
            caller = self._caller(user.name, grants, "password")
            if self._proved.get(mark) != changes:
                self._entered(user.name, address)
                self._proved[mark] = changes
            until = self._site.clock.monotonic() + PASSWORD_SECONDS
            self._remember(mark, caller, changes, until=until)
            return caller

    def login(self, name: str, password: str, address: str, *, old: str = "") -> str | None:
        """Return the secret of a new session, or None when the password is wrong.

        Args:
            name: the user's.
            password: what he gave.
            address: where he asks from.
            old: secret of a cookie that came along; it is never carried on.

        Raises:
            Refused: account or address has no guess left.
        """
        caller = self.password(name, password, address)
        if caller is None:
            return None
        site = replace(self._site, actor=caller.name)

        def begin(tx: Transaction) -> str:
            site.record(tx, "access.session-started", f"user:{caller.name}", {"address": address})
            return sessions.start(tx, site, caller.name, old=old)

        return self._site.db.write(begin)

    def logout(self, caller: Caller, secret: bytes) -> None:
        """End a session."""
        site = replace(self._site, actor=caller.name)

        def finish(tx: Transaction) -> None:
            if sessions.end(tx, secret):
                site.record(tx, "access.session-ended", f"user:{caller.name}", {})

        self._site.db.write(finish)

    def denied(self, caller: Caller, what: str) -> None:
        """Write down that somebody asked for what only an administrator may do."""
        site = replace(self._site, actor=caller.name)
        self._site.db.write(lambda tx: site.record(tx, "access.denied", f"user:{caller.name}", {"asked": what}))

    # ---------------------------------------------------------------------------------------------- inside
    def _caller(
        self, name: str, grants: tuple[Grant, ...], way: str, *, token: str = "", scope: Grant | None = None
    ) -> Caller:
        known = Caller(name=name, rights=frozenset(), way=way, token=token, grants=grants, scope=scope)
        return known.inside(*self._projects)

    def _remember(
        self, mark: bytes, caller: Caller, changes: int, *, expires_us: float = FOREVER, until: float = FOREVER
    ) -> None:
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
            self._proved.clear()
        self._remembered[mark] = _Known(caller=caller, changes=changes, expires_us=expires_us, until=until)

    def _note(self, token: str, now_us: int) -> None:
        """Let the store know, once a minute at most, that a token was used; nobody waits for it."""
        if now_us - self._used.get(token, 0) < tokens.USED_EVERY_US:
            return
        if len(self._used) >= REMEMBERED_MAX:
            self._used.clear()
        self._used[token] = now_us
        try:
            self._site.db.submit(lambda tx: tokens.used(tx, token, now_us)).add_done_callback(_complain)
        except Unavailable as error:
            log.warning("the last use of a token was not kept: %s", error.code)

    def _failed(self, name: str, address: str) -> None:
        site = replace(self._site, actor=f"address:{address}")

        def count(tx: Transaction) -> None:
            last = attempts.failed(tx, name, address, site.clock.now_us())
            site.record(tx, "access.login-failed", f"user:{name[:128]}", {"address": address, "locked": last})

        self._site.db.write(count)

    def _entered(self, name: str, address: str) -> None:
        site = replace(self._site, actor=name)

        def note(tx: Transaction) -> None:
            attempts.succeeded(tx, name)
            site.record(tx, "access.login", f"user:{name}", {"address": address})

        self._site.db.write(note)


def unknown() -> Refused:
    """Return the error of who is not known; it never says which part was wrong."""
    return Refused(
        "unauthenticated",
        "This server wants to know who you are.",
        where="Authorization",
        why="nothing was given, or it is not, or no longer, worth anything",
        fix="export MLFLOW_TRACKING_TOKEN=rw_...; an administrator makes one: ropewalk token create --user NAME",
    )


def _grants(rows: Reader, name: str) -> tuple[Grant, ...] | None:
    """Return somebody's roles; None for who may not enter."""
    user = users.find(rows, name)
    return tuple(users.grants(rows, user.name)) if user is not None and user.state == users.ACTIVE else None


def _changes(rows: Reader) -> int:
    return int(str(rows.value("access.changes")))


def _complain(done: Future[None]) -> None:
    """Say in the log that the time of a use could not be kept; the use itself was good."""
    if not done.cancelled() and done.exception() is not None:
        log.warning("the last use of a token was not kept: %s", type(done.exception()).__name__)
