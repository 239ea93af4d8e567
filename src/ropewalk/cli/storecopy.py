"""What `ropewalk store backup`, `restore` and `move` do, and what they say of it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ropewalk.cli.output import Output, Progress
from ropewalk.errors import Conflict

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.site import Site
    from ropewalk.store.archive import Backup
    from ropewalk.store.database import Transaction
    from ropewalk.store.link import Link, Store
    from ropewalk.store.transfer import Holding

LEFT_OUT = "not in it: the signing key (.ropewalk/keys) and the settings; keep copies of both elsewhere"


def backup(options: argparse.Namespace, folder: Path, out: Output) -> None:
    """Write a backup while others go on reading and writing."""
    from ropewalk.blobs.folder import FolderBucket
    from ropewalk.house import open_house
    from ropewalk.store import archive

    with open_house(options.project, create=False) as house, out.progress("backing up") as bar:
        site = house.site

        def blobs(into: Path) -> int:
            bar.note("blobs")
            kept = FolderBucket(into)
            copied = 0
            for digest in site.blobs.digests():
                with site.blobs.fetch(digest).open("rb") as file:
                    kept.put_stream(file)
                copied += 1
                bar.note(f"{copied:,} blobs")
            return copied

        page = archive.write(
            cast("Store", site.db), folder, site.clock, blobs=blobs if options.blobs else None, on_rows=_Noting(bar)
        )
        beside = _beside(site)
    told = "no blobs (files, models, frames): add --blobs" if page.blobs is None else f"{page.blobs:,} blobs"
    out.line(f"{page.rows:,} rows in {len(page.tables)} tables, the ledger up to entry {page.ledger:,}, {told}")
    out.line(LEFT_OUT, style="dim")
    if beside:
        out.line(f"not in it: the workspaces {', '.join(beside)}; each has a backup of its own", style="yellow")
    out.line(f"rows are {page.rows_digest}", style="dim")
    out.result({"path": str(folder), **_said(page), "workspaces_not_in_it": beside})
    out.next(
        f"ropewalk store restore {shlex.quote(str(folder))} --dry-run",
        *(f"ropewalk --workspace {name} store backup PATH" for name in beside[:1]),
    )


def _beside(site: Site) -> list[str]:
    """Return the workspaces whose rows are not the host's, and so are in no backup of it."""
    from ropewalk.workspaces.names import DEFAULT
    from ropewalk.workspaces.workspace import listed

    with site.db.read() as rows:
        return [one.name for one in listed(rows) if one.name != DEFAULT]


def restore(options: argparse.Namespace, folder: Path, out: Output) -> None:
    """Make the store hold what a backup holds, all or nothing; a damaged backup is refused."""
    from ropewalk.house import open_house
    from ropewalk.store import archive

    with out.progress("checking the backup"):
        page = archive.read(folder)
    if options.dry_run:
        out.line(f"{page.rows:,} rows, the ledger up to entry {page.ledger:,}; the backup is as it was written")
        out.line("nothing was changed")
        out.result({"path": str(folder), **_said(page), "done": False})
        out.next(f"ropewalk store restore {shlex.quote(str(folder))}")
        return
    with open_house(options.project, alone=True) as house, out.progress("restoring") as bar:
        site = house.site

        def note(tx: Transaction, read: Backup) -> None:
            body = {
                "rows_sha256": read.rows_digest.removeprefix("sha256:"),
                "ledger": read.ledger,
                "made_us": read.made_us,
            }
            site.record(tx, "store.restored", "store", body)

        blobs = _restore_blobs(site, folder / "blobs", page, bar)
        store = cast("Store", site.db)
        archive.restore(folder, store, site.clock, force=options.force, on_rows=_Noting(bar), on_done=note)
        aside = _set_head_aside(site, page.ledger)
    out.line(f"{page.rows:,} rows are back, the ledger up to entry {page.ledger:,}")
    out.line(f"{blobs:,} blobs are back" if page.blobs is not None else "the backup holds no blobs; those here stay")
    if aside:
        out.line(f"the ledger had got further before; the head that says so is kept as {aside}", style="yellow")
    out.result({"path": str(folder), **_said(page), "head": aside, "done": True})
    out.next("ropewalk verify")


def _restore_blobs(site: Site, folder: Path, page: Backup, bar: Progress) -> int:
    from ropewalk.blobs.folder import FolderBucket

    if page.blobs is None:
        return 0
    kept, done = FolderBucket(folder), 0
    for digest in kept.digests():
        if not site.blobs.has(digest):
            with kept.fetch(digest).open("rb") as file:
                site.blobs.put_stream(file)
        done += 1
        bar.note(f"{done:,} blobs")
    return done


