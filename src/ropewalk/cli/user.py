"""`ropewalk user` says who may enter the server and what he may do there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.access.roles import Grant
    from ropewalk.site import Site
    from ropewalk.store.database import Transaction

EXAMPLE = """
ropewalk user add ann@example.org              # asks for the password
ropewalk user add ci --service                 # a program: no password, tokens alone
ropewalk user grant ann@example.org developer --environment dev
ropewalk user revoke ann@example.org developer --environment dev
ropewalk user password ann@example.org         # ends all his sessions and tokens
ropewalk user disable ann@example.org
"""
ACTIONS = ("list", "add", "password", "disable", "enable", "grant", "revoke")

# Who may enter is the host's to say: `--workspace` is where it counts.
OF_HOST = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, with whom and in which role."""
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="the user")
    parser.add_argument(
        "role", nargs="?", default="", metavar="ROLE", help="viewer, developer, approver, operator, admin"
    )
    parser.add_argument("--service", action="store_true", help="a program, which has no password (for add)")
    parser.add_argument("--environment", default="*", metavar="NAME", help="where the role counts; everywhere")
    parser.add_argument(
        "--in-project", default="", metavar="NAME", help="the project or workspace it counts in; every one"
    )


def handle(options: argparse.Namespace, out: Output) -> None:
    """Do it, and write it into the ledger in the same transaction."""
    from ropewalk.cli.project import require_project
    from ropewalk.house import open_house

    require_project(options.project)
    _complete(options)
    options.in_project = options.in_project or options.workspace or "*"
    with open_house(options.project) as house:
        if options.action == "list":
            _list(house.site, out)
        elif options.action in ("grant", "revoke"):
            _role(house.site, options, out)
        else:
            _change(house.site, options, out)


def _complete(options: argparse.Namespace) -> None:
    from ropewalk.errors import Invalid

    wanted = {"list": 0, "grant": 2, "revoke": 2}.get(options.action, 1)
    given = bool(options.name) + bool(options.role)
    if given != wanted:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=f"ropewalk user {options.action}",
            why=f"it takes {('no name', 'NAME', 'NAME and ROLE')[wanted]}",
            fix="ropewalk user --help",
        )


def _list(site: Site, out: Output) -> None:
    from ropewalk.access import users
    from ropewalk.clock import iso

    with site.db.read() as rows:
        found = [(one, users.grants(rows, one.name)) for one in users.listed(rows)]
    if not found:
        out.line("no user yet: the server asks nobody, and serves this machine alone")
        out.next("ropewalk user add NAME")
    else:
        out.table(
            ("name", "kind", "state", "since", "roles"),
            [
                (one.name, one.kind, one.state, iso(one.created_us)[:10], ", ".join(map(users.spoken, roles)) or "none")
                for one, roles in found
            ],
        )
    out.result(
        [{"name": one.name, "kind": one.kind, "state": one.state, "roles": _told(roles)} for one, roles in found]
    )


def _told(roles: list[Grant]) -> list[dict[str, str]]:
    return [{"role": one.role, "project": one.project, "environment": one.environment} for one in roles]


def _change(site: Site, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.access import users
    from ropewalk.cli.secret import new_password

    action, name = str(options.action), str(options.name)
    asks = action == "password" or (action == "add" and not options.service)
    password = new_password(name) if asks else ""

    def work(tx: Transaction) -> users.User:
        if action == "add":
            return users.add(tx, site, name, password=password, service=options.service)
        if action == "password":
            return users.set_password(tx, site, name, password)
        return users.disable(tx, site, name) if action == "disable" else users.enable(tx, site, name)

    user = site.db.write(work)
    done = {
        "add": "may enter, without any role yet",
        "password": "has another password; sessions and tokens have ended",
        "disable": "may enter no more; sessions and tokens have ended",
        "enable": "may enter again; tokens that were revoked stay so",
    }
    out.line(f"{user.name} {done[action]}")
    out.result({"name": user.name, "kind": user.kind, "state": user.state})
    if action == "add":
        out.next(f"ropewalk user grant {user.name} developer", "ropewalk up --auth")


def _role(site: Site, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.access import users
    from ropewalk.access.roles import Grant

    given = Grant(role=options.role, project=options.in_project, environment=options.environment)

    def work(tx: Transaction) -> list[Grant]:
        if options.action == "grant":
            users.grant(tx, site, options.name, given)
        else:
            users.revoke(tx, site, options.name, given)
        return users.grants(tx, users.get(tx, options.name).name)

    left = site.db.write(work)
    out.line(f"{options.name}: {', '.join(map(users.spoken, left)) or 'no role'}")
    out.result({"name": options.name, "roles": _told(left)})
    out.next(f"ropewalk token create --user {options.name} --role {options.role or 'developer'}")
