"""A backup: a folder with every row in one SQLite file, whatever the engine, and a page that says what is in it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from ropewalk import __version__
from ropewalk.clock import Clock
from ropewalk.errors import Conflict, Corrupt, NotFound
from ropewalk.refs import canonical, digest_of
from ropewalk.store.database import Transaction
from ropewalk.store.link import Store
from ropewalk.store.sqlite import SqliteDatabase, stand_alone
from ropewalk.store.transfer import Holding, OnRows, counts, is_untouched, measure, replace

PAGE = "backup.json"
ROWS = "rows.db"
FORMAT = 1
PIECE_BYTES = 1 << 20


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of a backup says.

    Attributes:
        format: number of this layout.
        ropewalk: the release that made it.
        made_us: when.
        engine: `sqlite` or `postgres`: where the rows came from.
        steps: digests of the schema's steps by name.
        rows_digest: sha256 of the file with the rows.
        tables: what each table holds.
        ledger: number of the newest entry of the ledger.
        blobs: how many blobs lie beside the rows; None when they were left out.
    """

    format: int
    ropewalk: str
    made_us: int
    engine: str
    steps: dict[str, str]
    rows_digest: str
    tables: list[Holding]
    ledger: int
    blobs: int | None

    @property
    def rows(self) -> int:
        """How many rows all tables hold."""
        return sum(table.rows for table in self.tables)


