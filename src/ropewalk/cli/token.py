"""`ropewalk token` makes, lists and revokes the tokens by which programs enter the server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.site import Site
    from ropewalk.store.database import Transaction

EXAMPLE = """
ropewalk token create --user ann@example.org --role developer --environment dev --days 30 --note laptop
export MLFLOW_TRACKING_TOKEN=rw_...            # the token, shown once
ropewalk token create --user ci --role developer --in-project team-a    # worth nothing in other workspaces
ropewalk token list
ropewalk token revoke 3f9c1b2a7d4e
"""

# Who may enter is the host's to say: `--workspace` is where it counts.
OF_HOST = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, for whom, and how far the token reaches."""
    parser.add_argument("action", nargs="?", default="list", choices=("list", "create", "revoke"))
    parser.add_argument("token", nargs="?", default="", metavar="ID", help="of the token to revoke")
    parser.add_argument("--user", default="", metavar="NAME", help="for whom it speaks; the tokens of whom to list")
    parser.add_argument(
        "--role", default="viewer", help="the most it may do: viewer, developer, approver, operator, admin"
    )
    parser.add_argument("--environment", default="*", metavar="NAME", help="where it counts; where the user's roles do")
    parser.add_argument(
        "--in-project", default="", metavar="NAME", help="the project or workspace it counts in; every one"
    )
    parser.add_argument("--days", type=int, default=90, help="how long it lives, 90 at most")
    parser.add_argument("--note", default="", help="what it is for")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Do it, and write it into the ledger in the same transaction."""
    from ropewalk.cli.project import require_project
    from ropewalk.house import open_house

    require_project(options.project)
    _complete(options)
    options.in_project = options.in_project or options.workspace or "*"
    with open_house(options.project) as house:
        if options.action == "create":
            _create(house.site, options, out)
        elif options.action == "revoke":
            _revoke(house.site, options.token, out)
        else:
            _list(house.site, options.user, out)


def _complete(options: argparse.Namespace) -> None:
    from ropewalk.errors import Invalid

    if options.action == "create" and not options.user:
        why = "it takes --user NAME"
    elif bool(options.token) != (options.action == "revoke"):
        why = "revoke takes the ID of a token, and nothing else does"
    else:
        return
    raise Invalid(
        "usage",
        "The command line is not understood.",
        where=f"ropewalk token {options.action}",
        why=why,
        fix="ropewalk token --help",
    )


def _create(site: Site, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.access import tokens
    from ropewalk.access.roles import Grant
    from ropewalk.clock import iso
    from ropewalk.workspaces.workspace import require_room

    scope = Grant(role=options.role, project=options.in_project, environment=options.environment)

    def make(tx: Transaction) -> tuple[tokens.Token, str]:
        require_room(tx, site.clock.now_us(), scope.project)
        return tokens.create(tx, site, options.user, scope=scope, days=options.days, note=options.note)

    made, secret = site.db.write(make)
    out.line(secret)
    out.line(f"it speaks for {made.user_name} until {iso(made.expires_us)[:10]}, and is not shown again")
    out.result({"id": made.id, "token": secret, "user": made.user_name, "expires": iso(made.expires_us)})
    out.next(f"export MLFLOW_TRACKING_TOKEN={secret}", f"ropewalk token revoke {made.id}")


def _revoke(site: Site, token: str, out: Output) -> None:
    from ropewalk.access import tokens

    found = site.db.write(lambda tx: tokens.revoke(tx, site, token))
    out.line(f"token {found.id} of {found.user_name} is worth nothing any more")
    out.result({"id": found.id, "user": found.user_name})
    out.next("ropewalk token list")


def _list(site: Site, user: str, out: Output) -> None:
    from ropewalk.access import tokens
    from ropewalk.clock import iso

    now = site.clock.now_us()
    with site.db.read() as rows:
        found = tokens.listed(rows, user)

    def state(one: tokens.Token) -> str:
        return "revoked" if one.revoked_us is not None else "expired" if one.expires_us <= now else "valid"

    if found:
        out.table(
            ("id", "user", "role", "environment", "state", "until", "last used", "note"),
            [
                (
                    one.id,
                    one.user_name,
                    one.role,
                    one.environment,
                    state(one),
                    iso(one.expires_us)[:10],
                    iso(one.used_us)[:16] if one.used_us else "never",
                    one.note,
                )
                for one in found
            ],
        )
    else:
        out.line("no token yet")
        out.next("ropewalk token create --user NAME")
    out.result([{"id": one.id, "user": one.user_name, "role": one.role, "state": state(one)} for one in found])
