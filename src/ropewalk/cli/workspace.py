"""`ropewalk workspace` keeps the projects of many teams behind one server, each with its own rows, files and ledger."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.store.database import Transaction
    from ropewalk.workspaces.quota import Quota
    from ropewalk.workspaces.workspace import Workspace

EXAMPLE = """
ropewalk workspace create team-a --description "Fraud models" --bytes 50GB --requests 6000
ropewalk user grant ann developer --in-project team-a
ropewalk workspace add flights --folder /srv/flights       # a project that is there already
ropewalk workspace quota team-a --runs 10000 --bytes 0     # 0 takes a limit away
ropewalk workspace show team-a
ropewalk workspace rename team-a fraud
ropewalk workspace archive team-a                          # closed, nothing is lost; restore opens it
ropewalk workspace delete team-a --with-contents           # restore takes it back until it is purged
ropewalk workspace purge team-a --yes                      # removes its rows and files for good, its objects too
ropewalk --workspace team-a verify                         # any command, in a workspace
"""
# Workspaces are the host's to keep, whichever of them is meant.
OF_HOST = True
ACTIONS = (
    "list", "create", "add", "show", "describe", "quota", "rename", "archive", "restore", "delete", "purge",
)  # fmt: skip
LIMITS = ("bytes", "runs", "points", "requests", "tokens")
NAMES = {"list": 0, "rename": 2}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, with which workspace, and its limits."""
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the workspace")
    parser.add_argument("new", nargs="?", default="", metavar="NEW", help="its new name (for rename)")
    parser.add_argument("--description", default=None, help="what it is for")
    parser.add_argument("--folder", default="", metavar="PATH", help="a project that is there already (for add)")
    parser.add_argument("--bytes", default=None, metavar="SIZE", help="of artifacts, such as 50GB; 0 for no limit")
    for word, meaning in (
        ("runs", "runs that are not deleted"),
        ("points", "points of metrics"),
        ("requests", "requests a minute"),
        ("tokens", "tokens for this workspace alone"),
    ):
        parser.add_argument(f"--{word}", type=_number, default=None, metavar="N", help=f"{meaning}; 0 for no limit")
    parser.add_argument("--deleted", action="store_true", help="list: those that were deleted too")
    parser.add_argument("--with-contents", action="store_true", help="delete: though it holds something")
    parser.add_argument("--yes", action="store_true", help="purge: do it; nothing brings it back")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Do it, and write it into the host's ledger in the same transaction."""
    from ropewalk.cli.project import require_project
    from ropewalk.house import open_house

    require_project(options.project)
    _complete(options)
    with open_house(options.project) as house:
        match options.action:
            case "list":
                _list(house, options, out)
            case "show":
                _show(house, options.name, out)
            case "purge":
                _purge(house, options, out)
            case _:
                _change(house, options, out)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"wanted a whole number, found {text!r}")
    return int(text)


def _complete(options: argparse.Namespace) -> None:
    from ropewalk.errors import Invalid

    action = options.action
    wanted, given = NAMES.get(action, 1), bool(options.name) + bool(options.new)
    why = ""
    if given != wanted:
        why = f"it takes {('no name', 'NAME', 'NAME and NEW')[wanted]}"
    elif (action == "add") != bool(options.folder):
        why = "add takes --folder PATH, and nothing else does"
    elif action == "describe" and options.description is None:
        why = "it takes --description"
    elif action == "quota" and all(getattr(options, word) is None for word in LIMITS):
        why = f"it takes at least one of {', '.join(f'--{word}' for word in LIMITS)}"
    if why:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=f"ropewalk workspace {action}",
            why=why,
            fix="ropewalk workspace --help",
        )


