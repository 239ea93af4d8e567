"""A workspace: a project of its own behind the host's door; each change of it is in the host's ledger."""

from __future__ import annotations

from ropewalk.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from ropewalk.records import fields_of, frozen, replace, values_of
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction
from ropewalk.workspaces.names import DEFAULT, require_name
from ropewalk.workspaces.quota import Quota

OPEN, ARCHIVED, DELETED = "open", "archived", "deleted"
# A deleted one keeps its row, and its folder until it is purged, so that usage has a name and a mistake a way back.
MOVES: dict[str, frozenset[str]] = {
    OPEN: frozenset({ARCHIVED, DELETED}),
    ARCHIVED: frozenset({OPEN, DELETED}),
    DELETED: frozenset({OPEN}),
}
DESCRIPTION_LETTERS_MAX = 4000
FOLDERS = "workspaces"


@frozen
class Workspace:
    """A project behind the host's door.

    Attributes:
        id: never given twice, for usage, the schema and the prefix of its objects.
        name: by which callers mean it; free again once it is deleted.
        description: what it is for.
        state: row of `MOVES`.
        folder: where it lies: below the host's `.ropewalk`, or an absolute path that an administrator named; empty
            for the host's own project, and once it was purged.
        own: 1 where the folder is ours to make and to remove.
        created_us: microseconds since the epoch, 0 for `default`.
        changed_us: of the last change.
        bytes_max: with the four below, the fields of its `Quota`.
    """

    id: str
    name: str
    description: str
    state: str
    folder: str
    own: int
    created_us: int
    changed_us: int
    bytes_max: int = 0
    runs_max: int = 0
    points_max: int = 0
    requests_max: int = 0
    tokens_max: int = 0

    @property
    def quota(self) -> Quota:
        """Its limits."""
        return Quota(**{name: getattr(self, name) for name in fields_of(Quota)})


# The host's own project, where its row is missing: rows that a backup of an older release brought back.
HOST = Workspace(id=DEFAULT, name=DEFAULT, description="", state=OPEN, folder="", own=1, created_us=0, changed_us=0)


def listed(rows: Reader, *, deleted: bool = False) -> list[Workspace]:
    """Return workspaces by name, `default` among them; those that were deleted only when they are wanted."""
    return [one for one in rows.all(Workspace, "workspaces.listed") if deleted or one.state != DELETED]


def find(rows: Reader, name: str) -> Workspace | None:
    """Return the workspace of a name, or None."""
    return rows.get(Workspace, "workspaces.by_name", name=name)


def get(rows: Reader, name: str) -> Workspace:
    """Return the workspace of a name.

    Raises:
        NotFound: there is none.
    """
    found = find(rows, name)
    if found is None:
        raise missing(name)
    return found


def missing(name: str) -> NotFound:
    """Return the error of a workspace that is not there, or not there for who asks."""
    return NotFound(
        "workspace-not-found",
        f"Workspace {name[:80]!r} not found.",
        where="workspace",
        why="there is none of this name that you may read",
        fix="ropewalk workspace list",
    )


def add(
    tx: Transaction,
    site: Site,
    name: str,
    *,
    description: str = "",
    quota: Quota | None = None,
    folder: str = "",
    host: str = "",
) -> Workspace:
    """Make a workspace; its folder is made when it is opened first.

    Args:
        tx: the transaction, on the host's rows.
        site: the host.
        name: what it is called.
        description: what it is for.
        quota: its limits, none when left out.
        folder: absolute path of a project that is there already; empty for a new one.
        host: name of the host's own project, which is taken.

    Raises:
        Invalid: name, description or quota cannot be.
        Conflict: there is one of this name, or of this folder.
    """
    _require_description(description)
    _require_free(tx, site, name, host)
    taken = _taken(tx, folder)
    import secrets  # every command knows of workspaces, few make one

    now, new = site.clock.now_us(), secrets.token_hex(6)
    own = f"{FOLDERS}/{name}" if f"{FOLDERS}/{name}" not in taken else f"{FOLDERS}/{name}.{new}"
    made = Workspace(
        id=new,
        name=name,
        description=description,
        state=OPEN,
        folder=folder or own,
        own=int(not folder),
        created_us=now,
        changed_us=now,
        **_limits(quota or Quota()),
    )
    tx.run("workspaces.insert", **values_of(made))
    body = {"name": name, "description": description, "folder": made.folder, **_limits(made.quota)}
    site.record(tx, "workspace.created", f"workspace:{new}", body)
    return made


def describe(tx: Transaction, site: Site, name: str, description: str) -> Workspace:
    """Say anew what a workspace is for.

    Raises:
        NotFound: there is none.
        Invalid: the description is too long.
    """
    _require_description(description)
    found = get(tx, name)
    return _change(tx, site, replace(found, description=description), "workspace.described")


def set_quota(tx: Transaction, site: Site, name: str, quota: Quota) -> Workspace:
    """Give a workspace other limits.

    Raises:
        NotFound: there is none.
    """
    return _change(tx, site, replace(get(tx, name), **_limits(quota)), "workspace.quota-set")


def rename(tx: Transaction, site: Site, name: str, new: str, *, host: str = "") -> Workspace:
    """Call a workspace otherwise; roles and tokens that were given for it go along, its folder stays where it is.

    Raises:
        NotFound: there is none.
        Invalid: the new name cannot be, or the workspace is `default`.
        Conflict: the new name is taken.
    """
    found = _changeable(tx, name, "renamed")
    _require_free(tx, site, new, host)
    tx.run("workspaces.roles_rename", project=new, old=name)
    tx.run("workspaces.tokens_rename", project=new, old=name)
    tx.run("access.changed")
    return _change(tx, site, replace(found, name=new), "workspace.renamed")


