"""The host's list of workspaces in memory, never older than half a second, with the account of each."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ropewalk.access.roles import READ, Caller
from ropewalk.site import Site
from ropewalk.workspaces.account import Account, Level, count
from ropewalk.workspaces.names import DEFAULT
from ropewalk.workspaces.workspace import HOST, OPEN, Workspace, listed

FRESH_SECONDS = 0.5


class Directory:
    """Knows the workspaces of a host.

    Args:
        site: the host.
        name: of the host's own project, by which roles for it are given.
        open_site: returns the floor of a workspace that is open now, or None.

    Attributes:
        own: names of the host's own project.
        home: its account.
    """

    def __init__(self, site: Site, name: str, open_site: Callable[[str], Site | None]) -> None:
        self._site = site
        self.own = (DEFAULT, name)
        self._open_site = open_site
        self._seen = -FRESH_SECONDS
        self._version = -1
        self._named: dict[str, Workspace] = {}
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()
        self.home = self.account(HOST)

    def fresh(self) -> bool:
        """Say whether the host's rows were looked at so lately that memory may answer."""
        return self._site.clock.monotonic() - self._seen < FRESH_SECONDS

    def look(self) -> None:
        """See whether a workspace was made, changed or taken away; reads rows only when anything was written."""
        with self._lock:
            at = self._site.clock.monotonic()
            version = self._site.db.version()
            if version != self._version:
                with self._site.db.read() as rows:
                    found = listed(rows)
                self._named = {one.name: one for one in found}
                for one in found:
                    known = self._accounts.get(one.id)
                    if known is not None:
                        if known.quota != one.quota:  # points are counted only where they are limited
                            known.forget()
                        known.name, known.quota = one.name, one.quota
                self._version = version
            self._seen = at

    def find(self, name: str) -> Workspace | None:
        """Return the workspace of a name; empty for the host's own project."""
        return self._named.get(name or DEFAULT)

    def account(self, found: Workspace) -> Account:
        """Return the account of a workspace."""
        known = self._accounts.get(found.id)
        if known is None:
            clock = self._site.clock
            known = Account(found.name, found.quota, lambda: self._level(found.id), clock.monotonic)
            self._accounts[found.id] = known
        return known

    def readable(self, caller: Caller | None) -> list[Workspace]:
        """Return the open workspaces that a caller may read anything of; all of them where nobody is asked."""
        return [
            one
            for one in self._named.values()
            if one.state == OPEN and (caller is None or inside(caller, one.name, self.own).may_anywhere(READ))
        ]

    def beside(self) -> list[Workspace]:
        """Return the open workspaces besides the host's own project."""
        return [one for one in self._named.values() if one.state == OPEN and one.id != DEFAULT]

    def ids(self, state: str) -> frozenset[str]:
        """Return the ids of the workspaces in a state."""
        return frozenset(one.id for one in self._named.values() if one.state == state)

    def counted(self, names: Callable[[str], bool]) -> dict[str, Level]:
        """Count what the workspaces hold whose ids are wanted and which are open; return it by id."""
        found: dict[str, Level] = {}
        for one in list(self._named.values()):
            if names(one.id) and self._floor(one.id) is not None:
                found[one.id] = self.account(one).recount()
        return found

    def _floor(self, workspace: str) -> Site | None:
        return self._site if workspace == DEFAULT else self._open_site(workspace)

    def _level(self, workspace: str) -> Level:
        site = self._floor(workspace)
        if site is None:
            return Level()
        account = self._accounts[workspace]
        with site.db.read(seconds_max=None) as rows:
            quota = account.quota
            return count(rows, points=bool(quota.points_max), observed=bool(quota.bytes_max))


def inside(caller: Caller, name: str, own: tuple[str, ...]) -> Caller:
    """Return a caller with what he may do in a workspace, whose own project has several names."""
    return caller.inside(*own) if name in own else caller.inside(name)
