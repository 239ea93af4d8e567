"""`ropewalk store` shows where the records are, backs them up, restores and moves them, and walks their schema."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli import storecopy
from ropewalk.cli.output import Output
from ropewalk.cli.parse import count
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from ropewalk.store.schema import Loss

EXAMPLE = """
ropewalk store                                  # where the records are, and how many
ropewalk store backup /backups/2026-11-21 --blobs
ropewalk store restore /backups/2026-11-21
ropewalk store move postgresql://ann@db.example.org/ropewalk --dry-run
ropewalk store move sqlite
ropewalk store migrate --to 8                   # what would be lost; --yes does it
"""
TARGETS = {"backup": "PATH", "restore": "PATH", "move": "postgresql://... or sqlite"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do and with what."""
    parser.add_argument(
        "action", nargs="?", default="status", choices=("status", "backup", "restore", "move", "migrate")
    )
    parser.add_argument(
        "target", nargs="?", default="", metavar="TARGET", help="a folder for backup and restore, a store for move"
    )
    parser.add_argument("--check", action="store_true", help="status: look for damage in every table; takes a while")
    parser.add_argument("--blobs", action="store_true", help="backup: also every file that the records name")
    parser.add_argument("--force", action="store_true", help="restore, move: over rows that are there")
    parser.add_argument("--dry-run", action="store_true", help="restore, move: say what would happen, change nothing")
    parser.add_argument("--to", type=count, default=None, metavar="N", help="migrate: the schema's step to arrive at")
    parser.add_argument("--yes", action="store_true", help="migrate: go down, though rows are lost")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Do it; `status --check` exits with 1 when something is damaged."""
    wanted = TARGETS.get(options.action)
    if wanted and not options.target:
        raise Invalid(
            "usage",
            f"`ropewalk store {options.action}` needs to be told where.",
            where="ropewalk store",
            why=f"it takes {wanted}",
            fix="ropewalk store --help",
        )
    match options.action:
        case "backup":
            storecopy.backup(options, Path(options.target), out)
        case "restore":
            storecopy.restore(options, Path(options.target), out)
        case "move":
            storecopy.move(options, options.target, out)
        case "migrate":
            _migrate(options, out)
        case _:
            return _status(options, out)
    return 0


def _status(options: argparse.Namespace, out: Output) -> int:
    from ropewalk.cli.project import require_project
    from ropewalk.house import open_rows
    from ropewalk.store import schema
    from ropewalk.store.migrate import load_migrations
    from ropewalk.store.transfer import counts

    require_project(options.project)
    with open_rows(options.project) as store, out.progress("counting rows") as bar:
        link = store.link(patient=True)
        try:
            rows = counts(link)
            applied = sorted(schema.applied(link))
            steps = load_migrations(link.dialect)
            engine = link.dialect
        finally:
            link.close()
        bar.note("looking for damage")
        damage = store.damage() if options.check else None
        where, size = store.place(), store.bytes()
    missing = [step.name for step in steps if step.number not in applied]
    out.fields(
        {
            "engine": engine,
            "where": where,
            "size": f"{size / 1e6:,.1f} MB",
            "rows": f"{sum(rows.values()):,} in {sum(1 for n in rows.values() if n)} tables",
            "schema": f"step {max(applied, default=0)}" + (f", {len(missing)} to come" if missing else ", the newest"),
        }
    )
    out.table(("table", "rows"), [(table, n) for table, n in sorted(rows.items(), key=lambda one: -one[1]) if n])
    for line in damage or ():
        out.line(f"DAMAGED  {line}", style="red")
    if damage == []:
        out.line("no damage found")
    out.result(
        {"engine": engine, "where": where, "bytes": size, "rows": rows, "schema": applied, "missing": missing}
        | ({} if damage is None else {"damage": damage})
    )
    out.next("ropewalk store backup PATH" if not damage else "ropewalk store restore PATH --force")
    return 1 if damage else 0


def _migrate(options: argparse.Namespace, out: Output) -> None:
    from ropewalk.clock import SystemClock
    from ropewalk.house import open_rows
    from ropewalk.store import schema
    from ropewalk.store.migrate import downwards, load_migrations

    with open_rows(options.project) as store:
        link = store.link(patient=True)
        try:
            steps = load_migrations(link.dialect)
            to = steps[-1].number if options.to is None else options.to
            down = downwards(schema.applied(link), steps, to)
            if down and not options.yes:
                _say_losses(schema.losses(link, steps, to), [step.name for step in down], to, out)
                return
            if down:
                store.hold(alone=True)
            done: list[str] = []
            with out.progress("walking the schema", len(down) or None) as bar:

                def on_step(step: schema.Migration) -> None:
                    bar.advance()
                    done.append(step.name)

                schema.descend(link, steps, to, on_step=on_step)
                wanted = [step for step in steps if step.number <= to]
                schema.climb(link, SystemClock(), wanted, where=store.place(), on_step=on_step)
        finally:
            link.close()
    for name in done:
        out.line(f"{'taken back' if down else 'applied'}  {name}")
    out.line(f"the schema is at step {to}")
    out.result({"step": to, "down": [step.name for step in down], "up": [] if down else done, "done": True})
    if down:
        out.line("the next command of this release brings the schema up again: go on with the older release")
    out.next("ropewalk store status")


def _say_losses(found: list[Loss], names: list[str], to: int, out: Output) -> None:
    from dataclasses import asdict

    out.line(f"going down to step {to} takes back: {', '.join(names)}")
    out.table(
        ("what is lost", "rows"),
        [
            (f"{loss.table} ({', '.join(loss.columns)})" if loss.columns else loss.table, loss.rows)
            for loss in found
            if loss.rows
        ],
    )
    out.line(f"and {sum(1 for loss in found if not loss.rows)} tables or columns without rows")
    out.line("nothing was changed")
    out.result({"step": to, "down": names, "lost": [asdict(loss) for loss in found], "done": False})
    out.next("ropewalk store backup PATH", f"ropewalk store migrate --to {to} --yes")
