"""`ropewalk batch FILE` scores a file or a query with the live release: killed anywhere, the same command goes on."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid, NotFound

if TYPE_CHECKING:
    from ropewalk.batches.batch import Batch
    from ropewalk.house import House
    from ropewalk.releases.release import Release

EXAMPLE = """
ropewalk batch customers.parquet --into scored.parquet
ropewalk batch customers.csv --into scored.csv --release churn/3 --errors aside
ropewalk batch --query "SELECT * FROM customers" --database app.db --into scored.parquet
ropewalk batch --list
"""
SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the rows are, where they go, who scores them, and what is done about jobs."""
    parser.add_argument(
        "rows",
        metavar="FILE",
        nargs="?",
        default="",
        help="Parquet, Arrow, CSV, NDJSON or JSON with the model's columns",
    )
    parser.add_argument("--query", default="", metavar="SQL", help="the rows of a query instead of a file's")
    parser.add_argument("--database", default="", metavar="DB", help="a SQLite file, or postgresql://USER@HOST/DB")
    parser.add_argument("--into", default="", metavar="FILE", help="the rows with outputs, prediction ids and release")
    parser.add_argument("--release", default="", metavar="RELEASE", help="the champion when left out")
    parser.add_argument("--environment", default="production", help="whose champion")
    parser.add_argument(
        "--errors",
        choices=("stop", "aside"),
        default="stop",
        help="at a row that cannot be answered: stop and write nothing (default), or set it aside in NAME.aside.ndjson",
    )
    parser.add_argument("--list", action="store_true", help="show batches, newest first")
    parser.add_argument("--show", default="", metavar="ID", help="show one batch")
    parser.add_argument("--cancel", default="", metavar="ID", help="end a batch; what was scored of it goes away")
    parser.add_argument("--job", default="", metavar="ID", help=argparse.SUPPRESS)


def handle(options: argparse.Namespace, out: Output) -> None:
    """Score all rows in a confined worker; the output is seen when it is whole.

    Raises:
        NotFound: there is no such file, release or batch, or nothing is live.
        Conflict: an input column has the name of an output, or somebody works on this batch.
        Invalid: a row cannot be answered, and the policy is to stop.
    """
    from ropewalk.house import open_house

    about_jobs = options.list or options.show or options.cancel
    if not about_jobs and not options.job:
        _require_files(options)
    with open_house(options.project, create=False) as house:
        if about_jobs:
            _jobs(options, out, house)
        elif options.job:
            _job(options.job, out, house)
        else:
            _score(options, out, house)


def _require_files(options: argparse.Namespace) -> None:
    from ropewalk.batches.source import ending_of
    from ropewalk.cli.frames import require_readable, require_writable

    if bool(options.query) == bool(options.rows) or bool(options.query) != bool(options.database) or not options.into:
        raise Invalid(
            "batch-source-missing",
            "A batch is a file or a query, and a file that the rows go to.",
            why="FILE --into FILE, or --query SQL --database DB --into FILE",
            fix="ropewalk batch --help",
        )
    require_writable(Path(options.into))
    if options.rows:
        require_readable(Path(options.rows))
        ending_of(options.rows)


def _score(options: argparse.Namespace, out: Output, house: House) -> None:
    from ropewalk.batches import batch as batches

    site = house.site
    place = _place(options, house)
    target = _relative(Path(options.into), site.root)
    found = _release(options, house)
    key = batches.key_of(place, found.id, found.bundle, target)
    with site.db.read() as rows:
        known = batches.newest_of(rows, key)
    if known is not None and known.state == batches.FAILED and options.query:
        _cancelled(house, known)  # its rows were mended in the database, or will be: it is asked again
        known = None
    if known is not None and known.state in (batches.WAITING, batches.RUNNING, batches.FAILED):
        out.line(f"batch {known.id} goes on: {known.scored:,} of {known.rows:,} rows are scored")
        made = known
    else:
        made = site.db.write(
            lambda tx: batches.begin(
                tx,
                site,
                key=key,
                release=found.id,
                bundle=found.bundle,
                environment=found.environment,
                source=place,
                target=target,
                policy=options.errors,
            )
        )
    done = _worked(made, options.errors, out, house)
    aside = f", {done.aside:,} set aside in {_aside(options.into)}" if done.policy == batches.ASIDE else ""
    out.line(f"{done.rows - done.aside:,} rows scored by {found.id} into {options.into}{aside}")
    out.result({**_shown(done), "into": options.into})
    out.next(f"ropewalk data profile {shlex.quote(options.into)}", f"ropewalk batch --show {done.id}")


