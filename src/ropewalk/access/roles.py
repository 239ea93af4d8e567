"""The one table of roles and what each may do, and the caller of a request with what his roles add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from ropewalk.errors import Invalid

READ, WRITE, APPROVE, OPERATE, ADMIN = ACTIONS = ("read", "write", "approve", "operate", "admin")
# What everybody may who is known, whatever his roles: to ask what the server can do, and which workspaces are his.
KNOWN = "known"
ANY = "*"
# Nobody but an approver approves and nobody but an operator deploys; an administrator may do both, under his own name
# and in the ledger, but never approve what he shipped himself.
ROLES: dict[str, frozenset[str]] = {
    "viewer": frozenset({READ}),
    "developer": frozenset({READ, WRITE}),
    "approver": frozenset({READ, APPROVE}),
    "operator": frozenset({READ, WRITE, OPERATE}),
    "admin": frozenset(ACTIONS),
}
Rights = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role that somebody has.

    Attributes:
        role: row of the table.
        project: where, `*` for every project of this store.
        environment: where, `*` for every environment.
    """

    role: str
    project: str = ANY
    environment: str = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and what he may do in the project that is asked.

    Attributes:
        name: the user's, or the service's; what he makes is recorded under it.
        rights: pairs of an action and the environment it is allowed in, `*` for all of them.
        environment: the one that the request is about, where a route names no other.
        way: how he was known: `local`, `token`, `password` or `session`.
        token: id of the token, else empty.
        grants: the roles that he has anywhere; None where he may do the same in every project.
        scope: what his token is for; None without one.
    """

    name: str
    rights: Rights
    environment: str = ANY
    way: str = "local"
    token: str = ""
    grants: tuple[Grant, ...] | None = None
    scope: Grant | None = None

    def may(self, action: str, environment: str = "") -> bool:
        """Say whether an action is allowed in an environment; in the request's own when none is named."""
        where = environment or self.environment
        return (action, ANY) in self.rights or (action, where) in self.rights or action == KNOWN

    def inside(self, *projects: str) -> Caller:
        """Return the same caller with what he may do in another project, which may have several names."""
        return self if self.grants is None else replace(self, rights=_within(self.grants, self.scope, projects))

    def may_anywhere(self, action: str) -> bool:
        """Say whether an action is allowed in any environment at all."""
        return any(own == action for own, _ in self.rights)


@lru_cache(maxsize=4096)
def _within(grants: tuple[Grant, ...], scope: Grant | None, projects: tuple[str, ...]) -> Rights:
    rights = rights_of(grants, *projects)
    return rights if scope is None else narrowed(rights, scope, *projects)


def rights_of(grants: Iterable[Grant], *projects: str) -> Rights:
    """Return what roles add up to in one project, by any of its names."""
    return frozenset(
        (action, grant.environment)
        for grant in grants
        if grant.project in (ANY, *projects)
        for action in ROLES.get(grant.role, ())
    )


def narrowed(rights: Rights, scope: Grant, *projects: str) -> Rights:
    """Return what is left of somebody's rights for a token of a scope: never more than both allow."""
    if scope.project not in (ANY, *projects):
        return frozenset()
    left: set[tuple[str, str]] = set()
    for action, environment in rights:
        if action not in ROLES.get(scope.role, ()):
            continue
        if environment == ANY:
            left.add((action, scope.environment))
        elif scope.environment in (ANY, environment):
            left.add((action, environment))
    return frozenset(left)


def everything(name: str) -> Caller:
    """Return the caller of a server without authentication: whoever works here, with every right."""
    return Caller(name=name, rights=frozenset((action, ANY) for action in ACTIONS))


def require_role(role: str) -> None:
    """Pass only for a role of the table.

    Raises:
        Invalid: there is no such role.
    """
    if role not in ROLES:
        raise Invalid(
            "role-unknown",
            "There is no such role.",
            where=role[:80],
            why=f"the roles are {', '.join(ROLES)}",
            fix="ropewalk user grant ann developer",
        )