def write(
    store: Store,
    folder: Path,
    clock: Clock,
    *,
    blobs: Callable[[Path], int] | None = None,
    on_rows: OnRows = lambda _table, _rows: None,
) -> Backup:
    """Write a consistent state of the store into a new folder while others read and write; whole or not at all.

    Args:
        store: where the rows are.
        folder: the backup; it must not be there.
        clock: tells when.
        blobs: copies the blobs into the folder that it is given and says how many; None leaves them out. It is called
            after the rows were copied, so that every blob that a row names is there.
        on_rows: told of rows as they are read.

    Raises:
        Conflict: the folder is there already.
        Unavailable: no room; nothing is left behind.
    """
    if folder.exists():
        raise Conflict(
            "backup-exists",
            "There is something of that name already.",
            where=folder.name,
            why="a backup never writes over anything",
            fix="name a folder that is not there",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        whole = Path(made) / "whole"
        whole.mkdir(mode=0o700)
        engine = _copy_rows(store, whole / ROWS, clock, on_rows)
        page = _page(whole / ROWS, engine, clock, on_rows)
        if blobs is not None:
            page = msgspec.structs.replace(page, blobs=blobs(whole / "blobs"))
        body = msgspec.to_builtins(page)
        _write_durably(whole / PAGE, canonical({"backup": body, "digest": digest_of(canonical(body))}) + b"\n")
        _sync(whole)
        whole.rename(folder)
        _sync(folder.parent)
    return page


def _copy_rows(store: Store, path: Path, clock: Clock, on_rows: OnRows) -> str:
    """Write the store's rows into a new SQLite file; return the engine that they came from."""
    if isinstance(store, SqliteDatabase):
        store.backup(path, lambda _done, _total: None)
        return "sqlite"
    fresh = SqliteDatabase(path.with_name("fresh.db"), clock)
    source, target = store.link(patient=True), fresh.link()
    try:
        source.look()
        target.begin()
        replace(source, target, clock, on_rows)
        target.commit()
        fresh.backup(path)
    finally:
        source.close()
        target.close()
        fresh.close()
        for file in path.parent.glob("fresh.db*"):
            file.unlink()
    return source.dialect


def _page(path: Path, engine: str, clock: Clock, on_rows: OnRows) -> Backup:
    """Return what is in a file of rows, as it is read back from it."""
    copy = SqliteDatabase(path, clock, climb=False)
    link = copy.link()
    try:
        link.look()
        tables = measure(link, on_rows)
        steps = {str(name): str(digest) for name, digest in link.raw("select name, digest from migrations")}
        newest = link.session.row("ledger.last")
    finally:
        link.close()
        copy.close()
    stand_alone(path)
    return Backup(
        format=FORMAT,
        ropewalk=__version__,
        made_us=clock.now_us(),
        engine=engine,
        steps=steps,
        rows_digest=_digest_of_file(path),
        tables=tables,
        ledger=int(str(newest["seq"])) if newest else 0,
        blobs=None,
    )


def read(folder: Path) -> Backup:
    """Return what a backup holds, after its page and its rows were found to be as they were written.

    Raises:
        NotFound: there is no backup.
        Corrupt: something in it was changed or is missing.
        Conflict: a newer Ropewalk wrote it.
    """
    try:
        text = (folder / PAGE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            "backup-not-found",
            "There is no backup.",
            where=folder.name,
            why=f"a backup is a folder with a file {PAGE}",
            fix="ropewalk store backup PATH",
        ) from None
    try:
        said: dict[str, Any] = msgspec.json.decode(text)
        body = said["backup"]
        if body["format"] > FORMAT:
            raise Conflict(
                "store-newer",
                "A newer Ropewalk wrote this backup.",
                where=folder.name,
                why=f"its format is {body['format']}, this release knows {FORMAT}",
                fix="pip install --upgrade ropewalk",
            )
        page = msgspec.convert(body, Backup)
        whole = said["digest"] == digest_of(canonical(body))
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise _damaged(folder, f"{PAGE} is not one: {error}") from error
    if not whole:
        raise _damaged(folder, f"{PAGE} is not as it was written")
    try:
        found = _digest_of_file(folder / ROWS)
    except OSError as error:
        raise _damaged(folder, f"{ROWS} cannot be read: {error.strerror}") from error
    if found != page.rows_digest:
        raise _damaged(folder, f"{ROWS} is {found}, and was {page.rows_digest}")
    return page


def restore(
    folder: Path,
    store: Store,
    clock: Clock,
    *,
    force: bool = False,
    on_rows: OnRows = lambda _table, _rows: None,
    on_done: Callable[[Transaction, Backup], None] = lambda _tx, _page: None,
) -> Backup:
    """Make the store hold what a backup holds: all of it in one transaction, or nothing.

    Args:
        folder: the backup.
        store: where the rows go.
        clock: tells when.
        force: even over rows that are there.
        on_rows: told of rows as they are copied and read back.
        on_done: may add to the transaction, such as a word in the ledger.

    Raises:
        NotFound, Corrupt, Conflict: as `read`.
        Conflict: the store holds rows and `force` is False (`store-not-empty`).
    """
    page = read(folder)
    near = Path(store.place()).parent if isinstance(store, SqliteDatabase) else None
    with TemporaryDirectory(prefix="ropewalk-restore-", dir=near) as made:
        # An older backup is brought to this release's schema, and the backup itself stays as it is.
        path = Path(made) / ROWS
        shutil.copyfile(folder / ROWS, path)
        older = SqliteDatabase(path, clock)
        source, target = older.link(), store.link(patient=True)
        try:
            source.begin()
            target.begin()
            require_empty(counts(target), store.place(), clock, force=force)
            replace(source, target, clock, on_rows)
            on_done(target.session, page)
            target.commit()
        finally:
            source.close()
            target.close()
            older.close()
    return page


def require_empty(found: dict[str, int], where: str, clock: Clock, *, force: bool) -> None:
    """Pass only for a store with no more in it than a new one has, or by force.

    Raises:
        Conflict: there is more (`store-not-empty`).
    """
    if force:
        return
    with TemporaryDirectory(prefix="ropewalk-fresh-") as made:
        fresh = SqliteDatabase(Path(made) / ROWS, clock)
        link = fresh.link()
        untouched = is_untouched(found, counts(link))
        link.close()
        fresh.close()
    if not untouched:
        raise Conflict(
            "store-not-empty",
            "There are rows already, and they would be gone.",
            where=where,
            why=f"{sum(found.values()):,} rows in {sum(1 for rows in found.values() if rows)} tables",
            fix="make a backup of them first, then add --force",
        )


def _damaged(folder: Path, why: str) -> Corrupt:
    return Corrupt(
        "backup-damaged",
        "The backup is damaged; nothing was restored from it.",
        where=folder.name,
        why=why,
        fix="take another backup, or another copy of this one",
    )


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
