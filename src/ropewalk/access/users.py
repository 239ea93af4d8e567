"""Users: who may enter, with what password, in which roles; every change is in the ledger and ends what it must end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ropewalk.access.passwords import hashed
from ropewalk.access.roles import Grant, require_role
from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.refs import is_name
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

PERSON, SERVICE = "person", "service"
ACTIVE, DISABLED = "active", "disabled"
# An address of e-mail is a name too: the one that git signs commits with joins both worlds. `:` ends a name in Basic.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may enter.

    Attributes:
        name: under which everything he makes is recorded.
        kind: `person`, or `service`, which has no password.
        state: `active` or `disabled`.
        created_us: microseconds since the epoch.
        password_us: when the password was set last.
        password: its argon2id hash; empty for a service.
    """

    name: str
    kind: str
    state: str
    created_us: int
    password_us: int
    password: str


def find(rows: Reader, name: str) -> User | None:
    """Return a user by his name, whatever its case; None when there is none."""
    return rows.get(User, "access.user", folded=name.casefold())


def get(rows: Reader, name: str) -> User:
    """Return a user by his name.

    Raises:
        NotFound: there is none.
    """
    found = find(rows, name)
    if found is None:
        raise NotFound("user-not-found", "There is no such user.", where=name[:80], fix="ropewalk user list")
    return found


def listed(rows: Reader) -> list[User]:
    """Return every user by name."""
    return rows.all(User, "access.users")


def active(rows: Reader) -> int:
    """Return how many may enter."""
    return int(str(rows.value("access.user_count")))


def grants(rows: Reader, name: str) -> list[Grant]:
    """Return the roles of a user."""
    return rows.all(Grant, "access.roles_of", user_name=name)


def add(tx: Transaction, site: Site, name: str, *, password: str = "", service: bool = False) -> User:
    """Let somebody in, without any role yet.

    Args:
        tx: the transaction.
        site: the project.
        name: letters, digits and `._+@-`, 128 at most.
        password: of a person; a service has none.
        service: whether it is a program.

    Raises:
        Invalid: the name or the password cannot be one.
        Conflict: there is a user of this name, whatever its case.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            "user-name-invalid",
            "This cannot be a user's name.",
            where=name[:80],
            why="a name is letters, digits and the signs . _ + @ -, 128 at most, and begins with a letter or a digit",
            fix="ropewalk user add ann@example.org",
        )
    if find(tx, name) is not None:
        raise Conflict("user-exists", "There is a user of this name.", where=name, fix="ropewalk user list")
    now = site.clock.now_us()
    user = User(
        name=name,
        kind=SERVICE if service else PERSON,
        state=ACTIVE,
        created_us=now,
        password_us=now,
        password="" if service else hashed(password),
    )
    values = {field: getattr(user, field) for field in User.__slots__}
    tx.run("access.user_insert", folded=name.casefold(), **values)
    changed(tx)
    site.record(tx, "access.user-added", f"user:{name}", {"kind": user.kind})
    return user


def set_password(tx: Transaction, site: Site, name: str, password: str) -> User:
    """Set another password; all sessions and all tokens of the user end.

    Raises:
        NotFound: there is no such user.
        Invalid: the password cannot be one, or the user is a service.
    """
    user = get(tx, name)
    if user.kind == SERVICE:
        raise Invalid(
            "user-is-service",
            "A service has no password.",
            where=user.name,
            fix=f"ropewalk token create --user {user.name}",
        )
    now = site.clock.now_us()
    tx.run("access.user_password", name=user.name, password=hashed(password), at_us=now)
    tx.run("access.attempts_forget", subject=f"user:{user.name.casefold()}")
    ended = _end(tx, user.name, now)
    site.record(tx, "access.password-set", f"user:{user.name}", {"tokens_revoked": ended})
    return get(tx, user.name)


def disable(tx: Transaction, site: Site, name: str) -> User:
    """Let somebody in no more; all his sessions and tokens end.

    Raises:
        NotFound: there is no such user.
    """
    user = get(tx, name)
    tx.run("access.user_state", name=user.name, state=DISABLED)
    ended = _end(tx, user.name, site.clock.now_us())
    site.record(tx, "access.user-disabled", f"user:{user.name}", {"tokens_revoked": ended})
    return get(tx, user.name)


def enable(tx: Transaction, site: Site, name: str) -> User:
    """Let somebody in again, in the roles that he had; tokens that were revoked stay so.

    Raises:
        NotFound: there is no such user.
    """
    user = get(tx, name)
    tx.run("access.user_state", name=user.name, state=ACTIVE)
    changed(tx)
    site.record(tx, "access.user-enabled", f"user:{user.name}", {})
    return get(tx, user.name)


def grant(tx: Transaction, site: Site, name: str, given: Grant) -> bool:
    """Give a role; say whether he had not had it.

    Raises:
        NotFound: there is no such user.
        Invalid: there is no such role, or project or environment cannot be names.
    """
    user = get(tx, name)
    check(given)
    values = _columns(given)
    new = tx.run("access.role_insert", user_name=user.name, at_us=site.clock.now_us(), **values) > 0
    if new:
        changed(tx)
        site.record(tx, "access.role-granted", f"user:{user.name}", values)
    return new


def revoke(tx: Transaction, site: Site, name: str, taken: Grant) -> None:
    """Take a role away.

    Raises:
        NotFound: there is no such user, or he has no such role there.
    """
    user = get(tx, name)
    values = _columns(taken)
    if tx.run("access.role_delete", user_name=user.name, **values) == 0:
        raise NotFound(
            "role-not-granted",
            "The user has no such role there.",
            where=user.name,
            why=f"he has {', '.join(spoken(one) for one in grants(tx, user.name)) or 'none'}",
            fix="ropewalk user list",
        )
    changed(tx)
    site.record(tx, "access.role-revoked", f"user:{user.name}", values)


def check(given: Grant) -> None:
    """Pass only a role of the table, for a project and an environment that can be names.

    Raises:
        Invalid: it is not.
    """
    require_role(given.role)
    for name in (given.project, given.environment):
        if name != "*" and not is_name(name):
            raise Invalid(
                "role-scope-invalid",
                "A role is given for a project and an environment, or for '*'.",
                where=name[:80],
                fix="ropewalk user grant ann developer --environment dev",
            )


def spoken(given: Grant) -> str:
    """Return a role as people read it: `developer in dev of churn`."""
    where = "every environment" if given.environment == "*" else given.environment
    return f"{given.role} in {where}" + ("" if given.project == "*" else f" of {given.project}")


def changed(tx: Transaction) -> None:
    """Tell every process, within a second, that somebody's rights are others now."""
    tx.run("access.changed")


def _columns(given: Grant) -> dict[str, str]:
    return {"role": given.role, "project": given.project, "environment": given.environment}


def _end(tx: Transaction, name: str, now_us: int) -> int:
    tx.run("access.sessions_delete", user_name=name)
    ended = tx.run("access.tokens_revoke", user_name=name, at_us=now_us)
    changed(tx)
    return ended