def move(tx: Transaction, site: Site, name: str, state: str) -> Workspace:
    """Archive, delete or bring back a workspace; nothing that it holds is touched.

    Raises:
        NotFound: there is none.
        Invalid: it is `default`.
        Conflict: it is in this state already, or its name was given to another one meanwhile.
    """
    found = _changeable(tx, name, state) if state != OPEN else find(tx, name)
    if found is None:
        found = tx.get(Workspace, "workspaces.deleted", name=name)
    if found is None:
        raise missing(name)
    if state not in MOVES[found.state]:
        raise Conflict(
            "workspace-state",
            f"The workspace is {found.state} already.",
            where=name,
            why=f"from {found.state} it can become {', '.join(sorted(MOVES[found.state]))}",
            fix="ropewalk workspace list --deleted",
        )
    return _change(tx, site, replace(found, state=state), f"workspace.{_DONE[state]}")


def to_purge(rows: Reader, name: str) -> Workspace:
    """Return the newest deleted workspace of a name that still has a folder.

    Raises:
        NotFound: there is none.
    """
    found = rows.get(Workspace, "workspaces.deleted", name=name)
    if found is None:
        raise NotFound(
            "workspace-not-deleted",
            "No deleted workspace of this name is left to remove.",
            where=name[:80],
            fix=f"ropewalk workspace delete {name[:80]}",
        )
    return found


def purged(tx: Transaction, site: Site, found: Workspace) -> None:
    """Note that a deleted workspace's rows and files are gone for good."""
    _change(tx, site, replace(found, folder=""), "workspace.purged")


def require_room(rows: Reader, now_us: int, project: str) -> None:
    """Pass only where one more token for a workspace alone fits its quota.

    Raises:
        Unavailable: it has as many as it may.
    """
    found = find(rows, project)
    most = found.tokens_max if found is not None else 0
    valid = int(str(rows.value("workspaces.tokens", project=project, now_us=now_us))) if most else 0
    if most and valid >= most:
        raise Unavailable(
            "quota-reached",
            "The workspace's quota of tokens is used up; nothing was made.",
            where=project,
            why=f"{valid} of {most} are worth something",
            fix=f"ropewalk token revoke ID, or: ropewalk workspace quota {project} --tokens MORE",
        )


def require_open(found: Workspace) -> None:
    """Pass only for a workspace that is open.

    Raises:
        Refused: it is archived.
    """
    if found.state != OPEN:
        raise Refused(
            "workspace-archived",
            "The workspace is archived: nothing is served of it, and nothing of it is lost.",
            where=found.name,
            fix=f"ropewalk workspace restore {found.name}",
        )


_DONE = {OPEN: "restored", ARCHIVED: "archived", DELETED: "deleted"}


def _changeable(tx: Transaction, name: str, wanted: str) -> Workspace:
    if name == DEFAULT:
        raise Invalid(
            "workspace-reserved",
            f"The {DEFAULT!r} workspace is the server's own project and cannot be {wanted}.",
            where=DEFAULT,
            fix="ropewalk workspace list",
        )
    return get(tx, name)


def _taken(tx: Transaction, folder: str) -> set[str]:
    """Return the folders of all workspaces there are and were; `folder` must be none of them."""
    taken = {one.folder for one in listed(tx, deleted=True)}
    if folder and folder in taken:
        raise Conflict(
            "workspace-folder-taken",
            "This folder is a workspace already, or was one.",
            where=folder,
            why="two names for one project would share its quotas and its locks",
            fix="ropewalk workspace list --deleted",
        )
    return taken


def _require_free(tx: Transaction, site: Site, name: str, host: str) -> None:
    """Pass only a name that means nothing yet.

    Nobody may have a role for it either: it must not open a door that was meant for another project.
    """
    require_name(name)
    if name in (DEFAULT, host):
        raise Invalid(
            "workspace-reserved",
            f"The name {name!r} means the server's own project.",
            where=name,
            why=f"it is called {DEFAULT!r}" + (f" and {host!r}" if host else ""),
            fix="choose another name",
        )
    if find(tx, name) is not None:
        raise Conflict(
            "workspace-exists", f"Workspace {name!r} already exists.", where=name, fix="ropewalk workspace list"
        )
    roles = int(str(tx.value("workspaces.roles", project=name)))
    tokens = int(str(tx.value("workspaces.tokens", project=name, now_us=site.clock.now_us())))
    if roles or tokens:
        raise Conflict(
            "workspace-claimed",
            "Roles or tokens are there for a project of this name.",
            where=name,
            why=f"{roles} roles and {tokens} tokens would open the new workspace at once",
            fix="revoke them (ropewalk user list, ropewalk token list), or choose another name",
        )


def _require_description(text: str) -> None:
    if len(text) > DESCRIPTION_LETTERS_MAX or "\0" in text:
        raise Invalid(
            "workspace-description-invalid",
            "This cannot be a description.",
            where="description",
            why=f"at most {DESCRIPTION_LETTERS_MAX} letters, and none of them NUL",
        )


def _change(tx: Transaction, site: Site, changed: Workspace, kind: str) -> Workspace:
    changed = replace(changed, changed_us=site.clock.now_us())
    values = {name: value for name, value in values_of(changed).items() if name not in ("own", "created_us")}
    tx.run("workspaces.change", **values)
    body = {"name": changed.name, "description": changed.description, "state": changed.state}
    site.record(tx, kind, f"workspace:{changed.id}", {**body, "folder": changed.folder, **_limits(changed.quota)})
    return changed


def _limits(quota: Quota) -> dict[str, int]:
    return {name: int(value) for name, value in values_of(quota).items()}