def _list(house: House, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.workspaces import usage, workspace

    with house.site.db.read() as rows:
        found = workspace.listed(rows, deleted=options.deleted)
        held = {one.id: usage.newest(rows, one.id) for one in found}
    out.table(
        ("name", "state", "bytes", "runs", "limits", "description"),
        [
            (
                one.name,
                one.state if one.folder or one.name == "default" else "purged",
                now.bytes if (now := held[one.id]) else 0,
                now.runs if now else 0,
                _limits(one.quota),
                one.description,
            )
            for one in found
        ],
    )
    out.result([_told(one) for one in found])
    out.next("ropewalk workspace create NAME" if len(found) == 1 else "ropewalk usage")


def _show(house: House, name: str, out: Output) -> None:
    from ropewalk.api.resting import held
    from ropewalk.api.workspaces import standings
    from ropewalk.workspaces import workspace
    from ropewalk.workspaces.place import root_of

    site = house.site
    with site.db.read() as rows:
        found = workspace.get(rows, name)
        (standing,) = standings(rows, site.clock.now_us(), [found])
    holding = held(site.root, found)
    out.fields(
        {
            "name": found.name,
            "state": found.state,
            "description": found.description or "none",
            "folder": root_of(site.root, found),
            "limits": _limits(found.quota) or "none",
            "tokens": standing.tokens,
            "holds": ", ".join(f"{count:,} {what}" for what, count in holding.items()) or "nothing",
        }
    )
    out.result({**_told(found), "folder": str(root_of(site.root, found)), "tokens": standing.tokens, "holds": holding})
    out.next(f"ropewalk --workspace {name} status", f"ropewalk usage --workspace {name}")


def _change(house: House, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.api.mlflow.workspaces import require_empty
    from ropewalk.api.resting import held
    from ropewalk.workspaces import workspace
    from ropewalk.workspaces.quota import Quota

    site, action, name, own = house.site, options.action, options.name, house.settings.name
    if action == "delete" and not options.with_contents:
        with site.db.read() as rows:
            require_empty(name, held(site.root, workspace.get(rows, name)))
    folder = str(_folder(house, Path(options.folder))) if action == "add" else ""
    states = {"archive": workspace.ARCHIVED, "restore": workspace.OPEN, "delete": workspace.DELETED}

    def work(tx: Transaction) -> Workspace:
        match action:
            case "create" | "add":
                quota = _quota(options, Quota())
                text = options.description or ""
                return workspace.add(tx, site, name, description=text, quota=quota, folder=folder, host=own)
            case "describe":
                return workspace.describe(tx, site, name, options.description)
            case "quota":
                return workspace.set_quota(tx, site, name, _quota(options, workspace.get(tx, name).quota))
            case "rename":
                return workspace.rename(tx, site, name, options.new, host=own)
            case _:
                return workspace.move(tx, site, name, states[action])

    changed = site.db.write(work)
    out.line(f"{changed.name}: {_DONE[action]}" + (f"; limits: {_limits(changed.quota)}" * (action == "quota")))
    out.result(_told(changed))
    out.next(*(word.format(name=changed.name) for word in _NEXT.get(action, ("ropewalk workspace list",))))


_DONE = {
    "create": "is there; roles for it are given with --in-project",
    "add": "is served from its own folder",
    "describe": "is described anew",
    "quota": "has other limits, which count within a second",
    "rename": "is its name now; roles and tokens went along",
    "archive": "is closed; nothing of it is lost",
    "restore": "is open again",
    "delete": "is deleted; its rows and files stay until it is purged",
}
_MADE = ("ropewalk user grant USER developer --in-project {name}", 'mlflow.set_workspace("{name}")')
_NEXT = {
    "create": _MADE,
    "add": _MADE,
    "archive": ("ropewalk workspace restore {name}",),
    "delete": ("ropewalk workspace restore {name}", "ropewalk workspace purge {name}"),
}


def _folder(house: House, given: Path) -> Path:
    """Return the folder of a project that may be served as a workspace.

    Raises:
        NotFound: it is no project.
        Conflict: it is the host's own, or keeps its rows where the host does.
    """
    from ropewalk.cli.project import require_project
    from ropewalk.errors import Conflict
    from ropewalk.settings import read_settings
    from ropewalk.workspaces.stores import host_of, store_url

    root = given.resolve()
    require_project(root)
    url = store_url(root, read_settings(root), guest=True)
    if root == house.site.root or host_of(root) or (url and url == store_url(house.site.root, house.settings)):
        raise Conflict(
            "workspace-folder-taken",
            "This folder cannot be another workspace.",
            where=str(root),
            why="it is the server's own project, another one's workspace, or keeps its rows in the server's store",
            fix="ropewalk workspace create NAME",
        )
    return root


def _purge(house: House, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.api.resting import purge
    from ropewalk.settings import read_settings
    from ropewalk.workspaces import workspace
    from ropewalk.workspaces.place import is_own_prefix, root_of

    site, name = house.site, options.name
    if not options.yes:
        with site.db.read() as rows:
            found = workspace.to_purge(rows, name)
        where = root_of(site.root, found)
        out.line(f"{where} would be removed for good" if found.own else f"{where} would stay; it is not ours")
        url = read_settings(where).blobs.url if found.own else ""
        if url:
            word = "everything below it would be removed for good" if is_own_prefix(found, url) else "it would stay"
            out.line(f"{url}: {word}")
        out.line("nothing was changed")
        out.result({**_told(found), "done": False})
        out.next(f"ropewalk workspace purge {name} --yes")
        return
    gone = purge(house, name)
    out.line(f"{name} is gone for good" if gone.own else f"{name} is forgotten; its folder stays, it was not ours")
    out.result({**_told(gone), "done": True})
    out.next("ropewalk workspace list --deleted")


def _quota(options: argparse.Namespace, before: Quota) -> Quota:
    from dataclasses import replace

    from ropewalk.workspaces.quota import bytes_of

    given = {f"{word}_max": getattr(options, word) for word in LIMITS if getattr(options, word) is not None}
    if options.bytes is not None:
        given["bytes_max"] = bytes_of(options.bytes)
    return replace(before, **given)


def _limits(quota: Quota) -> str:
    return ", ".join(f"{word} {most:,}" for word in LIMITS if (most := getattr(quota, f"{word}_max")))


def _told(found: Workspace) -> dict[str, object]:
    told = {name: getattr(found, name) for name in ("name", "id", "description", "state", "folder")}
    return {**told, "own": bool(found.own), "quota": asdict(found.quota)}