def _worked(made: Batch, policy: str, out: Output, house: House) -> Batch:
    """Do the work, and tell how far it is: a bar for people, a line of JSON on stderr for programs."""
    from ropewalk.batches.work import work

    seen = made.scored if made.state == "running" else 0
    with out.progress(f"scoring with {made.release}", 1.0) as progress:

        def tell(now: Batch) -> None:
            nonlocal seen
            progress.advance((now.scored - seen) / max(now.rows, 1))
            progress.note(f"{now.scored:,} of {now.rows:,} rows")
            seen = now.scored
            if out.json and 0 < now.scored < now.rows:
                told = {"batch": now.id, "rows": now.rows, "scored": now.scored, "aside": now.aside}
                out.stderr.write(json.dumps({"progress": told}) + "\n")
                out.stderr.flush()

        return work(house.site, made, policy=policy, allowed=house.settings.scan.globals, on_progress=tell)


def _job(name: str, out: Output, house: House) -> None:
    """Work on a batch that a server was asked for, as long as that server is there."""
    from ropewalk.batches import batch as batches
    from ropewalk.leases import PARENT, end_with

    if os.environ.get(PARENT, "").isdigit():
        end_with(int(os.environ[PARENT]))
    with house.site.db.read() as rows:
        found = batches.get(rows, name)
    out.result(_shown(_worked(found, found.policy, out, house)))


def _place(options: argparse.Namespace, house: House) -> dict[str, Any]:
    """Return where the rows are, in words that stay the same for the same rows."""
    from ropewalk.batches.queries import require_database
    from ropewalk.refs import digest_of_file

    root = house.site.root
    if options.query:
        database = options.database if "://" in options.database else _relative(Path(options.database), root)
        require_database(root, database)
        return {"query": options.query, "database": database}
    path = Path(options.rows)
    return {"file": _relative(path, root), "digest": digest_of_file(path)}


def _relative(path: Path, root: Path) -> str:
    """Return a path as the project's folder sees it; one outside of it whole."""
    whole = path.resolve()
    return whole.relative_to(root.resolve()).as_posix() if whole.is_relative_to(root.resolve()) else whole.as_posix()


def _aside(into: str) -> str:
    path = Path(into)
    return str(path.with_name(f"{path.stem}.aside.ndjson"))


def _release(options: argparse.Namespace, house: House) -> Release:
    from ropewalk.releases import release, traffic

    with house.site.db.read() as rows:
        name = traffic.endpoint_name(house.settings.model_name, options.environment)
        now = traffic.current(rows, name)
        wanted = options.release or (now.champion if now else "")
        if not wanted:
            raise NotFound(
                "nothing-live",
                "Nothing is live yet.",
                where=f"endpoint {name}",
                why="rows are scored by the release that answers there, or by the one that --release names",
                fix="ropewalk ship",
            )
        return release.get(rows, wanted)


def _jobs(options: argparse.Namespace, out: Output, house: House) -> None:
    from ropewalk.batches import batch as batches

    site = house.site
    if options.list:
        with site.db.read() as rows:
            page = batches.page(rows, SHOWN)
        out.table(
            ["batch", "state", "release", "rows", "scored", "aside"],
            [[one.id, one.state, one.release, one.rows, one.scored, one.aside] for one in page],
        )
        out.result({"batches": [_shown(one) for one in page]})
        return
    with site.db.read() as rows:
        found = batches.get(rows, options.show or options.cancel)
    if options.cancel:
        found = _cancelled(house, found)
    out.fields(_shown(found))
    out.result(_shown(found))


def _cancelled(house: House, found: Batch) -> Batch:
    from ropewalk.batches.folder import cancel

    return cancel(house.site, found)


def _shown(found: Batch) -> dict[str, Any]:
    return {
        "batch": found.id,
        "state": found.state,
        "release": found.release,
        "bundle": found.bundle,
        "rows": found.rows,
        "scored": found.scored,
        "aside": found.aside,
        "output": found.output,
        "note": found.note,
    }