def _set_head_aside(site: Site, ledger: int) -> str:
    """Put a head away that runs ahead of what was restored; return its new name, or nothing."""
    from ropewalk.ledger.head import FILE, read_head
    from ropewalk.ledger.sign import Checker

    head = read_head(site.hidden, Checker(site.signer.public))
    if head is None or head[0] <= ledger:
        return ""
    name = f"{FILE}.{site.clock.now_us()}"
    (site.hidden / FILE).rename(site.hidden / name)
    return name


def move(options: argparse.Namespace, target: str, out: Output) -> None:
    """Copy all rows into another store, all or nothing, and say what to set so that it is used."""
    from ropewalk.house import open_house, open_rows
    from ropewalk.workspaces.stores import store_url

    url = "" if target == "sqlite" else target
    with open_house(options.project, create=False, alone=not options.dry_run) as house:
        if url == store_url(house.site.root, house.settings):
            raise Conflict(
                "store-same",
                "The rows are there already.",
                where=cast("Store", house.site.db).place(),
                fix="ropewalk store status",
            )
        with open_rows(options.project, url=url, alone=not options.dry_run) as there, out.progress("moving") as bar:
            tables = _move(house, there, options, bar)
            place = there.place()
    rows = sum(table.rows for table in tables)
    result = {"from": cast("Store", house.site.db).place(), "to": place, "tables": [_table(one) for one in tables]}
    if options.dry_run:
        out.line(f"{rows:,} rows in {len(tables)} tables would be copied to {place}")
        out.line("no row was written")
        out.result({**result, "done": False})
        out.next("ropewalk store move TARGET")
        return
    out.line(f"{rows:,} rows in {len(tables)} tables are copied to {place}, read back and found the same")
    out.line("blobs stay where they are, and the old rows too: they are used until you set this:")
    setting = _setting(url)
    out.line(setting)
    out.line("nobody else wrote while they were copied; start `ropewalk up` once it is set")
    out.result({**result, "done": True, "setting": setting})
    out.next("ropewalk verify")


def _setting(url: str) -> str:
    """Return the one line that makes a store the used one; a password is not said again."""
    if not url:
        return "in ropewalk.toml, take away: [store] url    (and unset ROPEWALK_STORE_URL)"
    user, at, rest = url.partition("://")[2].rpartition("@")
    if ":" not in user and "password=" not in url:
        return f'in ropewalk.toml: [store] url = "{url}"'
    hidden = f"postgresql://{user.partition(':')[0]}:PASSWORD{at}{rest}" if ":" in user else "the address"
    return f"in the environment, since it holds a password: ROPEWALK_STORE_URL={shlex.quote(hidden)}"


def _move(house: House, there: Store, options: argparse.Namespace, bar: Progress) -> list[Holding]:
    from ropewalk.store.archive import require_empty
    from ropewalk.store.migrate import load_migrations, pending
    from ropewalk.store.schema import applied
    from ropewalk.store.transfer import Holding, counts, replace

    site = house.site
    source: Link = cast("Store", site.db).link(patient=True)
    into: Link = there.link(patient=True)
    try:
        source.begin()  # nobody writes into the old store until all is in the new one
        into.begin()
        pending(applied(into), load_migrations(into.dialect), there.place())
        require_empty(counts(into), there.place(), site.clock, force=options.force)
        if options.dry_run:
            return [Holding(table=table, rows=rows, digest="") for table, rows in counts(source).items()]
        found = replace(source, into, site.clock, _Noting(bar))
        newest = source.session.row("ledger.last")
        body = {"rows": sum(one.rows for one in found), "ledger": newest["seq"] if newest else 0}
        site.record(into.session, "store.moved", "store", body)
        into.commit()
    finally:
        source.close()
        into.close()
    return found


class _Noting:
    """Says now and then which table it is and how many rows of it are done."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._rows: dict[str, int] = {}

    def __call__(self, table: str, rows: int) -> None:
        self._rows[table] = self._rows.get(table, 0) + rows
        self._bar.note(f"{table} {self._rows[table]:,}")


def _table(one: Holding) -> dict[str, object]:
    return {"table": one.table, "rows": one.rows, "digest": one.digest}


def _said(page: Backup) -> dict[str, object]:
    return {
        "rows": page.rows,
        "rows_digest": page.rows_digest,
        "tables": [_table(one) for one in page.tables],
        "ledger": page.ledger,
        "blobs": page.blobs,
        "engine": page.engine,
        "made_us": page.made_us,
    }
